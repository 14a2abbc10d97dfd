"""The bytes of a journal around its messages: what stands before the first and after the last.

An MCAP file, unchunked. The layout for readers in other languages is in docs/journal-format.md.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Footer, Header, McapRecord, Schema, Statistics
from mcap.writer import MCAP0_MAGIC

from bci.core.board_types import BoardEvent
from bci.core.calibration import CalibrationResult
from bci.core.loop_types import Decision, LedgerEntry
from bci.core.process import ProcessEvent
from bci.core.stimulus_types import ScreenReport
from bci.core.stream_types import StreamInfo
from bci.recording.records import (
    ClockTied,
    CommandSent,
    JournalEnd,
    JournalStart,
    Note,
    Recovered,
    SequencedEvent,
    Topic,
)

MAGIC: bytes = MCAP0_MAGIC
PROFILE = "two-photon-bci"
LIBRARY = "two-photon-bci journal 1"
MESSAGE_ENCODING = "msgpack+crc32"
FRAME_ENCODING = "frame+crc32"
FRAME_SCHEMA = (
    "u64 sequence, i64 t_received_ns, 64-byte frame header, float32[n_rois]; little-endian"
)

RECORD_HEAD = struct.Struct("<BQ")
"""Opcode and length of every MCAP record."""
MESSAGE_HEAD = struct.Struct("<BQHIQQ")
"""Opcode, length, channel, number of the record, wall time ns, perf_counter ns."""
CRC = struct.Struct("<I")
FRAME_HEAD = struct.Struct("<Qq")
"""Sequence and t_received_ns, before the wire header of a frame."""
MESSAGE_OVERHEAD = MESSAGE_HEAD.size - RECORD_HEAD.size + CRC.size
"""Bytes that a message's length counts besides its payload."""
MESSAGE = int(Opcode.MESSAGE)
DATA_END_HEAD = RECORD_HEAD.pack(Opcode.DATA_END, CRC.size)

TOPICS = tuple(Topic)
CHANNEL_IDS = {topic: number for number, topic in enumerate(TOPICS, start=1)}
RECORDS_BEFORE = 1 + 2 * len(TOPICS)
"""Header, schemas and channels, before the first message."""

PAYLOADS: dict[Topic, Any] = {
    Topic.START: JournalStart,
    Topic.INFO: StreamInfo,
    Topic.EVENT: SequencedEvent,
    Topic.DECISION: Decision,
    Topic.SENT: CommandSent,
    Topic.SCREEN: ScreenReport,
    Topic.BOARD: BoardEvent,
    Topic.LEDGER: LedgerEntry,
    Topic.CALIBRATION: CalibrationResult,
    Topic.PROCESS: ProcessEvent,
    Topic.NOTE: Note,
    Topic.END: JournalEnd,
    Topic.RECOVERY: Recovered,
    Topic.CLOCK: ClockTied,
}
"""Type of each topic's MessagePack; frames are binary."""


class Part(NamedTuple):
    """A stretch of the file that is no message, with a name for people."""

    name: str
    content: bytes


def pack_message(channel: int, number: int, wall_ns: int, perf_ns: int, payload: bytes) -> bytes:
    """One message record with its CRC."""
    head = MESSAGE_HEAD.pack(
        MESSAGE, len(payload) + MESSAGE_OVERHEAD, channel, number, wall_ns, perf_ns
    )
    return b"".join((head, payload, CRC.pack(zlib.crc32(payload, zlib.crc32(head)))))


@cache
def prologue() -> tuple[Part, ...]:
    """Everything before the first message: magic, header, a schema and a channel for each topic."""
    schemas, channels = [], []
    for topic, number in CHANNEL_IDS.items():
        schemas.append(Part(f"schema {topic}", _record(_schema(topic, number))))
        encoding = FRAME_ENCODING if topic is Topic.FRAME else MESSAGE_ENCODING
        channel = Channel(
            id=number, topic=topic.value, message_encoding=encoding, metadata={}, schema_id=number
        )
        channels.append(Part(f"channel {topic}", _record(channel)))
    header = Part("header", _record(Header(PROFILE, LIBRARY)))
    return (Part("magic", MAGIC), header, *schemas, *channels)


def part_names() -> list[str]:
    """Names of the parts of the prologue, in order."""
    return [part.name for part in prologue()]


def parts_of(parts: Sequence[Part]) -> tuple[tuple[int, int], ...]:
    """Length and CRC-32 of each part, as `JournalStart.prologue_parts` holds them."""
    return tuple((len(part.content), zlib.crc32(part.content)) for part in parts)


def epilogue(
    before: Sequence[Part],
    counts: Mapping[int, int],
    times_ns: tuple[int, int],
    data_crc: int,
    data_bytes: int,
) -> list[Part]:
    """Everything after the last message: data end, summary, footer, magic.

    Follows from the records before it, byte for byte, so that every byte of it can be checked.

    Parameters
    ----------
    before
        The prologue, whose schemas and channels the summary repeats.
    counts
        Messages of each channel id that has any.
    times_ns
        Smallest and largest wall time of a message.
    data_crc, data_bytes
        CRC-32 and number of all bytes of the file up to here.
    """
    repeated = [Part(f"summary {part.name}", part.content) for part in before[2:]]
    n_topics = len(repeated) // 2
    statistics = Statistics(
        attachment_count=0,
        channel_count=n_topics,
        channel_message_counts=dict(sorted(counts.items())),
        chunk_count=0,
        message_count=sum(counts.values()),
        message_end_time=times_ns[1],
        message_start_time=times_ns[0],
        metadata_count=0,
        schema_count=n_topics,
    )
    data_end = Part("data end", _record(DataEnd(data_crc)))
    summary = [*repeated, Part("statistics", _record(statistics))]
    summary_start = data_bytes + len(data_end.content)
    guarded = b"".join(part.content for part in summary)
    guarded += struct.pack("<BQQQ", Opcode.FOOTER, 20, summary_start, 0)
    footer = Footer(
        summary_start=summary_start, summary_offset_start=0, summary_crc=zlib.crc32(guarded)
    )
    return [data_end, *summary, Part("footer", _record(footer)), Part("closing magic", MAGIC)]


def _schema(topic: Topic, number: int) -> Schema:
    if topic is Topic.FRAME:
        return Schema(id=number, name="frame", encoding="text", data=FRAME_SCHEMA.encode())
    described = _without_descriptions(msgspec.json.schema(PAYLOADS[topic]))
    data = json.dumps(described, separators=(",", ":"), sort_keys=True).encode()
    return Schema(id=number, name=topic.value, encoding="jsonschema", data=data)


def _without_descriptions(node: Any) -> Any:
    """Docstrings are for the documentation; here they would be most of the bytes."""
    if isinstance(node, dict):
        return {
            key: _without_descriptions(value)
            for key, value in node.items()
            if not (key == "description" and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_without_descriptions(value) for value in node]
    return node


def _record(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    content: bytes = builder.end()  # type: ignore[no-untyped-call]
    return content
