"""Reading a journal's messages past whatever is damaged.

The mcap library stops at the first wrong byte; here reading goes on at the next message whose
CRC holds, and what lies between is told.
"""

import mmap
import os
import re
import struct
import sys
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bci.config.input_file import open_input
from bci.recording.layout import (
    CRC,
    DATA_END_HEAD,
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    MESSAGE_OVERHEAD,
    RECORD_HEAD,
    RECORDS_BEFORE,
    TOPICS,
)
from bci.recording.records import Topic

_OVERHEAD = MESSAGE_HEAD.size + CRC.size
# A message begins with its opcode and a length below 4 GiB; a data end is always the same.
# Looked ahead for, because a chance match may overlap the true one.
_CANDIDATE = re.compile(
    rb"\x05(?=.{4}\x00{4})|\x0f(?=" + re.escape(DATA_END_HEAD[1:]) + rb")", re.DOTALL
)
_UNPACK_HEAD, _crc32 = MESSAGE_HEAD.unpack_from, zlib.crc32
_UNPACK_START = struct.Struct("<BQH").unpack_from
"""Opcode, length and channel."""
_CRC_OF_WHOLE = 0x2144DF1C
"""CRC-32 of any bytes with their own CRC-32 behind them."""
_N_TOPICS = len(TOPICS)
_END = Topic.END
"""Looked up once: to look a member up in its enum takes longer than to compare it."""
_AFTER_DATA_END = (2, 3, 11)
"""Footer, schema or statistics: the records that may follow a data end."""

HELD_BYTES = 64 * 1024 * 1024
"""Of the file that may be in memory at once; what was read longer ago is given back."""
_CRC_BYTES = 1024 * 1024
_N_TOLD = 256
"""How often a scan says how far it is."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One record whose CRC holds.

    Parameters
    ----------
    offset, size
        Where it stands in the file, bytes, all of the record counted.
    number
        Running number of the record, from 0.
    topic
        Channel.
    wall_ns, perf_ns
        `time.time_ns` and `time.perf_counter_ns` of what it records.
    content
        The record as it was read, CRC included.
    """

    offset: int
    size: int
    number: int
    topic: Topic
    wall_ns: int
    perf_ns: int
    content: bytes = b""

    @property
    def payload(self) -> slice:
        """Where the payload stands in the file."""
        return slice(self.offset + MESSAGE_HEAD.size, self.offset + self.size - CRC.size)


class Damage(NamedTuple):
    """A stretch of the file that should hold messages and does not.

    Parameters
    ----------
    offset, size
        Where it stands in the file, bytes; size 0: records are missing.
    first, last
        Numbers of the records that belong there; last < first: none does, the bytes are stray.
    cut_short
        True for the end of a file that was not closed: the beginning of a record, or zeros.
    """

    offset: int
    size: int
    first: int
    last: int
    cut_short: bool = False


def message_at(data: bytes | mmap.mmap, offset: int, expected: int) -> Message | None:
    """The message that stands here whole, its number not below `expected`; None if none does."""
    n_bytes = len(data)
    if offset + _OVERHEAD > n_bytes:
        return None
    opcode, length, channel, number, wall_ns, perf_ns = _UNPACK_HEAD(data, offset)
    end = offset + RECORD_HEAD.size + length
    if (
        opcode != MESSAGE
        or number < expected
        or not 0 < channel <= _N_TOPICS
        or length < MESSAGE_OVERHEAD
        or end > n_bytes
    ):
        return None
    content = data[offset:end]
    if _crc32(content) != _CRC_OF_WHOLE:
        return None
    return Message(offset, end - offset, number, TOPICS[channel - 1], wall_ns, perf_ns, content)


def next_message(data: bytes, expected: int) -> int | None:
    """Offset of the first message that stands whole, its number not below `expected`."""
    places = (candidate.start() for candidate in _CANDIDATE.finditer(data))
    return next((place for place in places if message_at(data, place, expected)), None)


