"""A session's history in bounded chunks, as windows read it: live, after the fact, or again."""

from math import inf
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand
from bci.core.calibration import CalibrationResult
from bci.core.frame_header import HEADER
from bci.core.loop_types import Decision, LedgerEntry, LoopEvent, TrialEnd
from bci.core.messages import MOST_ITEMS, Count, TimeNs
from bci.core.performance import TaskTime
from bci.core.process import ProcessEvent
from bci.core.stimulus_types import FlipKind, FlipReport, ScreenHello, StimulusCommand
from bci.core.stream_types import StreamInfo
from bci.recording.contents import FRAME_BYTES, DamagedJournal, RecordReader
from bci.recording.layout import FRAME_HEAD
from bci.recording.records import ClockTied, JournalEnd, JournalStart, Topic
from bci.recording.tail import JournalTail, TailRecord

MOST_RECORDS = 3000
MOST_CHUNK_BYTES = 1_000_000
"""Fluorescence and records of other topics; the record that passes it is the last of a chunk."""
NAMES = {
    Topic.LEDGER: "ledger",
    Topic.CALIBRATION: "calibrations",
    Topic.PROCESS: "processes",
    Topic.CLOCK: "clocks",
}
COLUMNS_PER_S = 10.0
"""Frames of each plane whose fluorescence is passed on, a second."""
_T = TypeVar("_T")
_Many = Annotated[tuple[_T, ...], msgspec.Meta(max_length=MOST_ITEMS)]
_Timed = _Many[tuple[int, _T]]

DECISION_COLUMNS = np.dtype(
    [
        ("t_ns", "<i8"),
        ("sequence", "<u8"),
        ("frame_id", "<i8"),
        ("s", "<f4"),
        ("s3", "<f4"),
        ("angle_deg", "<f4"),
        ("state", "u1"),
        ("trial", "<i4"),
    ]
)
FRAME_COLUMNS = np.dtype(
    [("sequence", "<u8"), ("t_received_ns", "<i8"), ("t_sent_ns", "<i8"), ("frame_id", "<i8")]
)
SENT_COLUMNS = np.dtype(
    [
        ("command_id", "<i8"),
        ("t_frame_sent_ns", "<i8"),
        ("t_received_ns", "<i8"),
        ("t_sent_ns", "<i8"),
    ]
)
FLIP_COLUMNS = np.dtype(
    [
        ("command_id", "<i8"),
        ("t_received_ns", "<i8"),
        ("t_draw_ns", "<i8"),
        ("t_flip_ns", "<i8"),
    ]
)


class Column(msgspec.Struct, frozen=True, gc=False):
    """Fluorescence of one plane at one frame.

    Parameters
    ----------
    values
        float32, little-endian, raw counts, in the order of `StreamInfo.plane_rois`.
    """

    frame_id: int
    plane: int
    t_ns: int
    values: bytes


class LightStep(msgspec.Struct, frozen=True, gc=False):
    """What was asked of the light, or what the board reported of it.

    Parameters
    ----------
    place
        Number of the chunk's decisions before it.
    command, event
        One of the two.
    """

    place: int
    command: LightCommand | None = None
    event: BoardEvent | None = None


class HistoryRequest(msgspec.Struct, frozen=True):
    """Asks what came since a position.

    Parameters
    ----------
    position
        Of the last answer; 0: from the beginning.
    fluorescence_since_ns
        Fluorescence of frames received before this `time.perf_counter_ns` is left out.
    number
        Of the last answer: records that were written after another program cut the journal are
        then found. 0: reading ends at the first damage.
    """

    position: Count = 0
    fluorescence_since_ns: TimeNs = 0
    number: Count = 0


