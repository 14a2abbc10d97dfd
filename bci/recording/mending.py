"""Damaged records put right, if one changed byte explains why their CRC fails."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from bci.core.frame_header import NotAFrame
from bci.recording.layout import (
    CRC,
    MESSAGE,
    MESSAGE_HEAD,
    MESSAGE_OVERHEAD,
    PAYLOADS,
    RECORD_HEAD,
    TOPICS,
)
from bci.recording.records import Topic
from bci.recording.scan import Damage, Message
from bci.recording.session_record import read_frame
from bci.recording.single_byte import ChangedByte, changed_byte

LONGEST_BYTES = 16 * 1024 * 1024
"""Longest record that is searched for the changed byte."""
_SHORTEST_BYTES = MESSAGE_HEAD.size + CRC.size
_CANDIDATE = re.compile(rb"\x05(?=.{4}\x00{4})", re.DOTALL)


class Mended(NamedTuple):
    """A record with its one changed byte put right.

    Parameters
    ----------
    message
        Place, number, topic and times of the record.
    content
        The whole record as it was written.
    changed
        The byte; `place` counts from the start of the file.
    """

    message: Message
    content: bytes
    changed: ChangedByte

    @property
    def payload(self) -> bytes:
        """Payload as it was written."""
        return self.content[MESSAGE_HEAD.size : -CRC.size]


def mend(data: Any, damage: Damage) -> list[Mended]:
    """Find the records of a damaged stretch that one byte puts right.

    A mended record has the right number for its place, and its payload decodes. Records with more
    than one changed byte stay lost; such a record passes for a mended one about once in
    2**32 / (255 × length) times.

    Parameters
    ----------
    data
        Bytes of the journal.
    damage
        Stretch, as `JournalBytes.scan` reports it.
    """
    found: list[Mended] = []
    if damage.cut_short:
        return found
    offset, end, first = damage.offset, damage.offset + damage.size, damage.first
    while first <= damage.last and end - offset >= _SHORTEST_BYTES:
        mended = _mend_at(data, offset, end, first, damage.last)
        if mended is not None:
            found.append(mended)
            offset += mended.message.size
            first = mended.message.number + 1
            continue
        following = next(_starts(data, offset + 1, end, first, damage.last), None)
        if following is None:
            break
        offset = following
    return found


def decodes(topic: Topic, payload: bytes) -> bool:
    """True if a payload holds what its topic promises."""
    try:
        if topic is Topic.FRAME:
            read_frame(payload)
        else:
            msgspec.msgpack.decode(payload, type=PAYLOADS[topic])
    except (NotAFrame, msgspec.MsgspecError, ValueError, IndexError, RecursionError):
        return False
    return True


def _mend_at(data: Any, offset: int, end: int, first: int, last: int) -> Mended | None:
    for size in _sizes(data, offset, end, first, last):
        content = bytes(data[offset : offset + size])
        changed = changed_byte(content[: -CRC.size], CRC.unpack(content[-CRC.size :])[0])
        if changed is None:
            continue
        whole = bytearray(content)
        whole[changed.place] = changed.original
        opcode, length, channel, number, wall_ns, perf_ns = MESSAGE_HEAD.unpack_from(whole)
        if (
            opcode == MESSAGE
            and length + RECORD_HEAD.size == size
            and 0 < channel <= len(TOPICS)
            and first <= number <= last
        ):
            message = Message(offset, size, number, TOPICS[channel - 1], wall_ns, perf_ns)
            there = changed._replace(place=offset + changed.place)
            mended = Mended(message, bytes(whole), there)
            if decodes(message.topic, mended.payload):
                return mended
    return None


def _sizes(data: Any, offset: int, end: int, first: int, last: int) -> list[int]:
    """Sizes that the record here may have: as it says, up to the next one, the whole stretch."""
    sizes = [MESSAGE_HEAD.unpack_from(data, offset)[1] + RECORD_HEAD.size]
    following = next(_starts(data, offset + 1, end, first + 1, last), None)
    if following is not None:
        sizes.append(following - offset)
    if first == last:
        sizes.append(end - offset)
    most = min(end - offset, LONGEST_BYTES)
    return [size for size in dict.fromkeys(sizes) if _SHORTEST_BYTES <= size <= most]


def _starts(data: Any, offset: int, end: int, first: int, last: int) -> Iterator[int]:
    """Places at which a record with one of these numbers seems to begin."""
    for candidate in _CANDIDATE.finditer(data, offset, end):
        place = candidate.start()
        if place + _SHORTEST_BYTES > end:
            return
        _, length, channel, number, _, _ = MESSAGE_HEAD.unpack_from(data, place)
        if (
            first <= number <= last
            and 0 < channel <= len(TOPICS)
            and MESSAGE_OVERHEAD <= length <= end - place - RECORD_HEAD.size
        ):
            yield place
