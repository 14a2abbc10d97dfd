"""The microscope's frame TTLs held against the frames that come: same number, same count."""

from collections import OrderedDict
from typing import Literal

from bci.core.counted import counted
from bci.core.ledger import entry
from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.recording.frame_ttls import AGREE, RESTART_US, TtlNumbers

FIRST_FRAMES = 30
GRACE_NS = 500_000_000
EVERY_NS = 1_000_000_000
KEPT = 4096
EARLY, LATE = -0.25, 0.95
"""Of a period: what the way of frames and of TTLs to this computer may take."""
TIED_US = 1_000_000
"""After a restart of the board: until then its clock is not tied to the host's."""


class FrameClock:
    """Pairs TTL n with frame n, and tells where one has not the other.

    Over the first frames it also holds their times against each other: were the count off by one
    from the start, every frame would come a period too early or too late after its TTL. Where the
    board begins anew it counts from 0 again, and how many frames passed meanwhile follows from the
    period, which may not be known well yet: the times are held against each other once more.

    Parameters
    ----------
    ttl_at
        start or end of a frame: when its TTL comes.
    rate_hz
        Of frames over all planes.

    Attributes
    ----------
    fault
        Why the session cannot go on; empty: it can.
    """

    def __init__(self, ttl_at: Literal["start", "end"], rate_hz: float) -> None:
        self.fault = ""
        self._before = 1.0 if ttl_at == "start" else 0.0
        self._rate_hz = rate_hz
        self._numbers = TtlNumbers(rate_hz)
        self._grace_ns = max(GRACE_NS, round(3 * AGREE * 1e9 / rate_hz))
        self._ttls_ns: OrderedDict[int, int] = OrderedDict()
        self._frames_ns: OrderedDict[int, int] = OrderedDict()
        self._newest_frame = self._newest_ttl = -1
        self._lags: list[float] | None = []
        self._n_first = 0
        self._last_first = -1
        self._newest_us = 0
        self._restarted_us: int | None = None
        self._lags_again: list[float] | None = None
        self._n_again = 0
        self._missing: dict[LedgerKind, list[int]] = {}
        self._shifted: list[LedgerEntry] = []
        self._t_told_ns = 0

    def ttl(self, count: int, t_device_us: int, t_ns: int) -> None:
        """Take in an edge.

        Parameters
        ----------
        count, t_device_us
            As the board told them.
        t_ns
            On the host's clock, as well as it is known.
        """
        self._note_restart(t_device_us)
        for ttl in self._numbers.add(count, t_device_us, t_ns * 1e-9):
            self._take(ttl.number, round(ttl.t_host_s * 1e9))
        while self._numbers.strays:
            self._miss(LedgerKind.TTL_WITHOUT_FRAME, self._numbers.strays.pop())

    def _note_restart(self, t_us: int) -> None:
        if t_us < self._newest_us - RESTART_US:
            self._restarted_us, self._lags_again = t_us, None
        elif self._restarted_us is not None and t_us - self._restarted_us > TIED_US:
            self._restarted_us, self._lags_again, self._n_again = None, [], 0
        self._newest_us = t_us

    def _take(self, number: int, t_ns: int) -> None:
        if number <= self._newest_ttl:
            return
        self._newest_ttl = number
        t_frame_ns = self._frames_ns.pop(number, None)
        if t_frame_ns is not None:
            self._compare(t_frame_ns, t_ns)
        elif number < self._newest_frame:
            # frames come in order: this one's will not come any more
            self._miss(LedgerKind.TTL_WITHOUT_FRAME, number)
        else:
            self._ttls_ns[number] = t_ns
            if len(self._ttls_ns) > KEPT:
                self._ttls_ns.popitem(last=False)

    def frame(self, frame_id: int, t_received_ns: int) -> None:
        """Take in a frame that was stepped."""
        self._newest_frame = frame_id
        t_ttl_ns = self._ttls_ns.pop(frame_id, None)
        if t_ttl_ns is None:
            self._frames_ns[frame_id] = t_received_ns
        else:
            self._compare(t_received_ns, t_ttl_ns)
        while self._ttls_ns and next(iter(self._ttls_ns)) < frame_id:
            number, _ = self._ttls_ns.popitem(last=False)
            self._miss(LedgerKind.TTL_WITHOUT_FRAME, number)
        if self._lags is not None and self._n_first < FIRST_FRAMES:
            self._n_first += 1
            self._last_first = frame_id
        if self._lags_again is not None:
            self._n_again += 1

    def turn(self, now_ns: int) -> list[LedgerEntry]:
        """What the ledger must hold by now."""
        while self._frames_ns:
            frame_id, t_ns = next(iter(self._frames_ns.items()))
            if now_ns - t_ns < self._grace_ns:
                break
            del self._frames_ns[frame_id]
            self._miss(LedgerKind.FRAME_WITHOUT_TTL, frame_id)
        waits = next(iter(self._frames_ns), self._last_first + 1) <= self._last_first
        if self._lags is not None and self._n_first == FIRST_FRAMES and not waits:
            self._judge_start(self._lags)
        if self._lags_again is not None and self._n_again >= 2 * FIRST_FRAMES:
            self._judge_restart(self._lags_again)
        if not (self._missing or self._shifted) or now_ns - self._t_told_ns < EVERY_NS:
            return []
        self._t_told_ns = now_ns
        return self.end()

    def end(self) -> list[LedgerEntry]:
        """What the ledger must hold and has not been told."""
        missing, self._missing = self._missing, {}
        shifted, self._shifted = self._shifted, []
        return shifted + [
            entry(ids[0], kind, f"frames {ids[0]} to {ids[-1]}", len(ids))
            for kind, ids in missing.items()
        ]

    def _miss(self, kind: LedgerKind, number: int) -> None:
        self._missing.setdefault(kind, []).append(number)

    def _compare(self, t_received_ns: int, t_ttl_ns: int) -> None:
        lag = (t_received_ns - t_ttl_ns) * 1e-9 * self._rate_hz - self._before
        for lags in (self._lags, self._lags_again):
            if lags is not None:
                lags.append(lag)

    def _judge_start(self, lags: list[float]) -> None:
        self._lags = None
        if len(lags) < FIRST_FRAMES // 2:
            self.fault = (
                f"frame clock: of the first {self._n_first} frames only {len(lags)} had a TTL. "
                "Look at the cable to the board's frame input, and that the microscope was started "
                'after the session; or set rig.board.frame_ttl = "none"'
            )
            return
        lag = _strange_lag(lags)
        if lag is None:
            return
        self.fault = (
            f"frame clock: TTL 0 belongs to frame {_off_by(lag):+d} of the stream: frames come "
            f"{lag:+.2f} periods after their TTL. An edge before the first frame, or a first "
            "frame without one: arm again, look at the start of the microscope, and at "
            "rig.board.frame_ttl"
        )

    def _judge_restart(self, lags: list[float]) -> None:
        self._lags_again = None
        told = "since the board began anew "
        if len(lags) < FIRST_FRAMES // 2:
            told += f"only {len(lags)} of {counted(self._n_again, 'frame')} had a TTL"
        elif (lag := _strange_lag(lags)) is not None:
            told += f"TTL n belongs to frame n{_off_by(lag):+d}"
        else:
            return
        kind = LedgerKind.FRAME_CLOCK_SHIFTED
        self._shifted.append(entry(self._newest_frame, kind, told, self._n_again))


def _strange_lag(lags: list[float]) -> float | None:
    """Periods that frames come after their TTLs, less what is right; None: as they should."""
    # what waits in a queue comes late: the least of all is the way itself. An edge may be late
    # as well, where the microscope is a simulated one: most of them are not
    least, most = min(lags), sorted(lags)[len(lags) // 2]
    if least < LATE and most >= EARLY:
        return None
    return least if least >= LATE else most


def _off_by(lag: float) -> int:
    return -round(lag) if lag < 0 else -int(lag + 1 - LATE)
