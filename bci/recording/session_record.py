"""A recorded session, read back: what every export, report and replay starts from."""

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from enum import IntFlag
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.config import Session
from bci.core.board_types import BoardEvent
from bci.core.calibration import CalibrationResult
from bci.core.frame_header import HEADER, unpack_frame
from bci.core.light import LitTrials
from bci.core.loop_types import Decision, LedgerEntry, Outcome, TrialEnd
from bci.core.messages import NotAMessage, read_message
from bci.core.process import ProcessEvent
from bci.core.stimulus_types import ScreenReport
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.recording.contents import FRAME_BYTES, DamagedJournal, RecordReader
from bci.recording.folder import JOURNAL, MANIFEST
from bci.recording.layout import CRC, FRAME_HEAD, MESSAGE_HEAD, RECORD_HEAD
from bci.recording.manifest import Manifest, read_manifest, seal_holds
from bci.recording.records import (
    ClockTied,
    CommandSent,
    JournalEnd,
    JournalStart,
    Note,
    Peer,
    Recovered,
    SequencedEvent,
    Topic,
)
from bci.recording.scan import Damage, JournalBytes, Message

_T = TypeVar("_T")

LISTED = 20
"""Losses that are named one by one."""
LARGEST_ID = 2**63 - 1
"""Of a signed column: ids beyond it come in garbage alone, and are shown as this one."""
_FRAME_DTYPE = np.dtype(
    [
        ("sequence", "<u8"),
        ("t_received_ns", "<i8"),
        ("flags", "<u2"),
        ("session_hash", "<u8"),
        ("epoch", "<u4"),
        ("plane", "<u2"),
        ("frame_id", "<u8"),
        ("n_rois", "<u4"),
        ("t_scope_ns", "<i8"),
        ("t_sent_ns", "<i8"),
    ]
)
_FRAME_ROW = struct.Struct("<QqHQIHQIqq")
_FRAME_FIELDS = struct.Struct("<Qq6xHQIH2xQI4xqq8x")
"""The same among the bytes of a frame's record, from its sequence on."""
_DECISION_DTYPE = np.dtype(
    [
        ("sequence", "<u8"),
        ("frame_id", "<i8"),
        ("stepped", "?"),
        ("decoded", "?"),
        ("s", "<f8"),
        ("s3", "<f8"),
        ("angle_deg", "<f8"),
        ("state", "u1"),
        ("trial", "<i8"),
        ("carries", "u1"),
    ]
)
_DECISION_ROW = struct.Struct("<Qq??dddBqB")


class Carries(IntFlag):
    """What a decision carries beside its numbers, as a bit of `decision_table["carries"]`."""

    COMMAND = 1
    REWARD = 2
    TRIAL_END = 4
    RAISED_T = 8
    BLOCKS = 16


class ReceivedFrame(msgspec.Struct, frozen=True):
    """A frame of the ordered list.

    Parameters
    ----------
    sequence
        Its place among frames and events, from 1.
    t_received_ns
        `time.perf_counter_ns` at which control received it.
    """

    sequence: int
    t_received_ns: int
    frame: RoiFrame


class Timed(msgspec.Struct, Generic[_T], frozen=True):
    """A record and when it was made: `time.time_ns` and `time.perf_counter_ns`."""

    wall_ns: int
    perf_ns: int
    value: _T


class Records(Sequence[_T]):
    """The records of one topic, read from the journal when they are asked for.

    Parameters
    ----------
    journal
        The open journal.
    read
        Makes a record of its message: head and payload.
    """

    def __init__(self, journal: JournalBytes, read: Callable[[bytes], _T]) -> None:
        self._journal = journal
        self._read = read
        self._offsets = array("q")

    def note(self, message: Message) -> None:
        """Take in where the next record stands."""
        self._offsets.append(message.offset)

    def add(self, message: Message) -> _T:
        """Take in where the next record stands, and return it."""
        self.note(message)
        return self._read(message.content[: -CRC.size])

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...
    def __getitem__(self, index: int | slice) -> _T | Sequence[_T]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self._at(place) for place in places]
        return self._at(places)

    def __iter__(self) -> Iterator[_T]:
        return map(self._at, range(len(self)))

    def _at(self, place: int) -> _T:
        start = self._offsets[place]
        length = RECORD_HEAD.unpack_from(self._journal.data, start)[1]
        return self._read(self._journal[start : start + RECORD_HEAD.size + length - CRC.size])


