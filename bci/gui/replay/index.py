"""What a replay must know of a recorded session to go anywhere in it at once."""

from bisect import bisect_right
from pathlib import Path
from threading import Event

import msgspec
import numpy as np

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import Outcome
from bci.core.rewards import RewardFate
from bci.core.stream_types import StreamInfo
from bci.recording.folder import JOURNAL
from bci.recording.history import DECISION_COLUMNS, HistoryChunk, HistoryReader, HistoryRequest
from bci.recording.tail import JournalTail

NO_FLUORESCENCE_NS = 2**62
"""Asks for the fluorescence of no frame."""
TOLD_ONCE = (BoardEventKind.LICK, *(fate.event for fate in RewardFate if fate.ended))
"""What the board told that counts over the whole session."""


class Mark(msgspec.Struct, frozen=True):
    """A place of the journal.

    Parameters
    ----------
    t_ns
        `time.perf_counter_ns` of the first record there.
    position
        Byte at which it begins.
    before
        What is rare in the stretch from the mark before to this one.
    info
        Description of the stream up to here; None before the first.
    """

    t_ns: int
    position: int
    before: HistoryChunk
    info: StreamInfo | None


class TrialMark(msgspec.Struct, frozen=True):
    """Where a trial ended, and how."""

    t_ns: int
    number: int
    outcome: Outcome


class ReplayIndex:
    """Reads a journal once, in a thread of its own; may be asked while it does.

    Parameters
    ----------
    folder
        Of the session.

    Attributes
    ----------
    marks
        Places some seconds apart, in order.
    trials
        Those that ended, in order.
    start_ns, end_ns
        Times of the first and of the last record read so far; 0 before.
    first_frame_ns
        Time of the first stepped frame, 0 s of the session's clock; 0 before one was read.
    done
        True once the journal has been read to its end.
    size, position
        Bytes of the journal, and up to where it has been read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._stopping = Event()
        self.size = self._path.stat().st_size
        self.position = 0
        self.marks: list[Mark] = []
        self.trials: list[TrialMark] = []
        self.start_ns = 0
        self.first_frame_ns = 0
        self.end_ns = 0
        self.done = False

    def read(self) -> None:
        """Read the journal from its beginning to its end, or until `stop`."""
        with JournalTail(self._path) as tail:
            reader, info = HistoryReader(tail), None
            position, before = tail.first_position, HistoryChunk(0, at_end=False)
            while not self._stopping.is_set():
                record = tail.record_at(position)
                if record is None:
                    break
                self.start_ns = self.start_ns or record.perf_ns
                self.end_ns = max(self.end_ns, record.perf_ns)
                self.marks.append(Mark(record.perf_ns, position, before, info))
                chunk = reader.read(HistoryRequest(position, NO_FLUORESCENCE_NS))
                if chunk.position == position:
                    break
                self._take(chunk)
                info = chunk.infos[-1] if chunk.infos else info
                position, before = chunk.position, _rare(chunk)
                self.position = position
            self.done = not self._stopping.is_set()

    def stop(self) -> None:
        """Read no further."""
        self._stopping.set()

    def mark_before(self, t_ns: int) -> int:
        """Place among the marks of the last one at or before a time; 0 where there is none."""
        return max(0, bisect_right(self.marks, t_ns, key=lambda mark: mark.t_ns) - 1)

    def trial_after(self, t_ns: int) -> TrialMark | None:
        """The first trial that ended after a time."""
        place = bisect_right(self.trials, t_ns, key=lambda trial: trial.t_ns)
        return self.trials[place] if place < len(self.trials) else None

    def trial(self, number: int) -> TrialMark | None:
        """A trial by its number, from 1."""
        return next((trial for trial in self.trials if trial.number == number), None)

    def _take(self, chunk: HistoryChunk) -> None:
        decisions = np.frombuffer(chunk.decisions, DECISION_COLUMNS)
        if not self.first_frame_ns:
            stepped = decisions["t_ns"][decisions["frame_id"] >= 0]
            self.first_frame_ns = int(stepped[0]) if len(stepped) else 0
        if len(decisions):
            self.end_ns = max(self.end_ns, int(decisions["t_ns"][-1]))
        first = len(self.trials) + 1
        self.trials += [
            TrialMark(t_ns, number, end.outcome)
            for number, (t_ns, end) in enumerate(chunk.trials, start=first)
        ]


def _rare(chunk: HistoryChunk) -> HistoryChunk:
    """A chunk without what counts for the last minute alone."""
    return msgspec.structs.replace(
        chunk,
        decisions=b"",
        frames=b"",
        sent=b"",
        flips=b"",
        columns=(),
        commands=chunk.commands[-1:],
        board=tuple(event for event in chunk.board if event.kind in TOLD_ONCE),
    )
