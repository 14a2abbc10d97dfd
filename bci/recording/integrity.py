"""Every byte of a journal, checked; whatever is wrong is named."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from bci.core.loop_types import Decision
from bci.recording.contents import RecordReader
from bci.recording.layout import (
    CHANNEL_IDS,
    CRC,
    MAGIC,
    MESSAGE_HEAD,
    PAYLOADS,
    TOPICS,
    Part,
    epilogue,
    part_names,
)
from bci.recording.mending import LONGEST_BYTES, Mended, decodes, mend
from bci.recording.records import JournalEnd, JournalStart, Recovered, SequencedEvent, Topic
from bci.recording.scan import Damage, JournalBytes, Message
from bci.recording.session_record import read_frame
from bci.recording.single_byte import changed_byte

_FOOTER_BYTES = 29
_IN_PLENTY = (Topic.FRAME, Topic.DECISION, Topic.SENT, Topic.SCREEN, Topic.BOARD)
"""Most of a journal; of these nothing but the CRC is looked at."""


class Defect(NamedTuple):
    """One thing wrong with a session's files.

    Parameters
    ----------
    where
        What is damaged, in words: a record and what it holds, or a part of the file.
    detail
        What is wrong with it.
    offset
        The wrong byte where one can be told, else the first byte of what is damaged; None: a file
        as a whole.
    record
        Number of the damaged or missing record; None: no message.
    topic
        Its topic; None: no message, or unreadable.
    """

    where: str
    detail: str
    offset: int | None
    record: int | None = None
    topic: Topic | None = None

    def __str__(self) -> str:
        place = "" if self.offset is None else f", byte {self.offset} of the file"
        return f"{self.where}{place}: {self.detail}"


class Integrity(NamedTuple):
    """Result of `check_journal`.

    Parameters
    ----------
    defects
        All that is damaged, in the order of the file.
    unclosed
        Why the journal counts as not closed; None: it was closed.
    n_records
        Messages whose CRC holds.
    start, end
        First and last record, put right if one changed byte explains their damage; None if lost.
    recoveries
        What earlier runs of `bci recover` left out.
    prologue_whole
        True where every byte before the first message is as it was written.
    first_message
        Offset of the first message.
    n_inputs
        Frames and events among the messages.
    infos, calibrations
        Records of the descriptions of the stream and of the calibrations, in the order of the
        file; not decoded.
    """

    defects: tuple[Defect, ...]
    unclosed: str | None
    n_records: int
    start: JournalStart | None
    end: JournalEnd | None
    recoveries: tuple[Recovered, ...]
    prologue_whole: bool
    first_message: int
    n_inputs: int = 0
    infos: tuple[Message, ...] = ()
    calibrations: tuple[Message, ...] = ()


def check_journal(
    journal: JournalBytes,
    tell: Callable[[float], None] | None = None,
    take: Callable[[Message], None] | None = None,
) -> Integrity:
    """Check every byte of a journal.

    Messages by their CRCs and numbers, what stands before them by the lengths and CRCs in the
    first record, what stands behind them by rebuilding it.

    Parameters
    ----------
    tell
        Called now and then with the part of the journal that was checked, 0–1.
    take
        Called with every record whose CRC holds, in order.

    Raises
    ------
    DamagedJournal
        If the first, the last or a record of a recovery is whole and not of this program.
    """
    data = journal.data
    damages: list[Damage] = []
    # a Counter takes four times as long to count one
    counted = dict.fromkeys(Topic, 0)
    first_ns = last_ns = -1
    given: dict[Topic, list[Message]] = {Topic.INFO: [], Topic.CALIBRATION: []}
    kept: dict[Topic, list[Any]] = {Topic.START: [], Topic.RECOVERY: [], Topic.END: []}
    first_message = -1
    reader = RecordReader(journal.path)
    for found in journal.scan(tell):
        if first_message < 0:
            first_message = found.offset
        if isinstance(found, Damage):
            damages.append(found)
            continue
        topic, wall_ns = found.topic, found.wall_ns
        counted[topic] += 1
        if wall_ns > last_ns:
            last_ns = wall_ns
        if wall_ns < first_ns or first_ns < 0:
            first_ns = wall_ns
        if take is not None:
            take(found)
        if topic in _IN_PLENTY:
            continue
        if topic in kept:
            kept[topic].append(reader.value(found, found.content[MESSAGE_HEAD.size : -CRC.size]))
        elif topic in given:
            given[topic].append(found)
    mended = {damage: mend(data, damage) for damage in damages}
    for one in (one for found in mended.values() for one in found):
        if one.message.topic in kept:
            kept[one.message.topic].append(reader.value(one.message, one.payload))
    counts = {CHANNEL_IDS[topic]: n for topic, n in counted.items() if n}
    times_ns = (max(first_ns, 0), max(last_ns, 0))
    start = kept[Topic.START][0] if kept[Topic.START] else None
    end = kept[Topic.END][-1] if kept[Topic.END] else None
    known = {(s.first, s.last) for recovery in kept[Topic.RECOVERY] for s in recovery.lost}
    cut = next((d for d in damages if d.cut_short), None)
    defects = [
        defect
        for damage in damages
        if not damage.cut_short and (damage.first, damage.last) not in known
        for defect in _defects_of(data, damage, mended[damage])
    ]
    before = _check_prologue(data, start, first_message)
    defects[:0] = before
    unclosed = None
    if end is not None or data[journal.data_end : journal.data_end + 1] == b"\x0f":
        if end is None and not defects:
            defects.append(Defect("the last record", "missing", journal.data_end))
        after, unclosed = _check_epilogue(journal, start, defects, counts, times_ns)
        defects += after
    elif cut is not None:
        unclosed = f"it ends within record {cut.first}, byte {cut.offset}"
    else:
        unclosed = "it has no last record"
    return Integrity(
        tuple(defects),
        unclosed,
        sum(counts.values()),
        start,
        end,
        tuple(kept[Topic.RECOVERY]),
        start is not None and not before,
        max(first_message, 0),
        counted[Topic.FRAME] + counted[Topic.EVENT],
        tuple(given[Topic.INFO]),
        tuple(given[Topic.CALIBRATION]),
    )


def describe(topic: Topic, payload: bytes) -> str:
    """What a record holds, in words, as far as it can be read."""
    if not decodes(topic, payload):
        return f"{topic}, unreadable"
    if topic is Topic.FRAME:
        received = read_frame(payload)
        return f"frame, sequence {received.sequence}, frame id {received.frame.frame_id}"
    value = msgspec.msgpack.decode(payload, type=PAYLOADS[topic])
    if isinstance(value, Decision):
        return f"decision, sequence {value.sequence}, frame id {value.frame_id}"
    if isinstance(value, SequencedEvent):
        return f"event, sequence {value.sequence}, {type(value.event).__name__}"
    return str(topic)


def _defects_of(data: Any, damage: Damage, mended: Sequence[Mended]) -> list[Defect]:
    offset, size, first, last = damage.offset, damage.size, damage.first, damage.last
    if size == 0:
        return [Defect(_records(first, last), "missing", offset, first)]
    if last < first:
        return [Defect(f"before record {first}", f"{size} bytes that are no record", offset)]
    defects, end = [], offset + size
    for one in mended:
        message = one.message
        if message.number > first:
            defects.append(_damaged(data, offset, message.offset, first, message.number - 1))
        holds = describe(message.topic, one.payload)
        detail = f"it is 0x{one.changed.found:02x} and was 0x{one.changed.original:02x}"
        where = f"record {message.number} ({holds})"
        defects.append(Defect(where, detail, one.changed.place, message.number, message.topic))
        offset, first = message.offset + message.size, message.number + 1
    if first <= last:
        defects.append(_damaged(data, offset, end, first, last))
    return defects


def _damaged(data: Any, offset: int, end: int, first: int, last: int) -> Defect:
    """Records of which more than one byte is wrong."""
    size = end - offset
    if first == last and MESSAGE_HEAD.size + CRC.size <= size <= LONGEST_BYTES:
        channel = MESSAGE_HEAD.unpack_from(data, offset)[2]
        if 0 < channel <= len(TOPICS):
            topic = TOPICS[channel - 1]
            holds = describe(topic, bytes(data[offset + MESSAGE_HEAD.size : end - CRC.size]))
            where = f"record {first} ({holds}, as far as it can be read)"
            return Defect(where, "its CRC does not hold", offset, first, topic)
    return Defect(_records(first, last), f"{size} bytes are damaged", offset, first)


def _records(first: int, last: int) -> str:
    return f"record {first}" if first == last else f"records {first} to {last}"


def _check_prologue(data: Any, start: JournalStart | None, n_bytes: int) -> list[Defect]:
    if start is None:
        return []
    if zlib.crc32(data[:n_bytes]) == start.prologue_crc:
        return []
    defects, offset, shifted = [], 0, n_bytes != sum(part[0] for part in start.prologue_parts)
    names = part_names()
    for place, (length, crc) in enumerate(start.prologue_parts):
        content = bytes(data[offset : offset + length])
        if zlib.crc32(content) != crc:
            name = names[place] if place < len(names) else f"part {place}"
            changed = changed_byte(content, crc)
            if changed is not None and changed.place < length and not shifted:
                detail = f"it is 0x{changed.found:02x} and was 0x{changed.original:02x}"
                defects.append(Defect(name, detail, offset + changed.place))
            else:
                defects.append(Defect(name, "its CRC does not hold", offset))
            if shifted:
                break
        offset += length
    return defects or [Defect("before the first record", "the CRC does not hold", 0)]


def _check_epilogue(
    journal: JournalBytes,
    start: JournalStart | None,
    earlier: Sequence[Defect],
    counts: Mapping[int, int],
    times_ns: tuple[int, int],
) -> tuple[list[Defect], str | None]:
    """What is wrong behind the last message, or why the file counts as not closed."""
    data, offset = journal.data, journal.data_end
    actual = bytes(data[offset:])
    if earlier or start is None:
        return _check_summary(actual, offset)
    before = _prologue_of(data, start)
    expected = epilogue(before, counts, times_ns, journal.crc(offset), offset)
    place = 0
    for part in expected:
        found = actual[place : place + len(part.content)]
        if found != part.content:
            if len(actual) < place + len(part.content) and part.content.startswith(found):
                return [], f"it ends within its {part.name}; no record is lost"
            wrong = next(
                (i for i, pair in enumerate(zip(found, part.content, strict=False))
                 if pair[0] != pair[1]),
                len(found),
            )  # fmt: skip
            return [
                Defect(part.name, "it does not follow from the records", offset + place + wrong)
            ], None
        place += len(part.content)
    if len(actual) > place:
        detail = f"{len(actual) - place} bytes that do not belong to the journal"
        return [Defect("behind the closing magic", detail, offset + place)], None
    return [], None


def _prologue_of(data: Any, start: JournalStart) -> list[Part]:
    parts, offset = [], 0
    for name, (length, _) in zip(part_names(), start.prologue_parts, strict=False):
        parts.append(Part(name, bytes(data[offset : offset + length])))
        offset += length
    return parts


def _check_summary(actual: bytes, offset: int) -> tuple[list[Defect], str | None]:
    """Without whole records to rebuild it from, the summary's own CRC must do."""
    if not actual.endswith(MAGIC) or len(actual) < _FOOTER_BYTES + len(MAGIC):
        return [], "it ends within its summary"
    guarded, stored = actual[: -len(MAGIC) - CRC.size], actual[-len(MAGIC) - CRC.size : -len(MAGIC)]
    if zlib.crc32(guarded[13:]) != CRC.unpack(stored)[0]:
        return [Defect("summary", "its CRC does not hold", offset)], None
    return [], None