class Inputs(Sequence[ReceivedFrame | SequencedEvent]):
    """The one ordered list of frames and events; frames are read from the file when asked for."""

    def __init__(
        self,
        frames: Records[ReceivedFrame],
        frame_sequences: NDArray[np.uint64],
        events: Sequence[SequencedEvent],
    ) -> None:
        self._frames = frames
        self._frame_sequences = frame_sequences
        self._events = events
        # half the bytes: no session has 2 billion inputs
        self._order = np.argsort(self._unsorted(), kind="stable").astype(np.int32)

    @property
    def sequences(self) -> NDArray[np.uint64]:
        """Numbers of the inputs, shape (inputs,)."""
        return self._unsorted()[self._order]

    def _unsorted(self) -> NDArray[np.uint64]:
        of_events = np.array([event.sequence for event in self._events], np.uint64)
        return np.concatenate([self._frame_sequences, of_events])

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> ReceivedFrame | SequencedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ReceivedFrame | SequencedEvent]: ...
    def __getitem__(
        self, index: int | slice
    ) -> ReceivedFrame | SequencedEvent | Sequence[ReceivedFrame | SequencedEvent]:
        if isinstance(index, slice):
            return [self._at(place) for place in self._order[index]]
        return self._at(self._order[index])

    def __iter__(self) -> Iterator[ReceivedFrame | SequencedEvent]:
        return map(self._at, self._order)

    def _at(self, place: np.int32) -> ReceivedFrame | SequencedEvent:
        if place >= len(self._frames):
            return self._events[int(place) - len(self._frames)]
        return self._frames[int(place)]


