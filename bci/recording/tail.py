"""Reading a journal that is still being written, from where the last look ended."""

import zlib
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bci.recording.layout import (
    CRC,
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    MESSAGE_OVERHEAD,
    RECORD_HEAD,
    RECORDS_BEFORE,
    TOPICS,
)
from bci.recording.records import Topic


class TailRecord(NamedTuple):
    """A record that is whole on file.

    Parameters
    ----------
    start, next_position
        Where it begins, and the record behind it, bytes.
    topic
        Channel.
    perf_ns
        `time.perf_counter_ns` of what it records.
    """

    start: int
    next_position: int
    topic: Topic
    perf_ns: int


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
        Where there is none yet.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb", buffering=64 * 1024)

    def __enter__(self) -> "JournalTail":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def first_position(self) -> int:
        """Where the first record begins, bytes; 0: what describes the file is not whole yet."""
        position, size = len(MAGIC), self._file.seek(0, SEEK_END)
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
        opcode, length, channel, _, _, perf_ns = MESSAGE_HEAD.unpack(head)
        end = position + RECORD_HEAD.size + length
        if opcode != MESSAGE or length < MESSAGE_OVERHEAD or not 0 < channel <= len(TOPICS):
            return None
        return TailRecord(position, end, TOPICS[channel - 1], perf_ns)

    def payload(self, record: TailRecord, most: int | None = None) -> bytes | None:
        """Payload of a record, or its first `most` bytes; None where it is not whole.

        Its CRC is checked where all of it is read.
        """
        n_payload = record.next_position - CRC.size - record.start - MESSAGE_HEAD.size
        self._file.seek(record.start)
        if most is not None:
            content = self._file.read(MESSAGE_HEAD.size + min(most, n_payload))
            whole = len(content) == MESSAGE_HEAD.size + min(most, n_payload)
            return content[MESSAGE_HEAD.size :] if whole else None
        content = self._file.read(record.next_position - record.start)
        if len(content) < record.next_position - record.start:
            return None
        body, crc = content[: -CRC.size], content[-CRC.size :]
        return body[MESSAGE_HEAD.size :] if zlib.crc32(body) == CRC.unpack(crc)[0] else None

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._file.close()
