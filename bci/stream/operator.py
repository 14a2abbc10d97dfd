"""What the operator asks of control, and whether it was done."""

import secrets
from collections import OrderedDict
from contextlib import suppress
from time import perf_counter_ns
from typing import Annotated

import msgspec
import zmq
from msgspec import Meta

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
from bci.stream.access import Access, Guard, connect
from bci.stream.errors import StreamError
from bci.stream.inbox import Inbox
from bci.stream.sockets import CONTROL_MESSAGE_BYTES, bind, open_socket, wait_readable
from bci.stream.telemetry import Telemetry

_QUEUE = 100
_GARBAGE_AT_ONCE = 64
_NAME_BYTES = 16
_CLIENTS = 1000
"""Clients whose newest answer is kept."""
_REPEAT_NS = 500_000_000


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
    """Who asked, and which of its requests it was.

    Parameters
    ----------
    line
        Connection that the answer goes to.
    name, number
        Id of the request: a random name of the client, and a number that it counts up.
    """

    line: bytes
    name: bytes
    number: int


class _Asked(msgspec.Struct, frozen=True):
    client: Annotated[bytes, Meta(max_length=_NAME_BYTES)]
    number: Count
    request: OperatorRequest


class _Replied(msgspec.Struct, frozen=True):
    number: Count
    reply: Reply


class OperatorServer:
    """Control's end; for one thread. Never waits.

    A client that hears no answer repeats its request under the same id. The newest answer to each
    client is kept, so that a repeated request is answered and not carried out again.

    Parameters
    ----------
    host, port, exposed, guard
        As in `bind`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        exposed: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self._socket = open_socket(zmq.ROUTER, queue=_QUEUE)
        self.endpoint = bind(self._socket, host, port, exposed=exposed, guard=guard)
        self._answered: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[_Asked] = Inbox(_Asked, "operator requests", CONTROL_MESSAGE_BYTES)

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """To be polled."""
        return self._socket

    def receive(self) -> tuple[Client, OperatorRequest] | None:
        """Next request, to be answered with `reply`; None if none waits.

        What cannot be read is refused here and dropped; a repeated request is answered here.
        """
        for _ in range(_GARBAGE_AT_ONCE):
            try:
                line, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            asked = self.inbox.read(parts)
            if asked is None:
                self._refuse(line, 0, f"not a request: {self.inbox.reason}")
                continue
            number, answer = self._answered.get(asked.client, (0, b""))
            if asked.number > number:
                return Client(line, asked.client, asked.number), asked.request
            if asked.number == number:
                self._socket.send_multipart([line, answer])
            else:
                self._refuse(line, asked.number, "a newer request of this client was answered")
        return None

    def _refuse(self, line: bytes, number: int, why: str) -> None:
        payload = self._encoder.encode(_Replied(number, Reply(False, cut(why))))
        self._socket.send_multipart([line, payload])

    def reply(self, client: Client, reply: Reply) -> None:
        """Answer; a client that has gone is passed over."""
        reply = msgspec.structs.replace(reply, reason=cut(reply.reason))
        payload = self._encoder.encode(_Replied(client.number, reply))
        self._answered[client.name] = client.number, payload
        self._answered.move_to_end(client.name)
        if len(self._answered) > _CLIENTS:
            self._answered.popitem(last=False)
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
    access
        As the server's guard asks for.
    """

    def __init__(self, endpoint: str, access: Access | None = None) -> None:
        self._endpoint = endpoint
        self._socket = open_socket(zmq.DEALER, queue=_QUEUE)
        connect(self._socket, endpoint, access)
        self._name = secrets.token_bytes(_NAME_BYTES)
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[_Replied] = Inbox(_Replied, "replies of control", CONTROL_MESSAGE_BYTES)
        self._number = 0

    def ask(self, request: OperatorRequest, timeout_s: float = 2.0) -> Reply:
        """Ask control, which carries the request out once, however often it is repeated here.

        Raises
        ------
        StreamError
            Where control did not answer; it may still carry the request out later.
        """
        self._number += 1
        payload = self._encoder.encode(_Asked(self._name, self._number, request))
        asked = type(request).__struct_config__.tag
        t_send_ns = perf_counter_ns()
        deadline_ns = t_send_ns + int(timeout_s * 1e9)
        while (now_ns := perf_counter_ns()) < deadline_ns:
            if now_ns >= t_send_ns:
                t_send_ns = now_ns + _REPEAT_NS
                # the next repetition may find room in a full queue
                with suppress(zmq.Again):
                    self._socket.send(payload, zmq.NOBLOCK)
            if not wait_readable(self._socket, (min(t_send_ns, deadline_ns) - now_ns) / 1e9):
                continue
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