class SessionRecord:
    """Everything that a session recorded.

    Made by `SessionRecord.read`. Lists are in the order of the journal. What comes with every frame
    stays in the journal and is read when it is asked for; the memory that a record takes grows by
    the columns of `frames` and `decision_table` and by places in the journal, about 150 bytes a
    frame, however many ROIs it has.

    Attributes
    ----------
    folder
        Folder of the session.
    manifest
        Contents of manifest.json; `manifest.outcome` tells how it ended.
    session
        The settings, validated.
    start
        First record of the journal; ties the two clocks.
    infos
        Descriptions of the stream, one for each epoch.
    inputs
        The ordered list that every decision follows from.
    frames
        Headers of all frames, a structured array of shape (frames,). Fields: sequence,
        t_received_ns, flags, session_hash, epoch, plane, frame_id, n_rois, t_scope_ns, t_sent_ns.
    decisions
        One for each input.
    decision_table
        Numbers of all decisions, a structured array of shape (decisions,). Fields: sequence,
        frame_id (at most `LARGEST_ID`), stepped (false: the frame was discarded), decoded, s, s3,
        angle_deg, state, trial, carries (bits of `Carries`).
    sent, board, calibrations
        As recorded; `board` carries its own times.
    events, screen, ledger, notes, processes, clocks
        With the time of each record. `ledger` merges the entries of the decisions with those
        that control, board and screen made themselves.
    lit
        In which trials the board had the light on.
    end
        None: the journal was not closed.
    recoveries
        What each run of `bci recover` left out; empty: the journal is as it was written.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        journal: JournalBytes,
        tell: Callable[[float], None] | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.session: Session = manifest.session_settings()
        self._journal = journal
        self.infos: list[StreamInfo] = []
        self.calibrations: list[CalibrationResult] = []
        self.ledger: list[Timed[LedgerEntry]] = []
        self.notes: list[Timed[Note]] = []
        self.processes: list[Timed[ProcessEvent]] = []
        self.clocks: list[Timed[ClockTied]] = []
        self.events: list[Timed[SequencedEvent]] = []
        self.lit = LitTrials()
        self.end: JournalEnd | None = None
        self.recoveries: list[Recovered] = []
        self.start = JournalStart(manifest.session, manifest.settings_hash, 0, 0)
        plain: dict[Topic, list[Any]] = {
            Topic.INFO: self.infos,
            Topic.CALIBRATION: self.calibrations,
            Topic.RECOVERY: self.recoveries,
        }
        timed: dict[Topic, list[Any]] = {
            Topic.EVENT: self.events,
            Topic.LEDGER: self.ledger,
            Topic.NOTE: self.notes,
            Topic.PROCESS: self.processes,
            Topic.CLOCK: self.clocks,
        }
        reader = RecordReader(journal.path, self.session)
        decoders = reader.decoders
        self._frames = Records(journal, _frame_of)
        read_decision: Callable[[bytes], Decision] = _plain(decoders[Topic.DECISION])
        if manifest.counts_passive_as_misses:
            read_decision = _passive(read_decision)
        self.decisions = Records(journal, read_decision)
        self.sent: Records[CommandSent] = Records(journal, _plain(decoders[Topic.SENT]))
        self.board: Records[BoardEvent] = Records(journal, _plain(decoders[Topic.BOARD]))
        self.screen: Records[Timed[ScreenReport]] = Records(journal, _timed(decoders[Topic.SCREEN]))
        in_plenty: dict[Topic, Records[Any]] = {
            Topic.DECISION: self.decisions,
            Topic.SENT: self.sent,
            Topic.BOARD: self.board,
            Topic.SCREEN: self.screen,
        }
        has_light = self.session.experiment.light.trials != "none"
        lost: list[Damage] = []
        described = b""
        frames, rows = bytearray(), bytearray()
        for message in journal.scan(tell):
            if isinstance(message, Damage):
                lost.append(message)
                continue
            topic = message.topic
            reader.check_times(message)
            if topic is Topic.FRAME:
                head = message.content[MESSAGE_HEAD.size : MESSAGE_HEAD.size + FRAME_BYTES]
                reader.check_frame(message, head, message.payload.stop - message.payload.start)
                self._frames.note(message)
                fields = _FRAME_FIELDS.unpack_from(message.content, MESSAGE_HEAD.size)
                frames += _FRAME_ROW.pack(*fields)
                continue
            if topic in in_plenty:
                try:
                    value = in_plenty[topic].add(message)
                    if topic is Topic.DECISION:
                        rows += _row(value)
                except (NotAMessage, struct.error) as error:
                    raise reader.refused(message, str(error)) from error
                if topic is Topic.DECISION and value.ledger:
                    self.ledger.extend(
                        Timed(message.wall_ns, message.perf_ns, entry) for entry in value.ledger
                    )
                if has_light and topic is Topic.DECISION:
                    if value.light is not None:
                        self.lit.order(value.light)
                    self.lit.count(value.state, value.trial)
                elif has_light and topic is Topic.BOARD:
                    self.lit.hear(value)
                continue
            payload = journal[message.payload]
            if topic is Topic.INFO:
                # it is repeated at each block
                if payload == described:
                    continue
                described = payload
            value = reader.value(message, payload)
            if topic in plain:
                plain[topic].append(value)
            elif topic in timed:
                timed[topic].append(Timed(message.wall_ns, message.perf_ns, value))
            elif topic is Topic.START:
                self.start = value
            else:
                self.end = value
        known = {(span.first, span.last) for found in self.recoveries for span in found.lost}
        for damage in lost:
            if not damage.cut_short and (damage.first, damage.last) not in known:
                raise DamagedJournal(
                    f"{journal.path}: record {damage.first} is damaged, byte {damage.offset}. "
                    f"Run bci verify {folder} to see it, bci recover {folder} to mend it."
                )
        self.frames: NDArray[Any] = np.frombuffer(frames, _FRAME_DTYPE)
        self.decision_table: NDArray[Any] = np.frombuffer(rows, _DECISION_DTYPE)
        self.inputs = Inputs(
            self._frames, self.frames["sequence"], [event.value for event in self.events]
        )
        sequences = self.inputs.sequences
        twice = sequences[1:][sequences[1:] == sequences[:-1]]
        if len(twice):
            raise reader.two_inputs(int(twice[0]))

    @classmethod
    def read(cls, folder: Path, tell: Callable[[float], None] | None = None) -> "SessionRecord":
        """Read a session's folder; of a running session, what is there by now.

        Parameters
        ----------
        folder
            Folder of a session.
        tell
            Called now and then with the part of the journal that was read, 0–1.

        Raises
        ------
        NoManifest
            Where manifest.json is missing or unreadable.
        FileNotFoundError
            Where there is no journal.
        DamagedJournal
            Where a record is damaged or missing.
        """
        return cls(folder, read_manifest(folder), JournalBytes(folder / JOURNAL), tell)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream that the session began with.

        Raises
        ------
        DamagedJournal
            Where the session ended before there was a stream.
        """
        if not self.infos:
            raise DamagedJournal(f"{self.folder}: the session ended before its stream began.")
        return self.infos[0]

    @cached_property
    def sent_ns(self) -> NDArray[np.int64]:
        """When acquisition sent each frame, on control's clock, int64, shape (frames,)."""
        tied = [one for one in self.clocks if one.value.peer is Peer.ACQUISITION]
        offsets_ns = np.array([0, *(one.value.offset_ns for one in tied)])
        since_ns = np.array([one.perf_ns for one in tied])
        newest = np.searchsorted(since_ns, self.frames["t_received_ns"], side="right")
        return np.asarray(self.frames["t_sent_ns"] - offsets_ns[newest])

    def carrying(self, what: Carries) -> Iterator[Decision]:
        """Decisions that carry this, in order."""
        rows = np.flatnonzero(self.decision_table["carries"] & what)
        return (self.decisions[row] for row in rows.tolist())

    @property
    def trials(self) -> list[TrialEnd]:
        """All trials that ended."""
        ends = (decision.trial_end for decision in self.carrying(Carries.TRIAL_END))
        return [end for end in ends if end is not None]

    def plane_rows(self, plane: int) -> NDArray[np.intp]:
        """Rows of `frames` that are of this plane and carry a value for each of its ROIs."""
        n_rois = len(self.info.plane_rois(plane))
        fits = (self.frames["plane"] == plane) & (self.frames["n_rois"] == n_rois)
        return np.flatnonzero(fits)

    def fluorescence(self, plane: int) -> NDArray[np.float32]:
        """Raw counts of one plane, float32, shape (`plane_rows(plane)`, ROIs of the plane)."""
        rows = self.plane_rows(plane)
        traces = np.empty((len(rows), len(self.info.plane_rois(plane))), np.float32)
        for place, row in enumerate(rows.tolist()):
            traces[place] = self._frames[row].frame.fluorescence
        return traces

    @property
    def losses(self) -> list[str]:
        """What is not as it was written, in words; empty: everything is."""
        told = []
        for found in self.recoveries:
            told += [f"lost: {span.detail}" for span in found.lost]
            told += [str(one) for one in found.mended]
        if not seal_holds(self.folder, self.manifest):
            told.append(f"{MANIFEST} was changed after it was written: its seal does not hold")
        n_more = len(told) - LISTED
        return told if n_more <= 0 else [*told[:LISTED], f"and {n_more} more, see bci verify"]

    def decision_of(self, sequence: int) -> Decision | None:
        """The decision that an input led to, None where it was not recorded."""
        sequences = self.decision_table["sequence"]
        place = int(np.searchsorted(sequences, np.uint64(sequence)))
        if place < len(sequences) and sequences[place] == sequence:
            return self.decisions[place]
        return None


