"""How a session of frames starts: describe, start, credit, stop, status; acquisition's end."""

import threading
from time import perf_counter_ns
from typing import Annotated

import msgspec
import zmq
from msgspec import Meta

from bci.core.messages import Count, Text, TimeNs, cut
from bci.core.stream_types import StreamInfo
from bci.stream.access import Guard
from bci.stream.errors import StreamError
from bci.stream.inbox import Inbox
from bci.stream.publisher import Delivery, FramePublisher
from bci.stream.sockets import SMALL_MESSAGE_BYTES, bind, open_socket, wait_readable

_QUEUE = 1000
_SUBSCRIPTION_POLL_S = 0.002
_SUBSCRIPTION_PATIENCE_NS = 10_000_000_000
_REQUESTS_AT_ONCE = 100
_MOST_TOKEN_BYTES = 64


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Asks what is sent."""


class StartStream(msgspec.Struct, frozen=True, tag="start"):
    """Asks for frames, once the subscription has been seen.

    Parameters
    ----------
    delivery
        live or lossless.
    credits
        Frames granted at once (lossless).
    token
        `FrameSubscriber.token`.
    """

    delivery: Delivery
    credits: Count
    token: Annotated[bytes, Meta(max_length=_MOST_TOKEN_BYTES)]


class Credit(msgspec.Struct, frozen=True, tag="credit"):
    """Grants so many more frames; not answered."""

    n: Count


class StopStream(msgspec.Struct, frozen=True, tag="stop"):
    """Asks for no more frames."""


class StatusRequest(msgspec.Struct, frozen=True, tag="status"):
    """Asks how far acquisition is."""


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Asks for the time on acquisition's clock."""


class Request(msgspec.Struct, frozen=True):
    """A request and its number, which the answer repeats."""

    number: Count
    body: Describe | StartStream | Credit | StopStream | StatusRequest | Ping


class Described(msgspec.Struct, frozen=True, tag="described"):
    """The stream."""

    info: StreamInfo


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The subscription was seen; the first frame follows."""

    epoch: Count


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """No more frames."""


class StreamStatus(msgspec.Struct, frozen=True, tag="status"):
    """How far the publisher is.

    Parameters
    ----------
    delivery
        live or lossless.
    frames_sent
        Since acquisition started; live drops at a full queue are among them and show as gaps.
    last_frame_id
        Of the frame last sent; -1: none yet.
    credits_left
        Frames that may be sent without another credit (lossless).
    t_first_sent_ns
        `time.perf_counter_ns` of acquisition at its first frame; 0: none yet.
    ended
        The source has ended: `last_frame_id` was the last.
    """

    delivery: Delivery
    frames_sent: Count
    last_frame_id: int
    credits_left: Count
    t_first_sent_ns: TimeNs
    ended: bool


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """`time.perf_counter_ns` of acquisition."""

    t_ns: TimeNs


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Not done, and why."""

    reason: Text


class Answer(msgspec.Struct, frozen=True):
    """An answer with the number of its request; 0 where that could not be read."""

    number: Count
    body: Described | Started | Stopped | StreamStatus | Pong | Refused


class _Unseen(msgspec.Struct, frozen=True):
    """A start that waits until its subscription is seen."""

    number: int
    start: StartStream
    t_asked_ns: int


class HandshakeServer:
    """Acquisition's end; `poll` from one thread, everything else from any.

    Parameters
    ----------
    info
        Complete description of the stream.
    publisher
        Whose subscriptions are watched and credits counted.
    host, port, exposed, guard
        As in `bind`.
    """

    def __init__(
        self,
        info: StreamInfo,
        publisher: FramePublisher,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        exposed: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self._info = info
        self._publisher = publisher
        self._socket = open_socket(zmq.ROUTER, queue=_QUEUE, max_bytes=SMALL_MESSAGE_BYTES)
        self.endpoint = bind(self._socket, host, port, exposed=exposed, guard=guard)
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[Request] = Inbox(Request, "requests to acquisition", SMALL_MESSAGE_BYTES)
        self._unseen: dict[bytes, _Unseen] = {}
        self._running = threading.Condition()
        self._started = False
        self._stopped = False

    @property
    def started(self) -> bool:
        """True once a subscriber has been promised frames."""
        return self._started

    @property
    def stopped(self) -> bool:
        """True once the subscriber has asked for the end, until it asks for a start again."""
        return self._stopped

    def wait_started(self, timeout_s: float) -> bool:
        """Wait for a start; True once it was given."""
        with self._running:
            return self._running.wait_for(lambda: self._started, timeout_s)

    def poll(self, timeout_s: float) -> None:
        """Answer what has been asked, waiting at most this long for something to answer."""
        deadline_ns = perf_counter_ns() + int(timeout_s * 1e9)
        while True:
            left_s = max(0.0, (deadline_ns - perf_counter_ns()) / 1e9)
            wait_s = min(left_s, _SUBSCRIPTION_POLL_S) if self._unseen else left_s
            arrived = wait_readable(self._socket, wait_s)
            if arrived:
                for _ in range(_REQUESTS_AT_ONCE):
                    if not self._answer_next():
                        break
            self._start_those_seen()
            if arrived or left_s == 0.0:
                return

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self.inbox.close()
        self._socket.close(100)

    def _answer_next(self) -> bool:
        try:
            client, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        request = self.inbox.read(parts)
        if request is None:
            self._send(client, Answer(0, Refused(f"not a request: {self.inbox.reason}")))
            return True
        body: Described | Stopped | StreamStatus | Pong
        match request.body:
            case Credit(n):
                self._publisher.grant(n)
                return True
            case StartStream() as start:
                self._unseen[client] = _Unseen(request.number, start, perf_counter_ns())
                return True
            case Describe():
                body = Described(self._info)
            case StopStream():
                self._set_running(started=self._started, stopped=True)
                body = Stopped()
            case StatusRequest():
                body = self._status()
            case Ping():
                body = Pong(perf_counter_ns())
        self._send(client, Answer(request.number, body))
        return True

    def _start_those_seen(self) -> None:
        for client, unseen in list(self._unseen.items()):
            if not self._publisher.subscribed(unseen.start.token):
                if perf_counter_ns() - unseen.t_asked_ns > _SUBSCRIPTION_PATIENCE_NS:
                    del self._unseen[client]
                    self._send(client, Answer(unseen.number, Refused("no subscription was seen")))
                continue
            del self._unseen[client]
            try:
                self._publisher.begin(unseen.start.delivery, unseen.start.credits)
            except StreamError as error:
                self._send(client, Answer(unseen.number, Refused(cut(str(error)))))
                continue
            # answered first: frames must not overtake the promise of the first one
            self._send(client, Answer(unseen.number, Started(self._info.epoch)))
            self._set_running(started=True, stopped=False)

    def _set_running(self, *, started: bool, stopped: bool) -> None:
        with self._running:
            self._started, self._stopped = started, stopped
            self._running.notify_all()

    def _status(self) -> StreamStatus:
        publisher = self._publisher
        return StreamStatus(
            publisher.delivery,
            publisher.frames_sent,
            publisher.last_frame_id,
            publisher.credits_left,
            publisher.t_first_sent_ns,
            publisher.ended,
        )

    def _send(self, client: bytes, answer: Answer) -> None:
        # a ROUTER drops what is for a client that has gone, and so never waits
        self._socket.send_multipart([client, self._encoder.encode(answer)])