class JournalBytes:
    """A journal's file, mapped into memory; a context.

    Slices of it are bytes. However large the file, only the stretch that is read now takes room.

    Parameters
    ----------
    path
        The journal, closed or still being written.

    Attributes
    ----------
    data
        All bytes that the file had when it was opened.
    data_end
        Offset of the data end record, or of where the messages stop; known after `scan`.
    """

    _held_from = 0
    """Offset from which on the file may be in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data_end = 0
        with open_input(path) as file:
            size = os.fstat(file.fileno()).st_size
            self.data: mmap.mmap | bytes = (
                mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
            )

    def __getitem__(self, where: slice) -> bytes:
        self._hold(where.start)
        return self.data[where]

    def crc(self, n_bytes: int) -> int:
        """CRC-32 of the first bytes of the file."""
        crc = 0
        for start in range(0, n_bytes, _CRC_BYTES):
            crc = zlib.crc32(self[start : min(start + _CRC_BYTES, n_bytes)], crc)
        return crc

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self.data, mmap.mmap):
            self.data.close()

    def __enter__(self) -> "JournalBytes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def scan(self, tell: Callable[[float], None] | None = None) -> Iterator[Message | Damage]:
        """Messages in the order of the file, and the damage between them.

        Parameters
        ----------
        tell
            Called now and then with the part of the file that was read, 0–1.
        """
        data, n_bytes = self.data, len(self.data)
        offset, expected = self._first_message(), 0
        hold_at, tell_at = 0, n_bytes if tell is None else 0
        while offset < n_bytes:
            if offset >= hold_at:
                self._hold(offset)
                hold_at = offset + HELD_BYTES // 2
            if tell is not None and offset >= tell_at:
                tell(offset / n_bytes)
                tell_at = offset + n_bytes // _N_TOLD
            message = message_at(data, offset, expected)
            if message is not None:
                if message.number > expected:
                    yield Damage(offset, 0, expected, message.number - 1)
                yield message
                offset += message.size
                expected = message.number + 1
                if message.topic is _END:
                    break
                continue
            if self._is_data_end(offset):
                break
            found = self._next_whole(offset, expected)
            if found is None:
                rest = data[offset : offset + MESSAGE_HEAD.size]
                yield Damage(
                    offset, n_bytes - offset, expected, expected, self._is_cut_short(offset, rest)
                )
                offset = n_bytes
                break
            last = found[1] - 1 if found[1] is not None else expected
            yield Damage(offset, found[0] - offset, expected, last)
            offset, expected = found[0], last + 1
        self.data_end = offset

    def of_topics(self, topics: Collection[Topic]) -> Iterator[Message]:
        """Whole records of topics of which there are few; the others are stepped over unread.

        The length of each record leads to the next one: what comes behind a damaged length is not
        found.

        Parameters
        ----------
        topics
            Those that are wanted.
        """
        data, n_bytes = self.data, len(self.data)
        channels = {channel for channel, topic in enumerate(TOPICS, start=1) if topic in topics}
        offset, hold_at = self._first_message(), 0
        while offset + _OVERHEAD <= n_bytes:
            if offset >= hold_at:
                self._hold(offset)
                hold_at = offset + HELD_BYTES // 2
            opcode, length, channel = _UNPACK_START(data, offset)
            if opcode != MESSAGE:
                break
            if channel in channels and (message := message_at(data, offset, 0)) is not None:
                yield message
            offset += RECORD_HEAD.size + length

    def _hold(self, offset: int) -> None:
        """Give the pages that were read back, once reading is far from where it was."""
        if 0 <= offset - self._held_from < HELD_BYTES:
            return
        self._held_from = offset
        # Windows has no such call, and takes the pages back itself if memory is short.
        if sys.platform != "win32" and isinstance(self.data, mmap.mmap):
            self.data.madvise(mmap.MADV_DONTNEED)

    def _first_message(self) -> int:
        """Behind the records that stand before the messages, whatever their contents."""
        data, offset = self.data, len(MAGIC)
        for _ in range(RECORDS_BEFORE):
            if offset + RECORD_HEAD.size > len(data):
                break
            opcode, length = RECORD_HEAD.unpack_from(data, offset)
            if opcode == MESSAGE or offset + RECORD_HEAD.size + length > len(data):
                break
            offset += RECORD_HEAD.size + length
        first = message_at(data, offset, 0)
        if first is not None and first.number == 0:
            return offset
        found = self._next_whole(0, 0)
        # Number 0 may be the damaged one: then the messages begin where the lengths lead to.
        return offset if found is None or found[1] != 0 else found[0]

    def _is_data_end(self, offset: int) -> bool:
        data = self.data
        after = offset + len(DATA_END_HEAD) + CRC.size
        return data[offset : offset + len(DATA_END_HEAD)] == DATA_END_HEAD and (
            after >= len(data) or data[after] in _AFTER_DATA_END
        )

    def _next_whole(self, offset: int, expected: int) -> tuple[int, int | None] | None:
        """Next place behind `offset` where a message or the data end stands whole.

        Returns its offset and the message's number, None for the data end.
        """
        for candidate in _CANDIDATE.finditer(self.data, offset + 1):
            place = candidate.start()
            message = message_at(self.data, place, expected)
            if message is not None:
                return place, message.number
            if self._is_data_end(place):
                return place, None
        return None

    def _is_cut_short(self, offset: int, rest: bytes) -> bool:
        if len(rest) < RECORD_HEAD.size:
            return True
        length = RECORD_HEAD.unpack_from(rest)[1]
        if offset + RECORD_HEAD.size + length > len(self.data):
            return True
        return not any(memoryview(self.data)[offset:])
