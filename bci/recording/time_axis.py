"""Seconds since the session's start, its first stepped frame, for all that happened."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.core.frame_header import FLAG_END
from bci.core.loop_types import LedgerKind
from bci.recording.device_clock import DeviceClock
from bci.recording.frame_ttls import numbered_ttls
from bci.recording.robust_slope import theil_sen_slope
from bci.recording.session_record import LARGEST_ID, SessionRecord

FEW_FRAMES = 30
"""Below this many frames a slope would tell of jitter, not of the clock."""
FIT_POINTS = 500
"""Theil–Sen compares all pairs; more points than this make it no better than the jitter."""
BURST_FACTOR = 2.0
WRONG_RATE_FACTOR = 20.0
"""Of a session that was found to run at another rate than declared: its slope is the true one."""
_SINCE = "Seconds on the control host's clock since the first stepped frame, negative before it"
_SINCE_JOURNAL = "Seconds on the control host's clock since the start of the journal"


@dataclass(frozen=True)
class Line:
    """Time of the frames of one epoch: `start_s + (frame_id - first_id) * period_s`.

    Parameters
    ----------
    first_id
        First frame that the line is for.
    start_s
        Its time, seconds since the start of the journal.
    period_s
        From one frame id to the next, seconds.
    """

    first_id: int
    start_s: float
    period_s: float


class TimeAxis:
    """The clock of a session on file.

    Live, frames lie on a robust line through the times at which they were received, one line an
    epoch, and everything else at its own time on the control host's clock. A lossless run is
    compressed into as little time as it takes: its axis is frame time, and everything else lies at
    the frame that was last received by then.

    0 s is the first frame that was stepped, whatever its id; in a session without one it is the
    start of the journal. What came before that frame has negative times, and keeps its order and
    its distances.

    Parameters
    ----------
    record
        The session.
    """

    def __init__(self, record: SessionRecord) -> None:
        stream = record.session.rig.stream
        self._record = record
        self._lossless = stream.delivery == "lossless"
        self._virtual_board = self._lossless and record.session.rig.board.kind == "simulated"
        frames = record.frames
        rows = _trusted_rows(record)
        self._ids = np.minimum(frames["frame_id"][rows], LARGEST_ID).astype(np.int64)
        self._received_ns = frames["t_received_ns"][rows]
        # by first frame id, ascending
        self._lines: tuple[Line, ...] = ()
        if not len(rows):
            return
        rate_hz = record.info.rate_hz
        if self._lossless:
            self._lines = (Line(max(self._first_stepped[0], 0), 0.0, 1 / rate_hz),)
            return
        kinds = {one.value.kind for one in record.ledger}
        most = WRONG_RATE_FACTOR if LedgerKind.WRONG_RATE in kinds else BURST_FACTOR
        epochs = frames["epoch"][rows]
        received_s = (self._received_ns - record.start.t_perf_ns) / 1e9
        self._lines = tuple(
            _fit(
                self._ids[epochs == epoch],
                received_s[epochs == epoch],
                rate_hz * stream.speed,
                most,
            )
            for epoch in np.unique(epochs)
        )

    @cached_property
    def _first_stepped(self) -> tuple[int, int]:
        """Frame id of the first frame that was stepped, and its place in the ordered list.

        (-1, 0) if none was.
        """
        table = self._record.decision_table
        rows = np.flatnonzero(table["stepped"] & (table["frame_id"] >= 0))
        if not len(rows):
            return -1, 0
        return int(table["frame_id"][rows[0]]), int(table["sequence"][rows[0]])

    @cached_property
    def _zero_s(self) -> float:
        """0 s of this axis, on the scale that its lines are drawn on."""
        first_id, _ = self._first_stepped
        if first_id < 0 or not self._lines:
            return 0.0
        return float(self._unshifted_s(np.array(first_id)))

    @property
    def start_wall_ns(self) -> int:
        """`time.time_ns` at 0 s."""
        start = self._record.start
        if not self._lossless:
            return start.t_wall_ns + round(self._zero_s * 1e9)
        frames = self._record.frames
        first_id, sequence = self._first_stepped
        place = int(np.searchsorted(frames["sequence"], sequence))
        if first_id < 0 or place == len(frames):
            return start.t_wall_ns
        return start.t_wall_ns + int(frames["t_received_ns"][place]) - start.t_perf_ns

    @cached_property
    def clock(self) -> DeviceClock:
        """The board's clock on this axis."""
        even = not self._lossless or self._virtual_board
        return DeviceClock(self._record.board, self.of_board, pairs=even)

    @cached_property
    def _ttls(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Frame ids of the frame TTLs and their times, s since the start of the journal.

        Each of shape (TTLs,); empty if frames have no TTL.
        """
        record = self._record
        if record.session.rig.board.frame_ttl == "none" or self._lossless:
            return np.empty(0, np.int64), np.empty(0)
        rate_hz = record.info.rate_hz * record.session.rig.stream.speed
        clock = DeviceClock(record.board, self._since_journal_s)
        return numbered_ttls(record.board, clock.times_s, rate_hz)

    @property
    def description(self) -> str:
        """What the times are, in words."""
        if self._lossless:
            return (
                "Lossless run, faster or slower than real time: times are frame time, the number "
                "of frames since the first stepped one over rate_hz, and events lie at the frame "
                "last received before them."
            )
        since = _SINCE if self._first_stepped[0] >= 0 else _SINCE_JOURNAL
        ids, _ = self._ttls
        if len(ids):
            at = self._record.session.rig.board.frame_ttl
            return (
                f"{since}; frames at the times of their TTLs, which come at the {at} of a frame, "
                f"on the board's clock ({self.clock.description}); a frame without one lies "
                "between its neighbours."
            )
        return (
            f"{since}; frames on a robust line (Theil-Sen) through their receive times, one line "
            "an epoch."
        )

    def seconds(self, frame_ids: ArrayLike) -> NDArray[np.float64]:
        """Times of frames, of the same shape; NaN where no frame ever came."""
        ids = np.asarray(frame_ids, dtype=np.int64)
        if not self._lines:
            return np.full(ids.shape, np.nan)
        # last, so that the first stepped frame lies at 0 exactly
        return self._unshifted_s(ids) - self._zero_s

    def _unshifted_s(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        known, times_s = self._ttls
        if len(known) > 1:
            return _between(ids, known, times_s)
        firsts = np.array([line.first_id for line in self._lines])
        which = np.maximum(np.searchsorted(firsts, ids, side="right") - 1, 0)
        starts = np.array([line.start_s for line in self._lines])
        periods = np.array([line.period_s for line in self._lines])
        return np.asarray(starts[which] + (ids - firsts[which]) * periods[which])

    def of_perf(self, perf_ns: int) -> float:
        """Time of something that happened at a `time.perf_counter_ns` of control's host."""
        if not self._lossless:
            return self._since_journal_s(perf_ns) - self._zero_s
        frame_id = self.frame_at(perf_ns)
        return 0.0 if frame_id < 0 else float(self.seconds(frame_id))

    def _since_journal_s(self, perf_ns: int) -> float:
        return (perf_ns - self._record.start.t_perf_ns) / 1e9

    def of_board(self, t_host_ns: int) -> float:
        """Time of a board event."""
        return t_host_ns / 1e9 if self._virtual_board else self.of_perf(t_host_ns)

    def frame_at(self, perf_ns: int) -> int:
        """Last frame received by then; -1 before the first."""
        place = int(np.searchsorted(self._received_ns, perf_ns, side="right")) - 1
        return int(self._ids[place]) if place >= 0 else -1

    def frame_at_board(self, t_host_ns: int) -> int:
        """Last frame received before a board event; -1 before the first."""
        if not self._virtual_board:
            return self.frame_at(t_host_ns)
        place = int(np.searchsorted(self._times_s, t_host_ns / 1e9, side="right")) - 1
        return int(self._ids[place]) if place >= 0 else -1

    @cached_property
    def _times_s(self) -> NDArray[np.float64]:
        return self.seconds(self._ids)

    def rate_of(self, frame_ids: NDArray[np.int64]) -> float | None:
        """Rate of frames without a gap, Hz; None where only timestamps tell their times."""
        if not len(frame_ids) or len(self._ttls[0]) > 1:
            return None
        steps = np.diff(frame_ids)
        first, last = frame_ids[0], frame_ids[-1]
        one_line = not any(first < line.first_id <= last for line in self._lines[1:])
        if not one_line or (len(steps) and not (steps == steps[0]).all()):
            return None
        step = int(steps[0]) if len(steps) else self._record.info.n_planes
        two = self.seconds(np.array([first, first + step]))
        return float(1 / (two[1] - two[0]))


def _trusted_rows(record: SessionRecord) -> NDArray[np.intp]:
    """Rows of `frames` to draw lines through: decoded ones; in an epoch without any, all of it."""
    frames, decisions = record.frames, record.decision_table
    decoded = np.isin(frames["sequence"], decisions["sequence"][decisions["decoded"]])
    ours = np.isin(frames["session_hash"], (0, record.infos[0].session_hash if record.infos else 0))
    ours &= (frames["flags"] & FLAG_END) == 0
    rows = [np.flatnonzero(decoded)]
    known = {info.epoch for info in record.infos}
    for epoch in known - set(frames["epoch"][decoded].tolist()):
        of_epoch = np.flatnonzero(ours & (frames["epoch"] == epoch))
        rows.append(of_epoch[_rising(frames["frame_id"][of_epoch])])
    return np.sort(np.concatenate(rows))


def _between(
    ids: NDArray[np.int64], known: NDArray[np.int64], times_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Times of frames by those that have one; outside of them by the mean period."""
    found = np.interp(ids, known, times_s)
    period_s = (times_s[-1] - times_s[0]) / (known[-1] - known[0])
    found += np.minimum(ids - known[0], 0) * period_s
    found += np.maximum(ids - known[-1], 0) * period_s
    return np.asarray(found)


def _rising(ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Where an id is above all before it."""
    highest = np.maximum.accumulate(np.concatenate([[-1.0], ids.astype(np.float64)]))
    return np.asarray(ids.astype(np.float64) > highest[:-1])


def _fit(
    ids: NDArray[np.int64], received_s: NDArray[np.float64], rate_hz: float, most: float
) -> Line:
    """The line of one epoch; a slope that is off by a factor of `most` or more is not believed."""
    first_id = int(ids[0])
    since = (ids - first_id).astype(np.float64)
    period_s = 1 / rate_hz
    if len(ids) >= FEW_FRAMES:
        some = np.unique(np.linspace(0, len(ids) - 1, FIT_POINTS).astype(np.intp))
        slope = theil_sen_slope(received_s[some], since[some])
        # Frames that arrived in one burst, after a hang, tell nothing of the clock.
        if 1 / most < slope / period_s < most:
            period_s = slope
    return Line(first_id, float(np.median(received_s - since * period_s)), period_s)
