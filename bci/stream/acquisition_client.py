"""How a session of frames starts: control's end of the handshake."""

from contextlib import suppress
from time import perf_counter_ns

import msgspec
import zmq

from bci.core.stream_types import StreamInfo
from bci.stream.access import Access, connect
from bci.stream.clock import PeerClock
from bci.stream.errors import StreamError
from bci.stream.handshake import (
    Answer,
    Credit,
    Describe,
    Described,
    Ping,
    Pong,
    Refused,
    Request,
    Started,
    StartStream,
    StatusRequest,
    Stopped,
    StopStream,
    StreamStatus,
)
from bci.stream.inbox import Inbox
from bci.stream.publisher import Delivery
from bci.stream.sockets import CONTROL_MESSAGE_BYTES, open_socket, wait_readable

_QUEUE = 1000


class AcquisitionClient:
    """Asks acquisition; for one thread.

    Every method but `credit`, `ask_time` and `hear_time` waits for the answer and raises
    `StreamError` where none comes or the request is refused.

    Parameters
    ----------
    endpoint
        Of the `HandshakeServer`.
    timeout_s
        Longest wait for an answer.
    access
        As the server's guard asks for.
    """

    def __init__(
        self, endpoint: str, *, timeout_s: float = 2.0, access: Access | None = None
    ) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._socket = open_socket(zmq.DEALER, queue=_QUEUE)
        connect(self._socket, endpoint, access)
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[Answer] = Inbox(Answer, "answers of acquisition", CONTROL_MESSAGE_BYTES)
        self._number = 0
        self._time_number = 0
        self._t_asked_ns = 0

    def describe(self) -> StreamInfo:
        """What will be sent."""
        answer = self._ask(Describe(), self._timeout_s)
        if not isinstance(answer, Described):
            raise self._strange("describe", answer)
        return answer.info

    def start(
        self, token: bytes, delivery: Delivery, credits: int = 0, *, timeout_s: float = 5.0
    ) -> int:
        """Let frames come; returns the epoch once the subscription has been seen.

        Parameters
        ----------
        token
            `FrameSubscriber.token` of a subscriber that is connected already.
        delivery, credits
            Mode, and the frames granted at once where lossless.
        timeout_s
            Longest wait for the subscription to be seen.
        """
        answer = self._ask(StartStream(delivery, credits, token), timeout_s)
        if not isinstance(answer, Started):
            raise self._strange("start", answer)
        return answer.epoch

    def credit(self, n: int) -> None:
        """Grant `n` more frames; neither waits nor is answered."""
        self._send(0, Credit(n))

    def stop(self) -> None:
        """Let no more frames come."""
        answer = self._ask(StopStream(), self._timeout_s)
        if not isinstance(answer, Stopped):
            raise self._strange("stop", answer)

    def status(self) -> StreamStatus:
        """How far acquisition is."""
        answer = self._ask(StatusRequest(), self._timeout_s)
        if not isinstance(answer, StreamStatus):
            raise self._strange("status", answer)
        return answer

    def tie(self, clock: PeerClock, n_exchanges: int = 16) -> None:
        """Ask for the time, so often, to know acquisition's clock at once."""
        for _ in range(n_exchanges):
            t_asked_ns = perf_counter_ns()
            answer = self._ask(Ping(), self._timeout_s)
            t_answered_ns = perf_counter_ns()
            if not isinstance(answer, Pong):
                raise self._strange("ping", answer)
            clock.reached(t_asked_ns, answer.t_ns)
            clock.came(answer.t_ns, t_answered_ns)

    def ask_time(self) -> None:
        """Ask for the time without waiting; `hear_time` takes the answer in when it is there.

        Where nobody takes requests any more, nothing is asked: others tell of that.
        """
        self._number += 1
        self._time_number, self._t_asked_ns = self._number, perf_counter_ns()
        with suppress(StreamError):
            self._send(self._number, Ping())

    def hear_time(self, clock: PeerClock) -> bool:
        """Take the answer to the newest `ask_time` in; True where it was there. Never waits."""
        while (answer := self._next()) is not None:
            if answer.number == self._time_number and isinstance(answer.body, Pong):
                clock.reached(self._t_asked_ns, answer.body.t_ns)
                clock.came(answer.body.t_ns, perf_counter_ns())
                return True
        return False

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self.inbox.close()
        self._socket.close(100)

    def _ask(
        self, body: Describe | StartStream | StopStream | StatusRequest | Ping, timeout_s: float
    ) -> Described | Started | Stopped | StreamStatus | Pong:
        self._number += 1
        self._send(self._number, body)
        asked = type(body).__struct_config__.tag
        deadline_ns = perf_counter_ns() + int(timeout_s * 1e9)
        while (left_ns := deadline_ns - perf_counter_ns()) > 0:
            if not wait_readable(self._socket, left_ns / 1e9):
                break
            answer = self._next()
            if answer is None or answer.number != self._number:
                continue
            if isinstance(answer.body, Refused):
                raise StreamError(
                    f"acquisition at {self._endpoint} refused {asked!r}: {answer.body.reason}"
                )
            return answer.body
        raise StreamError(
            f"acquisition at {self._endpoint} did not answer {asked!r} within {timeout_s:g} s. "
            "Check that `bci acquire` is running there and that the address is right."
        )

    def _next(self) -> Answer | None:
        """Next readable answer; None if none waits."""
        while True:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            answer = self.inbox.read(parts)
            if answer is not None:
                return answer

    def _send(
        self,
        number: int,
        body: Describe | StartStream | Credit | StopStream | StatusRequest | Ping,
    ) -> None:
        try:
            self._socket.send(self._encoder.encode(Request(number, body)), zmq.NOBLOCK)
        except zmq.Again as error:
            raise StreamError(
                f"{_QUEUE} requests wait for acquisition at {self._endpoint}: it is not running, "
                "or hangs. Restart acquisition."
            ) from error

    def _strange(self, asked: str, answer: object) -> StreamError:
        return StreamError(
            f"acquisition at {self._endpoint} answered {asked!r} with {type(answer).__name__}: "
            "the two programs are of different versions."
        )
