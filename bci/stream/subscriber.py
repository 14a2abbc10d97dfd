"""Frames as control takes them in: in order, bounded, never an exception for what was sent."""

import secrets
from collections import deque
from time import perf_counter_ns

import msgspec
import zmq

from bci.core.frame_header import TOPIC, NotAFrame, unpack_frame
from bci.core.loop_types import Malformed
from bci.core.stream_types import RoiFrame
from bci.stream.access import Access, connect
from bci.stream.sockets import MAX_MESSAGE_BYTES, open_socket

_TOKEN_BYTES = 8


class Received(msgspec.Struct, frozen=True, gc=False):
    """One message of the frame socket.

    Parameters
    ----------
    frame
        The frame, or why it is none.
    header, buffer
        The bytes as they arrived, for the journal; empty where malformed.
    t_received_ns
        `time.perf_counter_ns` at which its first part was taken from the socket.
    """

    frame: RoiFrame | Malformed
    header: bytes
    buffer: bytes
    t_received_ns: int


class FrameSubscriber:
    """Takes frames from a publisher; for one thread.

    Everything that arrives is subscribed to, whatever its topic, so that garbage is seen and not
    filtered out in silence.

    Parameters
    ----------
    endpoint
        Of the publisher.
    queue_frames
        Frames that wait on this side; beyond, they wait at the publisher.
    access
        As the publisher's.
    """

    def __init__(
        self, endpoint: str, *, queue_frames: int = 1000, access: Access | None = None
    ) -> None:
        self._access = access
        self._socket = open_socket(zmq.SUB, queue=queue_frames, max_bytes=MAX_MESSAGE_BYTES)
        self._socket.subscribe(b"")
        self._queue_frames = queue_frames
        self._ahead: deque[Received] = deque()
        self._timeout_ms = -1
        self._endpoint = ""
        self.token = b""
        self.connect(endpoint)

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """To be polled, once `receive` has given None."""
        return self._socket

    @property
    def endpoint(self) -> str:
        """Where frames come from."""
        return self._endpoint

    def connect(self, endpoint: str) -> None:
        """Take frames from another publisher from now on, after those that have arrived.

        `token` is new afterwards: the name by which that publisher sees this subscription.
        """
        if self._endpoint:
            for _ in range(self._queue_frames):
                received = self._read()
                if received is None:
                    break
                self._ahead.append(received)
            self._socket.disconnect(self._endpoint)
            self._socket.unsubscribe(self.token)
        # longer than b"" and so sent after it: who sees the token has seen the subscription
        self.token = b"\xff" + secrets.token_bytes(_TOKEN_BYTES)
        self._socket.subscribe(self.token)
        connect(self._socket, endpoint, self._access)
        self._endpoint = endpoint

    def receive(self) -> Received | None:
        """Next message in order of arrival; None where none waits. Never waits itself."""
        return self._ahead.popleft() if self._ahead else self._read()

    def wait(self, timeout_ms: int) -> Received | None:
        """Next message, waited for at most this long, 1 ms at least.

        Waits in the receiving itself: polling first would put a poll between frame and decision.
        """
        if self._ahead:
            return self._ahead.popleft()
        if timeout_ms != self._timeout_ms:
            self._timeout_ms = timeout_ms
            self._socket.set(zmq.RCVTIMEO, timeout_ms)
        try:
            return self._take(self._socket.recv())
        except zmq.Again:
            return None

    def waiting(self, limit: int) -> int:
        """Messages that wait for `receive`, counted up to `limit`.

        What is counted is taken from the socket, so `receive` until None before polling `socket`.
        """
        # asked first: a vain recv raises, which costs six times as much
        while len(self._ahead) < limit and int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            received = self._read()
            if received is None:
                break
            self._ahead.append(received)
        return min(len(self._ahead), limit)

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self._socket.close(0)

    def _read(self) -> Received | None:
        socket = self._socket
        # asked first, because raising and catching Again costs more than the frame itself
        if socket.get(zmq.EVENTS) != zmq.POLLIN:
            return None
        return self._take(socket.recv(zmq.NOBLOCK))

    def _take(self, topic: bytes) -> Received:
        """Take the rest of a message whose first part has just come."""
        t_received_ns = perf_counter_ns()
        socket = self._socket
        parts = [topic]
        while socket.getsockopt(zmq.RCVMORE):
            parts.append(socket.recv())
        if len(parts) == 3 and topic == TOPIC:
            header, buffer = parts[1], parts[2]
            try:
                return Received(unpack_frame(header, buffer), header, buffer, t_received_ns)
            except NotAFrame as error:
                reason = str(error)
        else:
            reason = wrong_parts(parts)
        malformed = Malformed(reason, sum(map(len, parts)))
        return Received(malformed, b"", b"", t_received_ns)


def wrong_parts(parts: list[bytes]) -> str:
    """Why these parts are not topic, header and buffer."""
    if len(parts) != 3:
        return f"message of {len(parts)} parts, not 3"
    return f"topic {parts[0][:16]!r}, not {TOPIC!r}"