class HistoryChunk(msgspec.Struct, frozen=True):
    """What a stretch of the journal holds.

    Parameters
    ----------
    position, number
        Place and running number of the next record, to be asked for next.
    at_end
        True where the journal held no more at that moment.
    start
        Name and clocks; with the first chunk alone.
    infos
        Descriptions of the stream.
    decisions, frames, sent, flips
        Rows of `DECISION_COLUMNS`, `FRAME_COLUMNS`, `SENT_COLUMNS` and `FLIP_COLUMNS`. Discarded
        frames are among the frames, and have no row among the decisions.
    time
        Frame time and rewards of the task in this stretch.
    columns
        Fluorescence, `COLUMNS_PER_S` frames a second of each plane.
    commands, board, ledger, events, trials, calibrations, processes, notes, clocks
        In order, each with its time.
    lights
        Steps of the light, among the decisions.
    screen
        Newest screen that reported.
    end
        Last record of a journal that was closed.
    """

    position: int
    at_end: bool
    start: JournalStart | None = None
    infos: _Many[StreamInfo] = ()
    decisions: bytes = b""
    frames: bytes = b""
    sent: bytes = b""
    flips: bytes = b""
    time: TaskTime = msgspec.field(default_factory=TaskTime)
    columns: _Many[Column] = ()
    commands: _Timed[StimulusCommand] = ()
    board: _Many[BoardEvent] = ()
    ledger: _Timed[LedgerEntry] = ()
    events: _Timed[LoopEvent] = ()
    trials: _Timed[TrialEnd] = ()
    calibrations: _Timed[CalibrationResult] = ()
    processes: _Timed[ProcessEvent] = ()
    notes: _Timed[str] = ()
    clocks: _Timed[ClockTied] = ()
    lights: _Many[LightStep] = ()
    number: int = 0
    screen: ScreenHello | None = None
    end: JournalEnd | None = None


class HistoryReader:
    """Chunks of one journal; for one thread.

    Parameters
    ----------
    tail
        The journal.
    info
        Description of the stream, for a reader that does not begin at the beginning.
    """

    def __init__(self, tail: JournalTail, info: StreamInfo | None = None) -> None:
        self._tail = tail
        self._records = RecordReader(tail.path)
        self._info = info

    def read(self, request: HistoryRequest, until_ns: float = inf) -> HistoryChunk:
        """What follows a position, at most `MOST_RECORDS` records.

        Parameters
        ----------
        until_ns
            Stop before the first record made after this `time.perf_counter_ns`.

        Raises
        ------
        DamagedJournal
            If a record is whole and not of this program.
        """
        tail = self._tail
        gathered = _Gathered(request.fluorescence_since_ns)
        position, number = request.position or tail.first_position, request.number
        at_end = False
        for _ in range(MOST_RECORDS):
            record = tail.record_at(position)
            if record is not None and record.perf_ns > until_ns:
                at_end = True
                break
            if record is None or not self._take(record, gathered):
                place = tail.after_cut(position, number) if request.number else None
                if place is None:
                    at_end = True
                    break
                position = place
                continue
            position, number = record.next_position, record.number + 1
            if record.topic is not Topic.FRAME:
                gathered.n_bytes += record.next_position - record.offset
            if gathered.n_bytes > MOST_CHUNK_BYTES:
                break
        return gathered.chunk(position, at_end, number)

    def _take(self, record: TailRecord, gathered: "_Gathered") -> bool:
        """Sort a record in; False where it is not whole yet."""
        if record.topic is Topic.FRAME:
            return self._take_frame(record, gathered)
        payload = self._tail.payload(record)
        if payload is None:
            return False
        self._records.check_times(record)
        value = self._records.value(record, payload)
        if isinstance(value, StreamInfo):
            self._info = value
        gathered.take(record, value)
        return True

    def _take_frame(self, record: TailRecord, gathered: "_Gathered") -> bool:
        head = self._tail.payload(record, FRAME_BYTES)
        if head is None:
            return False
        try:
            self._records.check_times(record)
            self._records.check_frame(record, head, record.n_payload)
        except DamagedJournal:
            # if another program cut the file, anything may stand behind the cut
            if self._tail.payload(record) is None:
                return False
            raise
        sequence, t_received_ns = FRAME_HEAD.unpack_from(head)
        fields = HEADER.unpack_from(head, FRAME_HEAD.size)
        plane, frame_id, t_sent_ns = fields[5], fields[7], fields[11]
        if frame_id >= 2**63:
            return True
        if t_received_ns >= gathered.fluorescence_since_ns and self._is_passed_on(frame_id):
            payload = self._tail.payload(record)
            if payload is None:
                return False
            column = Column(frame_id, plane, t_received_ns, payload[FRAME_BYTES:])
            gathered.add_column(column)
        gathered.frames.append((sequence, t_received_ns, t_sent_ns, frame_id))
        return True

    def _is_passed_on(self, frame_id: int) -> bool:
        """Whether this is the first frame of its plane within a tenth of a second."""
        info = self._info
        if info is None:
            return True
        turn, turns = frame_id // info.n_planes, info.plane_rate_hz / COLUMNS_PER_S
        return turns <= 1 or int(turn / turns) != int((turn - 1) / turns)