def without_passive_miss(decision: Decision) -> Decision:
    """A decision of a passive session of version 0.1.0, its trial's outcome in today's terms.

    Nothing can hit or miss a passive trial: such a trial was called a miss, and is `none` now.
    """
    end = decision.trial_end
    if end is None or end.outcome is not Outcome.MISS:
        return decision
    return msgspec.structs.replace(
        decision, trial_end=msgspec.structs.replace(end, outcome=Outcome.NONE)
    )


def _row(decision: Decision) -> bytes:
    """One row of `SessionRecord.decision_table`."""
    carries = (
        Carries.COMMAND * (decision.command is not None)
        | Carries.REWARD * (decision.reward is not None)
        | Carries.TRIAL_END * (decision.trial_end is not None)
        | Carries.RAISED_T * (decision.raised_t is not None)
        | Carries.BLOCKS * bool(decision.blocks)
    )
    return _DECISION_ROW.pack(
        decision.sequence,
        min(decision.frame_id, LARGEST_ID),
        not decision.discarded,
        decision.decoded,
        decision.s,
        decision.s3,
        decision.angle_deg,
        decision.state,
        decision.trial,
        carries,
    )


def _plain(decoder: msgspec.msgpack.Decoder[_T]) -> Callable[[bytes], _T]:
    """Read the payload of a message."""
    return lambda message: read_message(decoder, message[MESSAGE_HEAD.size :])


def _passive(read: Callable[[bytes], Decision]) -> Callable[[bytes], Decision]:
    """Read decisions of a passive session of version 0.1.0."""
    return lambda message: without_passive_miss(read(message))


def _timed(decoder: msgspec.msgpack.Decoder[_T]) -> Callable[[bytes], Timed[_T]]:
    """Read the payload of a message with its times."""

    def read(message: bytes) -> Timed[_T]:
        wall_ns, perf_ns = MESSAGE_HEAD.unpack_from(message)[-2:]
        return Timed(wall_ns, perf_ns, read_message(decoder, message[MESSAGE_HEAD.size :]))

    return read


def _frame_of(message: bytes) -> ReceivedFrame:
    return read_frame(message[MESSAGE_HEAD.size :])


def read_frame(payload: bytes) -> ReceivedFrame:
    """A frame from the payload of its record.

    Raises
    ------
    bci.core.frame_header.NotAFrame
        Where it holds none.
    """
    sequence, t_received_ns = FRAME_HEAD.unpack_from(payload)
    start = FRAME_HEAD.size + HEADER.size
    frame = unpack_frame(payload[FRAME_HEAD.size : start], payload[start:])
    return ReceivedFrame(sequence, t_received_ns, frame)
