"""The session's history, served from its journal to whoever looks on; control is never asked."""

import logging
import threading
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns

import msgspec
import zmq

from bci.recording.folder import JOURNAL
from bci.recording.history import HistoryChunk, HistoryReader, HistoryRequest
from bci.recording.tail import JournalTail
from bci.stream.access import Access, Guard, connect
from bci.stream.errors import StreamError
from bci.stream.inbox import Inbox
from bci.stream.priority import Urgency, hurry
from bci.stream.sockets import (
    CONTROL_MESSAGE_BYTES,
    SMALL_MESSAGE_BYTES,
    bind,
    open_socket,
    wait_readable,
)

log = logging.getLogger("bci.history")

_QUEUE = 16
_MOST_CHUNK_BYTES = 3 * CONTROL_MESSAGE_BYTES
"""A chunk ends with the record that fills it, which may hold a whole request."""
_TURN_MS = 50
_NOTHING_YET = HistoryChunk(0, True)


class HistoryServer:
    """Answers what came since a position, from a thread of its own.

    Parameters
    ----------
    folder
        Of the session; its journal may come later.
    host, port, exposed
        As in `FramePublisher`.
    access
        What clients must show; None: nothing, on this computer.

    Raises
    ------
    StreamError
        If the address cannot be bound.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        exposed: bool = False,
        access: Access | None = None,
    ) -> None:
        self._path = folder / JOURNAL
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = open_socket(
            zmq.ROUTER, queue=_QUEUE, context=self._context, max_bytes=SMALL_MESSAGE_BYTES
        )
        self._guard = None if access is None else Guard(access, self._context)
        try:
            self.endpoint = bind(self._socket, host, port, exposed=exposed, guard=self._guard)
        except StreamError:
            self._end_context()
            raise
        self._reader: HistoryReader | None = None
        self._tail: JournalTail | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[HistoryRequest] = Inbox(
            HistoryRequest, "requests for the history", SMALL_MESSAGE_BYTES
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def __enter__(self) -> "HistoryServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End; a second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        self.inbox.close()
        self._socket.close(0)
        self._end_context()
        if self._tail is not None:
            self._tail.close()

    def _end_context(self) -> None:
        if self._guard is not None:
            self._guard.close()
        self._context.term()

    def _run(self) -> None:
        # who looks on waits, not the session
        hurry(Urgency.USUAL)
        while not self._closing.is_set():
            if not self._socket.poll(_TURN_MS):
                continue
            line, *parts = self._socket.recv_multipart()
            request = self.inbox.read(parts)
            if request is None:
                continue
            try:
                answer = self._answer(request)
            # a disk that is gone, or records of a damaged journal
            except (OSError, ValueError, OverflowError, msgspec.MsgspecError) as error:
                # one who asks for what is not there, or a disk that is gone, silences nobody else
                log.warning("history from byte %d: %s", request.position, error)
                continue
            self._socket.send_multipart([line, self._encoder.encode(answer)])

    def _answer(self, request: HistoryRequest) -> HistoryChunk:
        if self._reader is None:
            try:
                self._tail = JournalTail(self._path)
            except FileNotFoundError:
                return _NOTHING_YET
            self._reader = HistoryReader(self._tail)
        return self._reader.read(request)


class HistoryClient:
    """The end of a window; for one thread.

    Parameters
    ----------
    endpoint
        Of the `HistoryServer`.
    access
        As the server asks for.
    """

    def __init__(self, endpoint: str, access: Access | None = None) -> None:
        self._endpoint = endpoint
        self._socket = open_socket(zmq.DEALER, queue=_QUEUE, max_bytes=_MOST_CHUNK_BYTES)
        connect(self._socket, endpoint, access)
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[HistoryChunk] = Inbox(HistoryChunk, "history", _MOST_CHUNK_BYTES)

    def ask(self, request: HistoryRequest, timeout_s: float = 2.0) -> HistoryChunk:
        """The next chunk.

        Raises
        ------
        StreamError
            Where the supervisor does not answer.
        """
        deadline_ns = perf_counter_ns() + int(timeout_s * 1e9)
        # who was refused has nobody to send to
        with suppress(zmq.Again):
            self._socket.send(self._encoder.encode(request), zmq.NOBLOCK)
        if wait_readable(self._socket, max(0.0, (deadline_ns - perf_counter_ns()) / 1e9)):
            chunk = self.inbox.read(self._socket.recv_multipart())
            if chunk is None:
                raise StreamError(
                    f"{self._endpoint} answered something unreadable ({self.inbox.reason}): the "
                    "window and the session are of different versions of the program."
                )
            return chunk
        raise StreamError(f"{self._endpoint}: no history within {timeout_s:g} s")

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self.inbox.close()
        self._socket.close(0)