class _Gathered:
    """What one chunk will hold."""

    def __init__(self, fluorescence_since_ns: int) -> None:
        self.fluorescence_since_ns = fluorescence_since_ns
        self.n_bytes = 0
        self.frames: list[tuple[int, int, int, int]] = []
        self._time = TaskTime()
        self._columns: list[Column] = []
        self._decisions: list[tuple[Any, ...]] = []
        self._sent: list[tuple[int, int, int, int]] = []
        self._flips: list[tuple[int, int, int, int]] = []
        self._rare: dict[str, list[Any]] = {}
        self._one: dict[str, Any] = {}

    def add_column(self, column: Column) -> None:
        """Keep the fluorescence of a frame."""
        self._columns.append(column)
        self.n_bytes += len(column.values)

    def take(self, record: TailRecord, value: Any) -> None:
        """Sort a record in that is no frame."""
        t_ns = record.perf_ns
        match record.topic:
            case Topic.DECISION:
                self._decide(t_ns, value)
            case Topic.SENT:
                self._sent.append(
                    (value.command_id, value.t_frame_sent_ns, value.t_received_ns, value.t_sent_ns)
                )
            case Topic.SCREEN if isinstance(value, FlipReport):
                if value.kind is FlipKind.SHOWN:
                    self._flips.append(
                        (value.command_id, value.t_received_ns, value.t_draw_ns, value.t_flip_ns)
                    )
            case Topic.SCREEN if isinstance(value, ScreenHello):
                self._one["screen"] = value
            case Topic.START | Topic.END:
                self._one[record.topic.value] = value
            case Topic.INFO:
                self._rare.setdefault("infos", []).append(value)
            case Topic.BOARD:
                self._rare.setdefault("board", []).append(value)
                if value.kind in (BoardEventKind.LIGHT, BoardEventKind.LOST):
                    self._light(event=value)
            case Topic.EVENT:
                self._keep("events", t_ns, value.event)
            case Topic.NOTE:
                self._keep("notes", t_ns, value.text)
            case topic if topic in NAMES:
                self._keep(NAMES[topic], t_ns, value)

    def _light(self, **step: Any) -> None:
        self._rare.setdefault("lights", []).append(LightStep(len(self._decisions), **step))

    def _decide(self, t_ns: int, decision: Decision) -> None:
        if decision.light is not None:
            self._light(command=decision.light)
        self._time.take(decision)
        if not decision.discarded:
            self._add_row(t_ns, decision)
        if decision.command is not None:
            self._keep("commands", t_ns, decision.command)
        if decision.trial_end is not None:
            self._keep("trials", t_ns, decision.trial_end)
        for entry in decision.ledger:
            self._keep("ledger", t_ns, entry)

    def _add_row(self, t_ns: int, decision: Decision) -> None:
        self._decisions.append(
            (
                t_ns,
                decision.sequence,
                min(decision.frame_id, 2**63 - 1),
                decision.s,
                decision.s3,
                decision.angle_deg,
                decision.state,
                decision.trial,
            )
        )

    def _keep(self, name: str, t_ns: int, value: Any) -> None:
        self._rare.setdefault(name, []).append((t_ns, value))

    def chunk(self, position: int, at_end: bool, number: int) -> HistoryChunk:
        """Everything gathered."""
        rare: dict[str, Any] = {name: tuple(values) for name, values in self._rare.items()}
        return HistoryChunk(
            position,
            at_end,
            decisions=np.array(self._decisions, DECISION_COLUMNS).tobytes(),
            frames=np.array(self.frames, FRAME_COLUMNS).tobytes(),
            sent=np.array(self._sent, SENT_COLUMNS).tobytes(),
            flips=np.array(self._flips, FLIP_COLUMNS).tobytes(),
            time=self._time,
            columns=tuple(self._columns),
            **rare,
            **self._one,
            number=number,
        )
