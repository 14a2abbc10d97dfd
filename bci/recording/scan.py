"""Reading a journal's messages past whatever is damaged.

The mcap library stops at the first wrong byte; here reading goes on at the next message whose
CRC holds, and what lies between is told.
"""

import mmap
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
_AFTER_DATA_END = (2, 3, 11)
"""Footer, schema or statistics: the records that may follow a data end."""

HELD_BYTES = 64 * 1024 * 1024
"""Of the file that may be in memory at once; what was read longer ago is given back."""
_CRC_BYTES = 1024 * 1024


class Message(NamedTuple):
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
    """

    offset: int
    size: int
    number: int
    topic: Topic
    wall_ns: int
    perf_ns: int

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
        with path.open("rb") as file:
            size = path.stat().st_size
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

    def scan(self) -> Iterator[Message | Damage]:
        """Messages in the order of the file, and the damage between them."""
        data, n_bytes = self.data, len(self.data)
        offset, expected = self._first_message(), 0
        while offset < n_bytes:
            self._hold(offset)
            message = self._message_at(offset, expected)
            if message is not None:
                if message.number > expected:
                    yield Damage(offset, 0, expected, message.number - 1)
                yield message
                offset += message.size
                expected = message.number + 1
                if message.topic is Topic.END:
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
        first = self._message_at(offset, 0)
        if first is not None and first.number == 0:
            return offset
        found = self._next_whole(0, 0)
        # Number 0 may be the damaged one: then the messages begin where the lengths lead to.
        return offset if found is None or found[1] != 0 else found[0]

    def _message_at(self, offset: int, expected: int) -> Message | None:
        data = self.data
        if offset + _OVERHEAD > len(data):
            return None
        opcode, length, channel, number, wall_ns, perf_ns = MESSAGE_HEAD.unpack_from(data, offset)
        size = length + RECORD_HEAD.size
        if (
            opcode != MESSAGE
            or number < expected
            or not 0 < channel <= len(TOPICS)
            or length < MESSAGE_OVERHEAD
            or offset + size > len(data)
        ):
            return None
        end = offset + size - CRC.size
        if zlib.crc32(data[offset:end]) != CRC.unpack_from(data, end)[0]:
            return None
        return Message(offset, size, number, TOPICS[channel - 1], wall_ns, perf_ns)

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
            message = self._message_at(place, expected)
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
