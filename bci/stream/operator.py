"""What the operator asks of control, and whether it was done."""

from time import perf_counter_ns

import msgspec
import zmq

from bci.core.loop_types import (
    BlockBegun,
    BlockEnded,
    EnsemblesSet,
    Finish,
    LightSet,
    Pause,
    Resume,
    Stop,
)
from bci.core.messages import Count, NoteText, Text, cut
from bci.core.process import ProcessEvent
from bci.stream.errors import StreamError
from bci.stream.inbox import Inbox
from bci.stream.sockets import CONTROL_MESSAGE_BYTES, bind, open_socket, wait_readable
from bci.stream.telemetry import Telemetry

_QUEUE = 100
_GARBAGE_AT_ONCE = 64


class OperatorReward(msgspec.Struct, frozen=True, tag="reward"):
    """One drop by hand.

    Parameters
    ----------
    volume_ul
        None: the volume of the task.
    """

    volume_ul: float | None = None


class OperatorNote(msgspec.Struct, frozen=True, tag="note"):
    """A line for the journal."""

    text: NoteText


class OperatorStatus(msgspec.Struct, frozen=True, tag="status"):
    """Asks for the newest telemetry."""


OperatorRequest = (
    Pause
    | Resume
    | Stop
    | Finish
    | BlockBegun
    | BlockEnded
    | EnsemblesSet
    | LightSet
    | OperatorReward
    | OperatorNote
    | OperatorStatus
    | ProcessEvent
)


class Reply(msgspec.Struct, frozen=True):
    """Whether it was done.

    Parameters
    ----------
    accepted
        False: nothing was changed.
    reason
        Why not, and what to do; or what was done.
    telemetry
        Answer to `OperatorStatus`.
    """

    accepted: bool
    reason: Text = ""
    telemetry: Telemetry | None = None


class Client(msgspec.Struct, frozen=True):
    """Who asked, and which of its requests it was."""

    line: bytes
    number: int


class _Asked(msgspec.Struct, frozen=True):
    number: Count
    request: OperatorRequest


class _Replied(msgspec.Struct, frozen=True):
    number: Count
    reply: Reply


class OperatorServer:
    """Control's end; for one thread. Never waits.

    Parameters
    ----------
    host, port, exposed
        As in `FramePublisher`.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, exposed: bool = False) -> None:
        self._socket = open_socket(zmq.ROUTER, queue=_QUEUE)
        self.endpoint = bind(self._socket, host, port, exposed=exposed)
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[_Asked] = Inbox(_Asked, "operator requests", CONTROL_MESSAGE_BYTES)

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """To be polled."""
        return self._socket

    def receive(self) -> tuple[Client, OperatorRequest] | None:
        """Next request, to be answered with `reply`; None if none waits.

        What cannot be read is refused here and dropped.
        """
        for _ in range(_GARBAGE_AT_ONCE):
            try:
                line, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            asked = self.inbox.read(parts)
            if asked is None:
                self.reply(Client(line, 0), Reply(False, f"not a request: {self.inbox.reason}"))
                continue
            return Client(line, asked.number), asked.request
        return None

    def reply(self, client: Client, reply: Reply) -> None:
        """Answer; a client that has gone is passed over."""
        reply = msgspec.structs.replace(reply, reason=cut(reply.reason))
        payload = self._encoder.encode(_Replied(client.number, reply))
        self._socket.send_multipart([client.line, payload])

    def close(self) -> None:
        """Give the socket back, the last reply leaving first; a second call does nothing."""
        self.inbox.close()
        self._socket.close(100)


class OperatorClient:
    """The end of a window or a terminal; for one thread.

    Parameters
    ----------
    endpoint
        Of the `OperatorServer`.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._socket = open_socket(zmq.DEALER, queue=_QUEUE)
        self._socket.connect(endpoint)
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[_Replied] = Inbox(_Replied, "replies of control", CONTROL_MESSAGE_BYTES)
        self._number = 0

    def ask(self, request: OperatorRequest, timeout_s: float = 2.0) -> Reply:
        """Ask control, once: a request is never sent again by itself (a reward least of all).

        Raises
        ------
        StreamError
            Where control did not answer; it may still carry the request out later.
        """
        self._number += 1
        payload = self._encoder.encode(_Asked(self._number, request))
        asked = type(request).__struct_config__.tag
        try:
            self._socket.send(payload, zmq.NOBLOCK)
        except zmq.Again as error:
            raise self._silent(asked, 0.0) from error
        deadline_ns = perf_counter_ns() + int(timeout_s * 1e9)
        while (left_ns := deadline_ns - perf_counter_ns()) > 0:
            if not wait_readable(self._socket, left_ns / 1e9):
                break
            replied = self.inbox.read(self._socket.recv_multipart())
            if replied is None:
                raise StreamError(
                    f"control at {self._endpoint} answered {asked!r} with something unreadable "
                    f"({self.inbox.reason}): the two programs are of different versions."
                )
            if replied.number == self._number:
                return replied.reply
        raise self._silent(asked, timeout_s)

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self.inbox.close()
        self._socket.close(100)

    def _silent(self, asked: object, timeout_s: float) -> StreamError:
        return StreamError(
            f"control at {self._endpoint} did not answer {asked!r} within {timeout_s:g} s; it may "
            "still do it later. Check that the session is running before asking again."
        )
