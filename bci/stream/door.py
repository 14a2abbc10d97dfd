"""The doors by which a microscope program hands frames in: ZeroMQ and plain TCP.

What comes in is read straight from the socket, so a program that sends faster than frames are
taken is held back by TCP itself; nothing queues up here without bound.
"""

import contextlib
import select
import socket
import struct
from time import monotonic
from typing import Protocol

import zmq

from bci.core.frame_header import HEADER, MAX_ROIS, TOPIC, NotAFrame, unpack_frame
from bci.core.loop_types import Malformed
from bci.core.stream_types import RoiFrame
from bci.stream.errors import StreamError
from bci.stream.sockets import bind, open_socket, require_loopback, wait_readable
from bci.stream.subscriber import wrong_parts

_LENGTH = struct.Struct("<I")
_ZMQ_QUEUE = 100


class Door(Protocol):
    """Where a microscope program's frames come in; for one thread."""

    @property
    def endpoint(self) -> str:
        """Address to send to, `tcp://host:port`."""
        ...

    def read(self, timeout_s: float) -> RoiFrame | Malformed | None:
        """Next frame, or why a message was none; None where none came in time."""
        ...

    def close(self) -> None:
        """Give the sockets back; a second call does nothing."""
        ...


class ZmqDoor:
    """A PULL socket, bound; programs connect a PUSH and send `[frame][header][buffer]`.

    Parameters
    ----------
    host, port, exposed
        As in `FramePublisher`.
    max_rois
        More than these in one frame end the connection.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_rois: int = MAX_ROIS,
        exposed: bool = False,
    ) -> None:
        require_loopback(host, exposed=exposed, setting="rig.source")
        self._socket = open_socket(zmq.PULL, queue=_ZMQ_QUEUE, max_bytes=4 * max_rois + HEADER.size)
        self._endpoint = bind(self._socket, host, port, exposed=exposed)

    @property
    def endpoint(self) -> str:
        """Address to send to, `tcp://host:port`."""
        return self._endpoint

    def read(self, timeout_s: float) -> RoiFrame | Malformed | None:
        """Next frame, or why a message was none; None where none came in time."""
        if not wait_readable(self._socket, timeout_s):
            return None
        parts = self._socket.recv_multipart()
        if len(parts) == 3 and parts[0] == TOPIC:
            try:
                return unpack_frame(parts[1], parts[2])
            except NotAFrame as error:
                reason = str(error)
        else:
            reason = wrong_parts(parts)
        return Malformed(reason, sum(map(len, parts)))

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self._socket.close(0)


class TcpDoor:
    """A listening socket; each frame is a u32 length, then header and values.

    One program at a time, any number in turn. While a connection is open but silent for
    `takeover_s`, the next program that connects takes its place, so that a microscope computer
    that lost power can come back.

    Parameters
    ----------
    host, port, exposed
        As in `FramePublisher`.
    max_rois
        A length beyond these is taken for garbage, and the connection is closed.
    takeover_s
        See above.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_rois: int = MAX_ROIS,
        takeover_s: float = 2.0,
        exposed: bool = False,
    ) -> None:
        require_loopback(host, exposed=exposed, setting="rig.source")
        try:
            self._listener = socket.create_server((host, port), backlog=4)
        except OSError as error:
            raise StreamError(
                f"cannot listen on {host}:{port}: {error}. "
                "Set another rig.source.port (0: any free one), or end the program that holds it."
            ) from error
        self._listener.setblocking(False)
        self._endpoint = "tcp://{}:{}".format(*self._listener.getsockname()[:2])
        self._largest = HEADER.size + 4 * max_rois
        self._takeover_s = takeover_s
        self._client: socket.socket | None = None
        self._heard_s = 0.0
        self._in_prefix = True
        self._bytes = bytearray(_LENGTH.size)
        self._filled = 0

    @property
    def endpoint(self) -> str:
        """Address to send to, `tcp://host:port`."""
        return self._endpoint

    def read(self, timeout_s: float) -> RoiFrame | Malformed | None:
        """Next frame, or why what came was none; None where none was complete in time."""
        deadline_s = monotonic() + timeout_s
        while True:
            if self._client is not None:
                arrived = self._take_in(self._client)
                if arrived is not None:
                    return arrived
            left_s = deadline_s - monotonic()
            if left_s <= 0:
                # one look for a newcomer even where nobody may wait
                return self._await_somebody(0.0)
            lost = self._await_somebody(left_s)
            if lost is not None:
                return lost

    def close(self) -> None:
        """Give the sockets back; a second call does nothing."""
        self._drop_client()
        self._listener.close()

    def _await_somebody(self, timeout_s: float) -> Malformed | None:
        """Wait for bytes or for a newcomer; a frame cut off by a newcomer is told."""
        takeover_in_s = 0.0
        waited_for: list[socket.socket] = []
        if self._client is not None:
            waited_for.append(self._client)
            takeover_in_s = self._heard_s + self._takeover_s - monotonic()
        if takeover_in_s <= 0:
            waited_for.append(self._listener)
        else:
            timeout_s = min(timeout_s, takeover_in_s)
        readable, _, _ = select.select(waited_for, [], [], timeout_s)
        if self._listener not in readable or self._client in readable:
            return None
        try:
            newcomer, _ = self._listener.accept()
        except OSError:
            # it has gone again between the two calls
            return None
        cut_off = self._cut_off("another program took its place")
        self._drop_client()
        newcomer.setblocking(False)
        self._client, self._heard_s = newcomer, monotonic()
        return cut_off

    def _take_in(self, client: socket.socket) -> RoiFrame | Malformed | None:
        """Read what has arrived, up to the end of one message."""
        while True:
            try:
                n_bytes = client.recv_into(memoryview(self._bytes)[self._filled :])
            except BlockingIOError:
                return None
            except OSError as error:
                return self._end_client(f"connection lost ({error.strerror})")
            if n_bytes == 0:
                return self._end_client("connection closed")
            self._heard_s = monotonic()
            self._filled += n_bytes
            if self._filled < len(self._bytes):
                continue
            if not self._in_prefix:
                return self._frame()
            (length,) = _LENGTH.unpack(self._bytes)
            if not HEADER.size <= length <= self._largest:
                self._drop_client()
                return Malformed(
                    f"length prefix {length}, not {HEADER.size} to {self._largest}: "
                    "connection closed",
                    _LENGTH.size,
                )
            self._in_prefix, self._bytes, self._filled = False, bytearray(length), 0

    def _frame(self) -> RoiFrame | Malformed:
        message = memoryview(self._bytes)
        self._expect_prefix()
        try:
            return unpack_frame(bytes(message[: HEADER.size]), bytes(message[HEADER.size :]))
        except NotAFrame as error:
            return Malformed(str(error), len(message))

    def _end_client(self, how: str) -> Malformed | None:
        cut_off = self._cut_off(how)
        self._drop_client()
        return cut_off

    def _cut_off(self, how: str) -> Malformed | None:
        if self._in_prefix and self._filled == 0:
            return None
        what = "length prefix" if self._in_prefix else "frame"
        return Malformed(
            f"{how} after {self._filled} of {len(self._bytes)} bytes of a {what}", self._filled
        )

    def _drop_client(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
            self._client.close()
            self._client = None
        self._expect_prefix()

    def _expect_prefix(self) -> None:
        self._in_prefix, self._bytes, self._filled = True, bytearray(_LENGTH.size), 0
