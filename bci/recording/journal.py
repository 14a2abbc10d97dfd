"""The journal of a session: every record on its way to the disk within 0.1 s.

`append` only puts a reference into a queue. A thread of its own encodes what has gathered every
20 ms and hands it to the operating system, a second one asks for it to reach the disk every
second. Nothing wakes the writer: a wake-up would make it compete for the interpreter just when the
loop has a command to send.
"""

import os
import struct
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import msgspec

from bci.recording.exclusive import take
from bci.recording.folder import sync_data, sync_folder
from bci.recording.layout import (
    CHANNEL_IDS,
    FRAME_HEAD,
    epilogue,
    pack_message,
    parts_of,
    prologue,
)
from bci.recording.records import JournalEnd, JournalStart, Topic

FLUSH_S = 0.02
SYNC_S = 1.0
CLOSE_S = 5.0
BUDGET_BYTES = 256 * 1024 * 1024
RECORDS_PER_WRITE = 8
BYTES_PER_WRITE = 64 * 1024
MAX_BYTES_PER_WRITE = 8 * 1024 * 1024


class _FramePayload(NamedTuple):
    sequence: int
    t_received_ns: int
    header: bytes
    buffer: bytes


class _Batch(NamedTuple):
    records: int
    n_bytes: int


class Journal:
    """The file that a session is recorded in; opened once, closed once, never overwritten.

    Parameters
    ----------
    path
        File to create; the folder exists, the file must not.
    start
        First record; the CRCs of the bytes before it are filled in here.
    budget_bytes
        Memory that frames waiting for the disk may take. At half of it `fault` is set, at the
        whole of it further records are refused and counted. Other records are bounded by number,
        one for each 2 KiB of the budget.

    Raises
    ------
    OSError
        Where the file exists, or cannot be made or written.

    Notes
    -----
    `append_frame` is for one thread, the one that steps the loop; `append` for any. Neither waits
    or raises. Once a turn the control process reads `fault` and ends the session where it is set.
    """

    def __init__(
        self, path: Path, start: JournalStart, *, budget_bytes: int = BUDGET_BYTES
    ) -> None:
        self.path = path
        self.n_records = 0
        """Records handed to the operating system or about to be, the first included."""
        self.n_refused = 0
        """Records appended and not taken."""
        self._fault: str | None = None
        self._queue: deque[tuple[Topic, int, int, Any]] = deque()
        self._alarm_records = budget_bytes // 4096
        self._max_records = budget_bytes // 2048
        self._max_frame_bytes = budget_bytes
        self._frame_bytes_in = 0
        self._frame_bytes_out = 0
        self._encoder = msgspec.msgpack.Encoder()
        self._counts: Counter[int] = Counter()
        self._times_ns = (start.t_wall_ns, start.t_wall_ns)
        self._prologue = prologue()
        self._unwritten = bytearray()
        self._data_bytes = 0
        self._data_crc = 0
        self._guarded = 0
        self._synced_bytes = 0
        self._flushed_too: list[Callable[[], None]] = []
        self._closing = threading.Event()
        self._written = threading.Event()
        self._reason = ""
        # what another program cuts off must not become a hole: it shows in the size
        self._file: BinaryIO = open(  # noqa: SIM115 - closed by the writer's thread
            path, "xb", buffering=0, opener=_open_to_append
        )
        take(self._file.fileno())
        try:
            self._write_start(start)
        except OSError:
            self._file.close()
            raise
        self._syncer = threading.Thread(target=self._sync_often, name="journal-sync", daemon=True)
        self._writer = threading.Thread(target=self._write_often, name="journal", daemon=True)
        self._syncer.start()
        self._writer.start()

    @property
    def fault(self) -> str | None:
        """What keeps records from the disk, in words; None: all is well. Once set it stays."""
        if self._fault is None and (
            2 * self.waiting_bytes > self._max_frame_bytes or len(self._queue) > self._alarm_records
        ):
            self._fail(
                f"{self.path}: the disk does not keep up, {len(self._queue)} records wait for it. "
                "Record to a faster disk, or with fewer ROIs."
            )
        return self._fault

    @property
    def waiting_bytes(self) -> int:
        """Fluorescence that waits in memory, bytes."""
        return self._frame_bytes_in - self._frame_bytes_out

    @property
    def is_behind(self) -> bool:
        """True where so much waits that a source that can wait should; `fault` is not near yet."""
        return (
            8 * self.waiting_bytes > self._max_frame_bytes
            or 8 * len(self._queue) > self._max_records > 0
        )

    @property
    def n_bytes(self) -> int:
        """Bytes of the file so far."""
        return self._data_bytes - len(self._unwritten)

    def append(
        self,
        topic: Topic,
        payload: msgspec.Struct | bytes,
        t_wall_ns: int | None = None,
        t_perf_ns: int | None = None,
    ) -> None:
        """Record a payload; the caller must not change it afterwards.

        Parameters
        ----------
        topic
            Channel.
        payload
            The Struct of that topic, or its MessagePack.
        t_wall_ns, t_perf_ns
            `time.time_ns` and `time.perf_counter_ns` of what is recorded; None: now.
        """
        if len(self._queue) >= self._max_records:
            self._refuse(topic)
            return
        self._queue.append(
            (
                topic,
                time.time_ns() if t_wall_ns is None else t_wall_ns,
                time.perf_counter_ns() if t_perf_ns is None else t_perf_ns,
                payload,
            )
        )

    def append_frame(self, sequence: int, t_received_ns: int, header: bytes, buffer: bytes) -> None:
        """Record a frame as it came from the wire.

        Parameters
        ----------
        sequence
            Its place in the list of frames and events.
        t_received_ns
            `time.perf_counter_ns` at which it was received.
        header, buffer
            64-byte wire header and float32 values.
        """
        n_bytes = len(buffer)
        waiting = self._frame_bytes_in - self._frame_bytes_out
        if waiting + n_bytes > self._max_frame_bytes or len(self._queue) >= self._max_records:
            self._refuse(Topic.FRAME)
            return
        self._frame_bytes_in += n_bytes
        frame = _FramePayload(sequence, t_received_ns, header, buffer)
        self._queue.append((Topic.FRAME, time.time_ns(), t_received_ns, frame))

    def close(self, reason: str, timeout_s: float | None = None) -> None:
        """Write what waits, the end and the summary, and bring them to the disk.

        Does not raise and takes at most `timeout_s`, or `CLOSE_S`: afterwards `fault` tells whether
        the journal is whole. A second call does nothing.
        """
        timeout_s = CLOSE_S if timeout_s is None else timeout_s
        if self._closing.is_set():
            return
        self._reason = reason
        self._max_records = -1
        self._closing.set()
        self._writer.join(timeout_s)
        if self._writer.is_alive():
            self._fail(f"{self.path}: not written {timeout_s:g} s after the end. Run bci recover.")

    def every_second(self, flush: Callable[[], None]) -> None:
        """Call `flush` once a second from the thread that waits for the disk; it must not raise."""
        self._flushed_too.append(flush)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("done" if error is None else f"{type(error).__name__}: {error}")

    def _refuse(self, topic: Topic) -> None:
        self.n_refused += 1
        when = "after the end" if self._closing.is_set() else "with the queue full"
        self._fail(f"{self.path}: a record of topic {topic} came {when} and is not in the journal.")

    def _fail(self, fault: str) -> None:
        if self._fault is None:
            self._fault = fault

    def _write_start(self, start: JournalStart) -> None:
        before = b"".join(part.content for part in self._prologue)
        start = msgspec.structs.replace(
            start, prologue_crc=zlib.crc32(before), prologue_parts=parts_of(self._prologue)
        )
        self._compose(before)
        self._compose(
            self._message(Topic.START, start.t_wall_ns, start.t_perf_ns, self._encode(start))
        )
        self._write()
        os.fsync(self._file.fileno())
        sync_folder(self.path.parent)

    def _write_often(self) -> None:
        try:
            while True:
                # Asked before the queue is emptied: what was appended before the end is written.
                closing = self._closing.is_set()
                self._write_waiting()
                if closing:
                    break
                self._closing.wait(FLUSH_S)
            self._finish()
        except BaseException as error:
            self._fail(f"{self.path}: the writer stopped: {type(error).__name__}: {error}")
            raise
        finally:
            self._written.set()
            self._syncer.join()
            self._file.close()

    def _write_waiting(self) -> None:
        if not self._flush():
            return
        n_composed, at_most = 0, self._batch()
        while self._queue:
            topic, wall_ns, perf_ns, payload = self._queue.popleft()
            try:
                message = self._message(topic, wall_ns, perf_ns, self._payload(payload))
            except (TypeError, ValueError, OverflowError, struct.error) as error:
                self.n_refused += 1
                self._fail(f"{self.path}: a record of topic {topic} cannot be written: {error}")
                continue
            self._compose(message)
            n_composed += 1
            if n_composed >= at_most.records or len(self._unwritten) >= at_most.n_bytes:
                if not self._flush():
                    return
                n_composed, at_most = 0, self._batch()
        self._flush()

    def _batch(self) -> _Batch:
        """How much to write at once.

        Little, because each write lets go of the interpreter, which the loop may be waiting for;
        more where much waits, because getting it back may take 5 ms from a loop that never rests.
        """
        return _Batch(
            max(RECORDS_PER_WRITE, len(self._queue) // 8),
            max(BYTES_PER_WRITE, min(self.waiting_bytes // 8, MAX_BYTES_PER_WRITE)),
        )

    def _payload(self, payload: Any) -> bytes:
        if type(payload) is _FramePayload:
            self._frame_bytes_out += len(payload.buffer)
            head = FRAME_HEAD.pack(payload.sequence, payload.t_received_ns)
            return b"".join((head, payload.header, payload.buffer))
        if isinstance(payload, bytes):
            return payload
        return self._encode(payload)

    def _encode(self, payload: Any) -> bytes:
        return self._encoder.encode(payload)

    def _message(self, topic: Topic, wall_ns: int, perf_ns: int, payload: bytes) -> bytes:
        channel = CHANNEL_IDS[topic]
        message = pack_message(channel, self.n_records, wall_ns, perf_ns, payload)
        self.n_records += 1
        self._counts[channel] += 1
        first, last = self._times_ns
        self._times_ns = (min(first, wall_ns), max(last, wall_ns))
        return message

    def _compose(self, content: bytes) -> None:
        self._unwritten += content
        self._data_bytes += len(content)

    def _guard(self) -> None:
        """Take what was composed since into the CRC of all data."""
        with memoryview(self._unwritten) as composed, composed[self._guarded :] as fresh:
            self._data_crc = zlib.crc32(fresh, self._data_crc)
        self._guarded = len(self._unwritten)

    def _write(self) -> None:
        self._guard()
        while self._unwritten:
            n_bytes = self._file.write(self._unwritten)
            del self._unwritten[:n_bytes]
            self._guarded -= n_bytes

    def _flush(self) -> bool:
        """Hand everything composed to the operating system; False: it did not take it."""
        try:
            self._write()
        except OSError as error:
            self._fail(
                f"{self.path}: {error.strerror or error}. Make room on the disk, then run "
                "bci recover: all that was written before is safe."
            )
            return False
        return True

    def _sync_often(self) -> None:
        while not self._written.wait(SYNC_S):
            for flush in self._flushed_too:
                flush()
            n_bytes = self.n_bytes
            self._look(n_bytes)
            if n_bytes == self._synced_bytes:
                continue
            self._sync(sync_data)
            self._synced_bytes = n_bytes

    def _look(self, n_bytes: int) -> None:
        """Notice that another program has cut the file short."""
        try:
            size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            self._fail(f"{self.path}: {error.strerror or error}.")
            return
        if size < n_bytes:
            self._fail(
                f"{self.path}: another program cut it to {size} bytes, {n_bytes} were written. "
                "Run bci recover: it keeps what is left."
            )

    def _sync(self, sync: Callable[[int], None]) -> None:
        try:
            sync(self._file.fileno())
        except OSError as error:
            self._fail(f"{self.path}: the disk does not take it: {error.strerror or error}.")

    def _finish(self) -> None:
        if self._unwritten:
            return
        end = JournalEnd(self._reason, self.n_records, self.n_refused)
        now = (time.time_ns(), time.perf_counter_ns())
        self._compose(self._message(Topic.END, *now, self._encode(end)))
        self._guard()
        after = epilogue(
            self._prologue, self._counts, self._times_ns, self._data_crc, self._data_bytes
        )
        content = b"".join(part.content for part in after)
        self._unwritten += content
        self._data_bytes += len(content)
        if self._flush():
            self._sync(os.fsync)


def _open_to_append(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_APPEND, 0o666)
