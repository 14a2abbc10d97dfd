"""Reading a journal that is still being written, from where the last look ended."""

import os
import zlib
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

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
from bci.recording.scan import next_message

SEARCHED_BYTES = 8 * 1024 * 1024
"""Of a file that was cut: what is written between two looks is a small part of it."""


class TailRecord(NamedTuple):
    """A record that is whole on file.

    Parameters
    ----------
    offset, next_position
        Where it begins, and the record behind it, bytes.
    topic
        Channel.
    number
        Running number of the record, from 0.
    wall_ns, perf_ns
        `time.time_ns` and `time.perf_counter_ns` of what it records.
    """

    offset: int
    next_position: int
    topic: Topic
    number: int
    wall_ns: int
    perf_ns: int

    @property
    def n_payload(self) -> int:
        """Bytes between its head and its CRC."""
        return self.next_position - CRC.size - self.offset - MESSAGE_HEAD.size


class JournalTail:
    """One journal, record by record from any position; payloads are read when asked for.

    A record of which only a part is there yet is not seen; it will be whole at a later look.

    Parameters
    ----------
    path
        The journal, growing or closed.

    Raises
    ------
    FileNotFoundError
        If there is none yet.
    OSError
        If it is no regular file, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = BufferedReader(open_input(path), 64 * 1024)
        self._size = 0
        """Bytes that are known to be there."""
        self._looked_at = (0, 0, 0)

    def __enter__(self) -> "JournalTail":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def first_position(self) -> int:
        """Where the first record begins, bytes; 0: what describes the file is not whole yet."""
        position, size = len(MAGIC), self._file.seek(0, os.SEEK_END)
        for _ in range(RECORDS_BEFORE + 1):
            # a length that is none leads anywhere
            if position > size:
                break
            self._file.seek(position)
            head = self._file.read(RECORD_HEAD.size)
            if len(head) < RECORD_HEAD.size:
                break
            opcode, length = RECORD_HEAD.unpack(head)
            if opcode == MESSAGE:
                return position
            position += RECORD_HEAD.size + length
        return 0

    def record_at(self, position: int) -> TailRecord | None:
        """The record that begins here; None where none is whole yet, or no more will come."""
        self._file.seek(position)
        head = self._file.read(MESSAGE_HEAD.size)
        if len(head) < MESSAGE_HEAD.size:
            return None
        opcode, length, channel, number, wall_ns, perf_ns = MESSAGE_HEAD.unpack(head)
        end = position + RECORD_HEAD.size + length
        if opcode != MESSAGE or length < MESSAGE_OVERHEAD or not 0 < channel <= len(TOPICS):
            return None
        return TailRecord(position, end, TOPICS[channel - 1], number, wall_ns, perf_ns)

    def after_cut(self, position: int, number: int) -> int | None:
        """Where reading goes on if another program cut the file short and the session goes on.

        Parameters
        ----------
        position
            Behind the last record that was read, bytes.
        number
            Of the record that is read next. What is written after a cut has this one or a later.

        Returns
        -------
        int or None
            None if the file was not cut, or nothing whole was written since.
        """
        # seeking to the end also forgets what was read ahead
        size = self._file.seek(0, os.SEEK_END)
        looked_at = (position, number, size)
        if looked_at == self._looked_at or not self._is_cut(position, size):
            return None
        self._looked_at = looked_at
        start = max(0, min(position, size) - SEARCHED_BYTES)
        self._file.seek(start)
        place = next_message(self._file.read(size - start), number)
        return None if place is None else start + place

    def _is_cut(self, position: int, size: int) -> bool:
        """True if what is here was never written behind the record before it."""
        if size < position:
            return True
        self._file.seek(position)
        head = self._file.read(MESSAGE_HEAD.size)
        if len(head) < MESSAGE_HEAD.size or head.startswith(DATA_END_HEAD):
            return False
        record = self.record_at(position)
        if record is None:
            return True
        return record.next_position <= size and self.payload(record) is None

    def payload(self, record: TailRecord, most: int | None = None) -> bytes | None:
        """Payload of a record, or its first `most` bytes; None where it is not whole.

        Its CRC is checked where all of it is read.
        """
        n_payload = record.n_payload
        self._file.seek(record.offset)
        if most is not None:
            content = self._file.read(MESSAGE_HEAD.size + min(most, n_payload))
            whole = len(content) == MESSAGE_HEAD.size + min(most, n_payload)
            return content[MESSAGE_HEAD.size :] if whole else None
        if record.next_position > self._size:
            # a length that is none would ask for as much memory
            self._size = os.fstat(self._file.fileno()).st_size
            if record.next_position > self._size:
                return None
        content = self._file.read(record.next_position - record.offset)
        if len(content) < record.next_position - record.offset:
            return None
        body, crc = content[: -CRC.size], content[-CRC.size :]
        return body[MESSAGE_HEAD.size :] if zlib.crc32(body) == CRC.unpack(crc)[0] else None

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._file.close()
