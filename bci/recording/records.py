"""What each topic of the journal holds.

All but `frame` are MessagePack of the Structs named here. `frame` is binary: u64 sequence, i64
t_received_ns (`time.perf_counter_ns`), the 64-byte wire header and the float32 buffer as they
arrived.
"""

from enum import StrEnum

import msgspec

from bci.core.loop_types import LoopEvent
from bci.core.messages import Count, FrameId, Place, TimeNs


class Topic(StrEnum):
    """Channels of the journal, in the order in which they are registered."""

    START = "start"
    INFO = "info"
    FRAME = "frame"
    EVENT = "event"
    DECISION = "decision"
    SENT = "sent"
    SCREEN = "screen"
    BOARD = "board"
    LEDGER = "ledger"
    CALIBRATION = "calibration"
    PROCESS = "process"
    NOTE = "note"
    END = "end"
    RECOVERY = "recovery"
    CLOCK = "clock"


class JournalStart(msgspec.Struct, frozen=True):
    """First record: whose journal this is; its CRC guards the bytes before it.

    Parameters
    ----------
    session
        Name of the session, as in `StreamInfo.session`.
    settings_hash
        SHA-256 of the resolved settings in the manifest.
    t_wall_ns, t_perf_ns
        `time.time_ns` and `time.perf_counter_ns` of one moment: ties the two clocks.
    prologue_crc
        CRC-32 of all bytes of the file before this record.
    prologue_parts
        Length and CRC-32 of each part of them, in order: magic, header, schemas, channels.
    """

    session: str
    settings_hash: str
    t_wall_ns: TimeNs
    t_perf_ns: TimeNs
    prologue_crc: Count = 0
    prologue_parts: tuple[tuple[Count, Count], ...] = ()


class SequencedEvent(msgspec.Struct, frozen=True):
    """An event and its place among the frames."""

    sequence: Count
    event: LoopEvent


class CommandSent(msgspec.Struct, frozen=True, gc=False):
    """A stimulus command that left control for the first time.

    Parameters
    ----------
    t_frame_sent_ns, t_received_ns
        Of the frame that led to it: sent by acquisition, received by control; 0 where an event did.
    t_sent_ns
        `time.perf_counter_ns` just after the send.
    """

    command_id: Count
    frame_id: FrameId
    t_frame_sent_ns: TimeNs
    t_received_ns: TimeNs
    t_sent_ns: TimeNs


class Peer(StrEnum):
    """Processes whose clock may be another one than control's."""

    ACQUISITION = "acquisition"
    STIMULUS = "stimulus"


class ClockTied(msgspec.Struct, frozen=True):
    """A peer's clock against control's.

    Parameters
    ----------
    peer
        Whose.
    offset_ns, error_ns
        Its `time.perf_counter_ns` minus ours, and how far the true one may lie from that; 0 where
        nothing tells the two apart, as on one host.
    """

    peer: Peer
    offset_ns: TimeNs
    error_ns: TimeNs


class Note(msgspec.Struct, frozen=True):
    """What the operator typed."""

    text: str


class LostSpan(msgspec.Struct, frozen=True):
    """Records that a recovered journal no longer holds.

    Parameters
    ----------
    first, last
        Numbers of the first and last lost record; last < first: bytes that belonged to no record.
    offset, n_bytes
        Where they stood in the damaged file.
    detail
        What was found there, in words.
    """

    first: Count
    last: Place
    offset: Count
    n_bytes: Count
    detail: str


class MendedRecord(msgspec.Struct, frozen=True):
    """A record of which one byte was put right: its CRC tells which one, and what it was.

    Parameters
    ----------
    number, topic
        Of the record.
    offset
        Place of the byte in the damaged file.
    found, written
        The byte as `bci recover` found it, and as it was written.
    """

    number: Count
    topic: Topic
    offset: Count
    found: Count
    written: Count

    def __str__(self) -> str:
        return (
            f"record {self.number} ({self.topic}) mended: one byte was "
            f"0x{self.found:02x}, 0x{self.written:02x} was written"
        )


class Recovered(msgspec.Struct, frozen=True):
    """Written before the last record by `bci recover`: what the journal lost.

    Parameters
    ----------
    n_kept
        Records carried over, those that were mended among them.
    lost
        What was left behind, in order of place; a tail cut short stands here too.
    last_frame_id
        Of the last frame kept; -1: none.
    damaged
        File name of the journal as it was found.
    mended
        Records with one changed byte, which was put right.
    """

    n_kept: Count
    lost: tuple[LostSpan, ...]
    last_frame_id: FrameId
    damaged: str
    mended: tuple[MendedRecord, ...] = ()


class JournalEnd(msgspec.Struct, frozen=True):
    """Last record of a journal that was closed in order.

    Parameters
    ----------
    reason
        Why the session ended, in words.
    n_records
        Records before this one.
    n_refused
        Records that were appended and could not be taken, because the disk did not keep up.
    """

    reason: str
    n_records: Count
    n_refused: Count = 0
