"""Which frame a TTL of the microscope belongs to, by its time on the board's clock."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.core.board_types import BoardEvent, BoardEventKind

FIRST_EDGES = 8
"""The phase is that of the earliest of the first edges."""
AGREE = 8
"""Edges in a row that lie as many periods off before the count is mended."""
MOST_WAITING = 64
WHOLE = 0.25
"""How near to a whole number of periods an edge lies that is not late."""
PULL, FOLLOW = 0.2, 0.01
"""Parts of what an edge is off by that phase and period take from it."""
ENOUGH = 20
"""Edges from which on the period is the slope of a line through all of them."""
RESTART_US = 1_000_000


class Ttl(msgspec.Struct, frozen=True, gc=False):
    """One frame TTL.

    Parameters
    ----------
    number
        From 0 at the arming; that of its frame.
    t_us
        On the board's clock.
    t_host_s
        On the host's, as it was given.
    """

    number: int
    t_us: int
    t_host_s: float


class _Slope:
    """Period of all edges so far, least squares.

    An edge may be late by some ms, and a gap of seconds may follow of which it must be known how
    many edges it has swallowed: the more edges tell of the period, the longer it may be.
    """

    def __init__(self, near_us: float) -> None:
        self._near_us = near_us
        self._first: tuple[int, int] | None = None
        self._n = 0
        self._sums = [0.0] * 4

    def add(self, number: int, t_us: int) -> float | None:
        """Take an edge; the period, us, once enough edges tell of it."""
        if self._first is None:
            self._first = (number, t_us)
        x = number - self._first[0]
        y = t_us - self._first[1] - x * self._near_us
        self._n += 1
        self._sums = [a + b for a, b in zip(self._sums, (x, y, x * x, x * y), strict=True)]
        if self._n < ENOUGH:
            return None
        sum_x, sum_y, sum_xx, sum_xy = self._sums
        n = self._n
        return self._near_us + (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x)


class TtlNumbers:
    """Numbers frame TTLs so that neither a lost nor a stray edge shifts those after it.

    The board counts edges; the microscope keeps its period. An edge that is late, as those of a
    simulated microscope on a busy computer are, keeps the number that it was counted with. Where
    some edges in a row lie a whole number of periods off, edges were lost or strayed in, and the
    count is mended from there on: until then they wait.

    Parameters
    ----------
    rate_hz
        Of frames over all planes.

    Attributes
    ----------
    strays
        Numbers at which edges came that were no frame.
    newest
        Number of the last TTL; -1 before the first.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_us = 1e6 / rate_hz
        self._shift = 0
        self._phase_us = 0.0
        self._at = 0
        self._begun = False
        self._last: tuple[int, float] = (0, 0.0)
        self._slope = _Slope(self._period_us)
        self._waiting: list[tuple[int, int, float]] = []
        self.strays: list[int] = []
        self.newest = -1

    def add(self, count: int, t_us: int, t_host_s: float) -> list[Ttl]:
        """Take the next edge; those whose numbers are known by now, in order.

        Parameters
        ----------
        count
            As the board counted it.
        t_us
            On the board's clock.
        t_host_s
            On the host's, as well as it is known: counts where the board's clock began anew.
        """
        known: list[Ttl] = []
        if t_us < self._last[0] - RESTART_US:
            known = self.flush()
            passed = (t_host_s - self._last[1]) * 1e6 / self._period_us
            self._at = self.newest + max(1, round(passed))
            self._phase_us, self._shift = float(t_us), self._at - count
            self._slope = _Slope(self._period_us)
        self._last = (t_us, t_host_s)
        self._waiting.append((count, t_us, t_host_s))
        if not self._begun:
            if len(self._waiting) < FIRST_EDGES:
                return known
            self._begin()
        if len(self._waiting) == 1 and abs(self._off(self._waiting[0])) < 0.5:
            return [*known, *self._settle()]
        offs = [self._off(edge) for edge in self._waiting[-AGREE:]]
        steps = {round(off) for off in offs}
        even = len(offs) == AGREE and max(abs(off - round(off)) for off in offs) < WHOLE
        if abs(offs[-1]) < WHOLE:
            # late ones, and this one is on time: all were counted right
            known += self._settle()
        elif len(steps) == 1 and even:
            self._mend(steps.pop())
            known += self._settle()
        elif len(self._waiting) > MOST_WAITING:
            known += self._settle()
        return known

    def flush(self) -> list[Ttl]:
        """What still waits, numbered as it was counted: no more edges come."""
        if not self._begun and self._waiting:
            self._begin()
        return self._settle()

    def _begin(self) -> None:
        self._begun = True
        first, period_us = self._waiting[0][0], self._period_us
        # an edge may be late and never early
        off_us = min(t_us - (count - first) * period_us for count, t_us, _ in self._waiting)
        self._phase_us, self._at = off_us, first

    def _off(self, edge: tuple[int, int, float]) -> float:
        """Periods by which an edge comes later than its number says."""
        count, t_us, _ = edge
        expected_us = self._phase_us + (count + self._shift - self._at) * self._period_us
        return (t_us - expected_us) / self._period_us

    def _mend(self, steps: int) -> None:
        """Edges were lost (steps above 0) or strayed in (below)."""
        if steps < 0:
            offs = [self._off(edge) for edge in self._waiting]
            order = sorted(range(len(offs)), key=lambda i: -abs(offs[i] - round(offs[i])))
            stray = {i for i in order[:-steps] if abs(offs[i] - round(offs[i])) >= WHOLE}
            self.strays += [self._waiting[i][0] + self._shift for i in sorted(stray)]
            # that which is not among those that wait was taken for the edge before them
            n_taken = -steps - len(stray)
            self.strays += [self.newest] * n_taken
            kept, n_before = [], n_taken
            for i, (count, t_us, t_host_s) in enumerate(self._waiting):
                if i in stray:
                    n_before += 1
                else:
                    # those before the stray one were counted right
                    kept.append((count - n_before - steps, t_us, t_host_s))
            self._waiting = kept
        else:
            found = [round(self._off(edge)) for edge in self._waiting]
            self._waiting = [
                (count + min(max(off, 0), steps) - steps, t_us, t_host_s)
                for (count, t_us, t_host_s), off in zip(self._waiting, found, strict=True)
            ]
        self._shift += steps

    def _settle(self) -> list[Ttl]:
        known = []
        for edge in self._waiting:
            number, off = edge[0] + self._shift, self._off(edge)
            if abs(off) < WHOLE:
                self._follow(number, edge[1], off)
            self.newest = number
            known.append(Ttl(number, edge[1], edge[2]))
        self._waiting = []
        return known

    def _follow(self, number: int, t_us: int, off: float) -> None:
        """An edge that is on time: phase, and in the end period, are what it says."""
        period_us = self._slope.add(number, t_us)
        if period_us is None:
            self._period_us *= 1 + FOLLOW * off / max(number - self._at, 1)
        else:
            self._period_us = period_us
        self._phase_us = t_us - (1 - PULL) * off * self._period_us
        self._at = number


def numbered_ttls(
    events: Sequence[BoardEvent], times_s: NDArray[np.float64], rate_hz: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and times of the frame TTLs of a session.

    Parameters
    ----------
    events
        Of the board, in the order in which they were heard.
    times_s
        When each was sensed, shape (events,).
    rate_hz
        Of frames over all planes.

    Returns
    -------
    Frame numbers, rising, and times in seconds; both of shape (frames with a TTL,).
    """
    numbers = TtlNumbers(rate_hz)
    found: list[Ttl] = []
    armed = False
    for event, t_s in zip(events, times_s.tolist(), strict=True):
        if event.kind is BoardEventKind.ARMED:
            armed, numbers, found = True, TtlNumbers(rate_hz), []
        elif event.kind is BoardEventKind.FRAME_TTL and armed and event.t_device_us is not None:
            found += numbers.add(int(event.value), event.t_device_us, t_s)
    found += numbers.flush()
    ids = np.array([ttl.number for ttl in found], dtype=np.int64)
    times = np.array([ttl.t_host_s for ttl in found])
    rising = np.concatenate([[True], np.diff(ids) > 0]) if len(ids) else np.empty(0, bool)
    return ids[rising], times[rising]
