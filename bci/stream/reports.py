"""What the screen tells control: flips, misses, that it is there."""

import msgspec
import zmq

from bci.core.stimulus_types import ScreenReport
from bci.stream.access import Access, Guard, connect
from bci.stream.inbox import Inbox
from bci.stream.sockets import SMALL_MESSAGE_BYTES, bind, open_socket

_GARBAGE_AT_ONCE = 64


class ReportSender:
    """The screen's end; for one thread. Never waits: a full queue drops and counts.

    Parameters
    ----------
    endpoint
        Of the `ReportReceiver`.
    queue
        Reports that wait for control.
    access
        As the receiver's guard asks for.
    """

    def __init__(self, endpoint: str, *, queue: int = 1000, access: Access | None = None) -> None:
        self._socket = open_socket(zmq.PUSH, queue=queue)
        connect(self._socket, endpoint, access)
        self._encoder = msgspec.msgpack.Encoder()
        self.dropped = 0

    def send(self, report: ScreenReport) -> bool:
        """Send; False where the queue was full and the report is lost."""
        try:
            self._socket.send(self._encoder.encode(report), zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1
            return False
        return True

    def close(self) -> None:
        """Give the socket back, dropping what control has not taken."""
        self._socket.close(0)


class ReportReceiver:
    """Control's end; for one thread.

    Parameters
    ----------
    host, port, exposed, guard
        As in `bind`.
    queue
        Reports that wait for this process.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        queue: int = 1000,
        exposed: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self._socket = open_socket(zmq.PULL, queue=queue, max_bytes=SMALL_MESSAGE_BYTES)
        self.endpoint = bind(self._socket, host, port, exposed=exposed, guard=guard)
        self.inbox: Inbox[ScreenReport] = Inbox(
            ScreenReport, "reports of the screen", SMALL_MESSAGE_BYTES
        )

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """To be polled."""
        return self._socket

    def receive(self) -> ScreenReport | None:
        """Next report; None if none waits. What cannot be read is dropped."""
        for _ in range(_GARBAGE_AT_ONCE):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            report = self.inbox.read(parts)
            if report is not None:
                return report
        return None

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self.inbox.close()
        self._socket.close(0)
