"""Stimulus commands from control to the screen: the newest one counts, none is waited for."""

from time import perf_counter_ns
from typing import NamedTuple

import msgspec
import zmq

from bci.core.stimulus_types import StimulusCommand
from bci.stream.access import Access, Guard, connect
from bci.stream.inbox import Inbox
from bci.stream.sockets import SMALL_MESSAGE_BYTES, bind, open_socket, wait_readable

_QUEUE = 16


class CommandPublisher:
    """Control's end; for one thread.

    A message may be lost (a screen that starts, a queue that is full), so the newest command is
    sent again and again.

    Parameters
    ----------
    host, port, exposed
        As in `FramePublisher`.
    resend_s
        Interval at which the newest command is repeated.
    guard
        As in `bind`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        resend_s: float = 0.1,
        exposed: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self._socket = open_socket(zmq.PUB, queue=_QUEUE)
        self.endpoint = bind(self._socket, host, port, exposed=exposed, guard=guard)
        self._encode = msgspec.msgpack.Encoder().encode
        self._send = self._socket.send
        self._resend_ns = int(resend_s * 1e9)
        self._newest: bytes | None = None
        self._t_sent_ns = 0

    def send(self, command: StimulusCommand) -> int:
        """Send a new command; returns `time.perf_counter_ns` just after. Never waits."""
        self._newest = payload = self._encode(command)
        self._send(payload)
        self._t_sent_ns = t_sent_ns = perf_counter_ns()
        return t_sent_ns

    def resend(self) -> bool:
        """Send the newest command again now; False where there is none."""
        if self._newest is None:
            return False
        self._send(self._newest)
        self._t_sent_ns = perf_counter_ns()
        return True

    def resend_if_due(self, now_ns: int) -> bool:
        """Send the newest command again where `resend_s` has passed; True where it was sent."""
        return now_ns - self._t_sent_ns >= self._resend_ns and self.resend()

    def close(self) -> None:
        """Give the socket back, the newest command leaving first; a second call does nothing."""
        self._socket.close(100)


class Arrival(NamedTuple):
    """A command and the `time.perf_counter_ns` at which it came."""

    command: StimulusCommand
    t_received_ns: int


class CommandReceiver:
    """The screen's end: holds the newest command alone; for one thread.

    Parameters
    ----------
    endpoint
        Of the `CommandPublisher`.
    access
        As the publisher's guard asks for.
    """

    def __init__(self, endpoint: str, access: Access | None = None) -> None:
        self._socket = open_socket(zmq.SUB, queue=1, max_bytes=SMALL_MESSAGE_BYTES)
        self._socket.set(zmq.CONFLATE, 1)
        # conflated sockets keep one subscription alone: everything, and no second one
        self._socket.subscribe(b"")
        connect(self._socket, endpoint, access)
        self.inbox: Inbox[StimulusCommand] = Inbox(
            StimulusCommand, "commands to the screen", SMALL_MESSAGE_BYTES
        )
        self._timeout_ms = -1

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """To be polled."""
        return self._socket

    def wait(self, timeout_s: float) -> bool:
        """Wait for a command at most this long; True where `receive` will have one."""
        return wait_readable(self._socket, timeout_s)

    def receive(self) -> StimulusCommand | None:
        """The newest command, once; None if none came. What cannot be read is dropped."""
        try:
            payload = self._socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None
        return self.inbox.read([payload])

    def take(self, timeout_ms: int) -> Arrival | None:
        """Newest command and when it came, waited for at most this long.

        Waits in the receiving itself and stamps before reading, so that the time is that of the
        arrival.
        """
        if timeout_ms != self._timeout_ms:
            self._timeout_ms = timeout_ms
            self._socket.set(zmq.RCVTIMEO, timeout_ms)
        try:
            payload = self._socket.recv()
        except zmq.Again:
            return None
        t_received_ns = perf_counter_ns()
        command = self.inbox.read([payload])
        return None if command is None else Arrival(command, t_received_ns)

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self.inbox.close()
        self._socket.close(0)
