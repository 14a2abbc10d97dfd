"""The line between a child process and its supervisor: who lives, what is bound, when to end."""

import logging
import os
import threading
from contextlib import suppress
from time import perf_counter_ns

import msgspec
import zmq

from bci.core.messages import MOST_LABEL, Count, Endpoints, Label, Text, cut
from bci.stream.access import Access, connect, new_token
from bci.stream.inbox import Inbox
from bci.stream.sockets import SMALL_MESSAGE_BYTES, open_socket

log = logging.getLogger("bci.supervision")

_QUEUE = 1000
_HEARTBEAT_S = 0.1
_SILENCE_EXIT_CODE = 3


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First message of a child."""

    name: Label
    pid: Count


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """The child lives, and its main loop has turned so often."""

    turns: Count


class Announce(msgspec.Struct, frozen=True, tag="announce"):
    """What the child has bound."""

    endpoints: Endpoints


class Report(msgspec.Struct, frozen=True, tag="report"):
    """A fact, for the log and the journal."""

    kind: Label
    detail: Text


ChildMessage = Hello | Heartbeat | Announce | Report


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """Answer to a heartbeat: the supervisor lives; `stop` asks for the end, again and again."""

    stop: bool


class Peers(msgspec.Struct, frozen=True, tag="peers"):
    """What the other children have bound."""

    endpoints: Endpoints


HubMessage = Alive | Peers


class SupervisorLink:
    """A child's end; implements `bci.core.process.ProcessLink`.

    A daemon thread tells the supervisor that this process lives and hears whether the supervisor
    does. When that has been silent for `silence_s`, `stop_requested` becomes true;
    `exit_after_s` later the process is ended where it stands, with exit code 3, even if this
    line has been closed meanwhile.

    Parameters
    ----------
    endpoint
        Of the `SupervisorHub`.
    name
        acquisition, control, stimulus or board.
    token
        Of the session; empty: the hub asks for none.
    silence_s, exit_after_s
        See above.
    """

    def __init__(
        self,
        endpoint: str,
        name: str,
        token: str = "",
        *,
        silence_s: float = 2.0,
        exit_after_s: float = 0.7,
    ) -> None:
        self._name = name
        self.token = token
        self._silence_ns = int(silence_s * 1e9)
        self._exit_after_s = exit_after_s
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[HubMessage] = Inbox(
            HubMessage, "messages of the supervisor", SMALL_MESSAGE_BYTES
        )
        self._peers: dict[str, str] = {}
        self._stop = threading.Event()
        self._news = threading.Event()
        self._closing = threading.Event()
        self.turns = 0
        # a context of its own: nothing that the process does with its sockets can hold this line
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._inside = open_socket(zmq.PAIR, queue=_QUEUE, context=self._context)
        self._inside.bind("inproc://link")
        self._inside_lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._run, args=(endpoint,), name="supervisor-link", daemon=True
        )
        self._thread.start()

    @property
    def name(self) -> str:
        """Name of the process."""
        return self._name

    def turn(self) -> None:
        """Count one turn of the main loop; heartbeats carry the count."""
        self.turns += 1

    def announce(self, endpoints: dict[str, str]) -> None:
        """Tell the supervisor what we bound; keys add to those announced before."""
        self._tell(Announce(endpoints))

    def peers(self) -> dict[str, str]:
        """Endpoints that the other processes announced."""
        return dict(self._peers)

    def stop_requested(self) -> bool:
        """True once we should end: asked to, or the supervisor is gone."""
        return self._stop.is_set()

    def wait(self, timeout_s: float) -> None:
        """Sleep, at most this long; return early when a stop or new peers arrive."""
        if not self._stop.is_set():
            self._news.wait(timeout_s)
            self._news.clear()

    def report(self, kind: str, detail: str = "") -> None:
        """Tell a fact that the supervisor logs and journals."""
        self._tell(Report(cut(kind, MOST_LABEL), cut(detail)))

    def close(self) -> None:
        """End the thread, what was reported leaving first; a second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        # full, or without an other end, once the thread has ended
        with self._inside_lock, suppress(zmq.Again):
            self._inside.send(b"", zmq.NOBLOCK)
        self._thread.join()
        self._inside.close(0)
        self._context.term()

    def _tell(self, message: ChildMessage) -> None:
        with self._inside_lock:
            if self._closing.is_set():
                return
            try:
                self._inside.send(self._encoder.encode(message), zmq.NOBLOCK)
            except zmq.Again:
                log.error("%s: not reported: %s", self._name, message)

    def _run(self, endpoint: str) -> None:
        inside = open_socket(zmq.PAIR, queue=_QUEUE, context=self._context)
        inside.connect("inproc://link")
        line = open_socket(
            zmq.DEALER, queue=_QUEUE, context=self._context, max_bytes=SMALL_MESSAGE_BYTES
        )
        line.set(zmq.LINGER, 200)
        connect(line, endpoint, Access(self.token) if self.token else None)
        try:
            self._talk(line, inside)
        except BaseException:
            # nobody hears of the supervisor any more, or ends us when it has gone
            self._end_soon("the line to the supervisor broke")
            raise
        finally:
            inside.close(0)
            line.close()

    def _talk(self, line: zmq.Socket[bytes], inside: zmq.Socket[bytes]) -> None:
        self._send(line, self._encoder.encode(Hello(self._name, os.getpid())))
        poller = zmq.Poller()
        poller.register(line, zmq.POLLIN)
        poller.register(inside, zmq.POLLIN)
        t_heard_ns = t_turned_ns = perf_counter_ns()
        t_beat_ns, gone = 0, False
        while True:
            now_ns = perf_counter_ns()
            # while this very process was held up (stopped, or the interpreter busy elsewhere)
            # nobody was asked, so that silence does not count
            held_up_ns = now_ns - t_turned_ns - int(_HEARTBEAT_S * 1e9)
            if held_up_ns > self._silence_ns // 4:
                t_heard_ns += held_up_ns
            t_turned_ns = now_ns
            if not gone and now_ns - t_heard_ns > self._silence_ns:
                gone = True
                self._end_soon("the supervisor is silent")
            if now_ns - t_beat_ns >= _HEARTBEAT_S * 1e9:
                self._send(line, self._encoder.encode(Heartbeat(self.turns)))
                t_beat_ns = now_ns
            left_ns = t_beat_ns + int(_HEARTBEAT_S * 1e9) - now_ns
            if not gone:
                left_ns = min(left_ns, t_heard_ns + self._silence_ns - now_ns)
            ready = dict(poller.poll(max(1, left_ns // 1_000_000)))
            if inside in ready and not self._forward(inside, line):
                return
            if line in ready and self._hear(line):
                t_heard_ns = perf_counter_ns()

    def _forward(self, inside: zmq.Socket[bytes], line: zmq.Socket[bytes]) -> bool:
        """Pass on what this process wants told; False once it is closing."""
        while inside.poll(0):
            payload = inside.recv()
            if not payload:
                return False
            self._send(line, payload)
        return True

    def _hear(self, line: zmq.Socket[bytes]) -> bool:
        """Take in what the supervisor sent; True where it was something of ours."""
        heard = False
        while line.poll(0):
            message = self.inbox.read(line.recv_multipart())
            if message is None:
                continue
            heard = True
            match message:
                case Peers(endpoints):
                    self._peers = endpoints
                    self._news.set()
                case Alive(stop):
                    if stop and not self._stop.is_set():
                        self._ask_to_stop()
        return heard

    def _end_soon(self, why: str) -> None:
        self._ask_to_stop()
        # os._exit, not sys.exit: what still runs then hangs, or it would have ended us by now.
        # A thread of its own, and never called off: nothing that blocks may keep us alive
        end = threading.Timer(self._exit_after_s, os._exit, (_SILENCE_EXIT_CODE,))
        end.daemon = True
        end.start()
        log.error("%s: %s: ending", self._name, why)

    def _ask_to_stop(self) -> None:
        self._stop.set()
        self._news.set()

    def _send(self, line: zmq.Socket[bytes], payload: bytes) -> None:
        try:
            line.send(payload, zmq.NOBLOCK)
        except zmq.Again:
            # the queue is full because nobody has read for long: silence will end us
            log.warning("%s: the supervisor takes nothing in", self._name)


class LocalLink:
    """A line to nobody: for one process alone, and for tests.

    Parameters
    ----------
    name
        Of the process.
    endpoints
        What the others have bound; add to it with `set_peers`.
    stop
        Set it to let the process end.
    token
        Of the session; empty: a new one.
    """

    def __init__(
        self,
        name: str,
        endpoints: dict[str, str] | None = None,
        stop: threading.Event | None = None,
        token: str = "",
    ) -> None:
        self._name = name
        self.token = token or new_token()
        self._peers = dict(endpoints or {})
        self._stop = stop or threading.Event()
        self._interrupted = False
        self._changed = threading.Condition()
        self.announced: dict[str, str] = {}
        self.reports: list[tuple[str, str]] = []
        self.turns = 0

    @property
    def name(self) -> str:
        """Name of the process."""
        return self._name

    def turn(self) -> None:
        """Count one turn of the main loop."""
        self.turns += 1

    def announce(self, endpoints: dict[str, str]) -> None:
        """Keep what we bound in `announced`, and log it."""
        for key, endpoint in endpoints.items():
            log.info("%s: listens for %s at %s", self._name, key, endpoint)
        with self._changed:
            self.announced = self.announced | endpoints
            self._changed.notify_all()

    def peers(self) -> dict[str, str]:
        """Endpoints of the others."""
        return dict(self._peers)

    def stop_requested(self) -> bool:
        """True once we should end."""
        return self._interrupted or self._stop.is_set()

    def interrupt(self) -> None:
        """Let the process end in order; a second time, at once. For a signal: takes no lock.

        Raises
        ------
        KeyboardInterrupt
            The second time.
        """
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def wait(self, timeout_s: float) -> None:
        """Sleep until a stop, at most this long."""
        self._stop.wait(timeout_s)

    def report(self, kind: str, detail: str = "") -> None:
        """Keep a fact in `reports`, and log it."""
        log.info("%s: %s %s", self._name, kind, detail)
        with self._changed:
            self.reports.append((kind, detail))
            self._changed.notify_all()

    def set_peers(self, endpoints: dict[str, str]) -> None:
        """What the others have bound; keys add to those before."""
        self._peers = self._peers | endpoints

    def stop(self) -> None:
        """Let the process end."""
        self._stop.set()

    def wait_announced(self, key: str, timeout_s: float) -> str:
        """The endpoint announced as `key`, waited for from another thread.

        Raises
        ------
        TimeoutError
            Where it was not announced in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: key in self.announced, timeout_s):
                raise TimeoutError(f"{self._name} announced no {key!r} within {timeout_s:g} s")
            return self.announced[key]

    def wait_reported(self, kind: str, timeout_s: float) -> str:
        """Detail of the first report of `kind`, waited for from another thread.

        Raises
        ------
        TimeoutError
            Where it was not reported in time.
        """

        def seen() -> list[str]:
            return [detail for reported, detail in self.reports if reported == kind]

        with self._changed:
            if not self._changed.wait_for(seen, timeout_s):
                raise TimeoutError(f"{self._name} reported no {kind!r} within {timeout_s:g} s")
            return seen()[0]
