"""The doors by which a microscope program hands frames in: ZeroMQ and plain TCP.

What comes in is read straight from the socket, so a program that sends faster than frames are
taken is held back by TCP itself; nothing queues up here without bound.
"""

import contextlib
import select
import socket
import struct
from collections.abc import Collection
from time import monotonic
from typing import Protocol

import zmq

from bci.config.network import is_loopback
from bci.core.frame_header import HEADER, MAX_ROIS, TOPIC, NotAFrame, unpack_frame
from bci.core.loop_types import Malformed
from bci.core.stream_types import RoiFrame
from bci.stream.access import Guard, Peers
from bci.stream.errors import StreamError
from bci.stream.priority import start_transport
from bci.stream.sockets import bind, open_socket, require_loopback, wait_readable
from bci.stream.subscriber import wrong_parts

_LENGTH = struct.Struct("<I")
_ZMQ_QUEUE = 100


def _listed(host: str, peers: Collection[str], *, exposed: bool) -> Peers | None:
    """Who may send to a door; None on loopback, where everybody may.

    Raises
    ------
    StreamError
        If other computers can reach the door, unasked or with no address listed.
    """
    require_loopback(host, exposed=exposed, setting="rig.source")
    if is_loopback(host):
        return None
    if not peers:
        raise StreamError(
            f"rig.source.host = {host!r} can be reached from other computers: list the address of "
            'the one that sends frames, rig.insecure_peers = ["10.0.0.5"].'
        )
    return Peers(peers)


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
    peers
        Addresses that may send; needed beyond loopback.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_rois: int = MAX_ROIS,
        exposed: bool = False,
        peers: Collection[str] = (),
    ) -> None:
        listed = _listed(host, peers, exposed=exposed)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._guard: Guard | None = None
        if listed is not None:
            self._context = zmq.Context()
            start_transport(self._context)
            self._guard = Guard(listed, self._context)
        self._socket = open_socket(
            zmq.PULL,
            queue=_ZMQ_QUEUE,
            context=self._context,
            max_bytes=4 * max_rois + HEADER.size,
        )
        try:
            self._endpoint = bind(self._socket, host, port, exposed=exposed, guard=self._guard)
        except StreamError:
            self.close()
            raise

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
        if self._guard is not None:
            self._guard.close()
        if self._context is not None:
            self._context.term()


class TcpDoor:
    """A listening socket; each frame is a u32 length, then header and values.

    One program at a time, any number in turn. If no whole frame has come for `takeover_s`, the
    next program that connects takes its place, so that a microscope computer that lost power can
    come back. Single bytes and garbage do not count.

    Parameters
    ----------
    host, port, exposed
        As in `FramePublisher`.
    max_rois
        A length beyond these is taken for garbage, and the connection is closed.
    takeover_s
        See above.
    peers
        As in `ZmqDoor`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_rois: int = MAX_ROIS,
        takeover_s: float = 2.0,
        exposed: bool = False,
        peers: Collection[str] = (),
    ) -> None:
        self._peers = _listed(host, peers, exposed=exposed)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=4)
        except OSError as error:
            raise StreamError(
                f"cannot listen on {host}:{port}: {error}. "
                "Set another rig.source.port (0: any free one), or end the program that holds it."
            ) from error
        self._listener.setblocking(False)
        place = f"[{host}]" if ":" in host else self._listener.getsockname()[0]
        self._endpoint = f"tcp://{place}:{self._listener.getsockname()[1]}"
        self._largest = HEADER.size + 4 * max_rois
        self._takeover_s = takeover_s
        self._client: socket.socket | None = None
        self._framed_s = 0.0
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
            arrived = None if self._client is None else self._take_in(self._client)
            if isinstance(arrived, RoiFrame):
                return arrived
            # asked after every message that is no frame: garbage without an end keeps no place
            cut_off = self._let_newcomer_in()
            if arrived is not None or cut_off is not None:
                return arrived or cut_off
            left_s = deadline_s - monotonic()
            if left_s <= 0:
                return None
            self._wait(left_s)

    def close(self) -> None:
        """Give the sockets back; a second call does nothing."""
        self._drop_client()
        self._listener.close()
        if self._peers is not None:
            self._peers.refused.close()

    def _takeover_in_s(self) -> float:
        """How long the program that is connected keeps its place without another frame."""
        if self._client is None:
            return 0.0
        return self._framed_s + self._takeover_s - monotonic()

    def _wait(self, timeout_s: float) -> None:
        """Wait for bytes, or for a newcomer where one may come in."""
        waited_for: list[socket.socket] = [] if self._client is None else [self._client]
        takeover_in_s = self._takeover_in_s()
        if takeover_in_s <= 0:
            waited_for.append(self._listener)
        else:
            timeout_s = min(timeout_s, takeover_in_s)
        select.select(waited_for, [], [], timeout_s)

    def _let_newcomer_in(self) -> Malformed | None:
        """Take the next program's connection where it is due; a frame cut off by it is reported."""
        if self._takeover_in_s() > 0:
            return None
        try:
            newcomer, address = self._listener.accept()
        except OSError:
            # nobody is there, or has gone again
            return None
        if self._peers is not None and not self._peers.admits(address[0]):
            newcomer.close()
            return None
        cut_off = self._cut_off("another program took its place")
        self._drop_client()
        newcomer.setblocking(False)
        self._client, self._framed_s = newcomer, monotonic()
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
            frame = unpack_frame(bytes(message[: HEADER.size]), bytes(message[HEADER.size :]))
        except NotAFrame as error:
            return Malformed(str(error), len(message))
        self._framed_s = monotonic()
        return frame

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
