"""Whether frames come at the declared rate, and without falling behind."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci.core.ledger import entry
from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.recording.robust_slope import theil_sen_slope

FIRST_S = 3.0
EVERY_S = 60.0
FEW_FRAMES = 60
OFF = 0.02
"""Of the declared rate: more than this is another rate."""
PARTS = 4
HELD = 4096
FIT_POINTS = 80
LAG_FRAMES = 2.0
CAUGHT_UP_FRAMES = 1.0
LAG_NS = 1_000_000_000


class RateFound(NamedTuple):
    """The rate of frame ids on one clock.

    Parameters
    ----------
    rate_hz
        As measured.
    clock
        Which clock: the board's TTLs, the microscope's own time, or this computer's.
    is_wrong
        True if it is more than `OFF` away from the declared rate.
    """

    rate_hz: float
    clock: str
    is_wrong: bool


class _Clock:
    """Ids and their times on one clock, thinned so that memory and work are bounded."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self.restart()

    def restart(self) -> None:
        """Forget all."""
        self._ids: list[int] = []
        self._times_ns: list[int] = []
        self._every = 1
        self._n = 0

    def take(self, number: int, t_ns: int) -> None:
        """Take in an id and its time; a clock or a count that falls back starts anew."""
        if self._ids and (number <= self._ids[-1] or t_ns < self._times_ns[-1]):
            self.restart()
        self._n += 1
        if (self._n - 1) % self._every:
            return
        self._ids.append(number)
        self._times_ns.append(t_ns)
        if len(self._ids) >= HELD:
            self._ids, self._times_ns = self._ids[::2], self._times_ns[::2]
            self._every *= 2

    @property
    def span_s(self) -> float:
        """From the first time to the last."""
        return (self._times_ns[-1] - self._times_ns[0]) * 1e-9 if self._ids else 0.0

    @property
    def n(self) -> int:
        """Ids taken in."""
        return self._n

    def judge(self) -> tuple[float, bool] | None:
        """Measured rate and whether it is wrong; None if a stall leaves that open.

        A stream at another rate is off in every part of the time. A stall, of whoever sends or
        receives, is not: frames come late for a while, then in a burst. So a rate is wrong only if
        it is off over the whole and, in the same direction, in each quarter of the time.
        """
        ids, times = np.array(self._ids, np.float64), np.array(self._times_ns, np.float64)
        nominal_s = (ids - ids[0]) / self._rate_hz
        late_s = (times - times[0]) * 1e-9 - nominal_s
        whole = _slope(nominal_s, late_s)
        rate_hz = self._rate_hz / (1 + whole) if whole > -1 else float("inf")
        if abs(rate_hz / self._rate_hz - 1) <= OFF:
            return rate_hz, False
        ends = np.searchsorted(times, np.linspace(times[0], times[-1], PARTS + 1)[1:-1])
        pieces = [slice(*ends) for ends in pairwise((0, *ends.tolist(), len(ids)))]
        if min(piece.stop - piece.start for piece in pieces) < FEW_FRAMES // PARTS // 2:
            return None
        parts = np.array([_slope(nominal_s[piece], late_s[piece]) for piece in pieces])
        if (np.sign(parts) == np.sign(whole)).all() and (np.abs(parts) > OFF / 2).all():
            return rate_hz, True
        if abs(np.median(parts)) <= OFF / 2:
            return self._rate_hz / (1 + float(np.median(parts))), False
        return None


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Robust slope (Theil-Sen)."""
    some = np.unique(np.linspace(0, len(x) - 1, FIT_POINTS).astype(np.intp))
    return theil_sen_slope(y[some], x[some])


class StreamRate:
    """Holds frame ids against the best clock there is, at the start and once a minute.

    Parameters
    ----------
    rate_hz
        Of frame ids over all planes, as declared.
    """

    def __init__(self, rate_hz: float) -> None:
        self._clocks = {name: _Clock(rate_hz) for name in ("board", "microscope", "computer")}
        self._due_s = FIRST_S

    def frame(self, frame_id: int, t_sent_ns: int, t_scope_ns: int) -> None:
        """Take in a stepped frame.

        Parameters
        ----------
        t_sent_ns
            When acquisition sent it, on acquisition's clock.
        t_scope_ns
            Time of the microscope; 0: the sender does not tell it.
        """
        self._clocks["computer"].take(frame_id, t_sent_ns)
        if t_scope_ns:
            self._clocks["microscope"].take(frame_id, t_scope_ns)

    def ttl(self, count: int, t_device_us: int) -> None:
        """Take in a frame TTL, as the board counted and timed it."""
        self._clocks["board"].take(count, t_device_us * 1000)

    def restart(self) -> None:
        """Begin anew: after a stall or a restart nobody knows how long nothing was sent."""
        for clock in self._clocks.values():
            clock.restart()

    def judge(self) -> RateFound | None:
        """Measure the rate once enough has come; None: not yet, or nothing can be said."""
        ours = self._clocks["computer"]
        if ours.span_s < self._due_s or ours.n < FEW_FRAMES:
            return None
        known = {
            name: clock.judge()
            for name, clock in self._clocks.items()
            if clock.n >= FEW_FRAMES and clock.span_s > 0
        }
        name, found = next(iter(known.items()))
        if found is None:
            # longer, until a stall no longer weighs
            self._due_s *= 2
            if self._due_s > EVERY_S:
                self._begin_again()
            return None
        self._begin_again()
        rate_hz, is_wrong = found
        by_ours = known["computer"]
        if is_wrong and by_ours is not None and not by_ours[1]:
            # times in another unit, stray edges: the clock is wrong, and not the stream
            rate_hz, is_wrong, name = by_ours[0], False, "computer"
        return RateFound(rate_hz, name, is_wrong)

    def _begin_again(self) -> None:
        self._due_s = EVERY_S
        self.restart()


class StreamLag:
    """How far frames have fallen behind, against the quickest so far.

    The clocks of sender and receiver may differ, so only what is above the least difference so far
    counts. A lag above two frames that lasts for one second is reported, and its end once it has
    been below one frame for a second.

    Parameters
    ----------
    rate_hz
        Frames a second of the clock.

    Attributes
    ----------
    lag_s
        Of the newest frame.
    is_behind
        True while the lag is reported.
    """

    def __init__(self, rate_hz: float) -> None:
        self._frame_ns = 1e9 / rate_hz
        self.restart()

    def restart(self) -> None:
        """Begin anew, with another sender."""
        self._least_ns: int | None = None
        self._since_ns: int | None = None
        self.lag_s = 0.0
        self.is_behind = False

    def frame(self, frame_id: int, t_sent_ns: int, t_received_ns: int) -> LedgerEntry | None:
        """Take in a stepped frame; what the fault log must hold."""
        passed_ns = t_received_ns - t_sent_ns
        if self._least_ns is None or passed_ns < self._least_ns:
            self._least_ns = passed_ns
        lag_ns = passed_ns - self._least_ns
        self.lag_s = lag_ns * 1e-9
        if self.is_behind:
            turns = lag_ns <= CAUGHT_UP_FRAMES * self._frame_ns
        else:
            turns = lag_ns > LAG_FRAMES * self._frame_ns
        if not turns:
            self._since_ns = None
            return None
        if self._since_ns is None:
            self._since_ns = t_received_ns
        if t_received_ns - self._since_ns < LAG_NS:
            return None
        self._since_ns = None
        self.is_behind = not self.is_behind
        kind = LedgerKind.LAG if self.is_behind else LedgerKind.LAG_OVER
        return entry(frame_id, kind, f"{1000 * self.lag_s:.0f} ms behind")
