"""The supervisor's end of the lines to its children."""

import threading
from collections import deque
from collections.abc import Sequence
from time import perf_counter_ns

import msgspec
import zmq

from bci.stream.access import Access, Guard
from bci.stream.inbox import Inbox
from bci.stream.sockets import SMALL_MESSAGE_BYTES, bind, open_socket
from bci.stream.supervision import (
    Alive,
    Announce,
    ChildMessage,
    Heartbeat,
    Hello,
    HubMessage,
    Peers,
    Report,
)

_QUEUE = 1000


class Child(msgspec.Struct, frozen=True):
    """What is known of one child.

    Parameters
    ----------
    name, pid
        As it said hello.
    t_hello_ns, t_heard_ns
        `time.perf_counter_ns` of its hello and of its newest message.
    turns
        Turns of its main loop.
    t_turned_ns
        When `turns` was last seen to have grown; at first, of the hello.
    endpoints
        What it has bound.
    """

    name: str
    pid: int
    t_hello_ns: int
    t_heard_ns: int
    turns: int
    t_turned_ns: int
    endpoints: dict[str, str]

    def silent_s(self) -> float:
        """Since its newest message, s."""
        return (perf_counter_ns() - self.t_heard_ns) / 1e9

    def stuck_s(self) -> float:
        """Since its main loop was last seen to turn, s."""
        return (perf_counter_ns() - self.t_turned_ns) / 1e9


class ChildReport(msgspec.Struct, frozen=True):
    """A fact that a child told; `hello` and `announced` are told by the hub itself."""

    name: str
    pid: int
    kind: str
    detail: str
    t_ns: int


class SupervisorHub:
    """Tracks the children; a thread of its own answers them, whatever the supervisor does.

    A child that is started again under its name takes the place of the one before. Every method
    may be called from any thread.

    Parameters
    ----------
    access
        What children must show; None: nothing.
    """

    def __init__(self, access: Access | None = None) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = open_socket(
            zmq.ROUTER, queue=_QUEUE, context=self._context, max_bytes=SMALL_MESSAGE_BYTES
        )
        self._guard = None if access is None else Guard(access, self._context)
        # the processes that a supervisor starts are on its own computer
        self.endpoint = bind(self._socket, "127.0.0.1", 0, guard=self._guard)
        self._encoder = msgspec.msgpack.Encoder()
        self.inbox: Inbox[ChildMessage] = Inbox(
            ChildMessage, "messages to the supervisor", SMALL_MESSAGE_BYTES
        )
        self._changed = threading.Condition()
        self._children: dict[str, Child] = {}
        self._lines: dict[bytes, str] = {}
        self._own: dict[str, str] = {}
        self._stopping: set[str] = set()
        self._reports: deque[ChildReport] = deque()
        self._peers_due = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor-hub", daemon=True)
        self._thread.start()

    def __enter__(self) -> "SupervisorHub":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def child(self, name: str) -> Child | None:
        """What is known of a child; None before its hello and after `forget`."""
        with self._changed:
            return self._children.get(name)

    def endpoints(self) -> dict[str, str]:
        """What all children have bound."""
        with self._changed:
            return self._all_endpoints("")

    def announce(self, endpoints: dict[str, str]) -> None:
        """Tell the children what this very process has bound."""
        with self._changed:
            self._own = self._own | endpoints
            self._peers_due = True

    def take_reports(self) -> list[ChildReport]:
        """Facts told since the last call, in order."""
        with self._changed:
            reports = list(self._reports)
            self._reports.clear()
            return reports

    def wait_report(self, timeout_s: float) -> bool:
        """Wait at most this long; True where `take_reports` has something."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._reports), timeout_s)

    def stop(self, name: str) -> None:
        """Ask a child to end, now and at each of its heartbeats, until it is forgotten."""
        with self._changed:
            self._stopping.add(name)

    def forget(self, name: str) -> None:
        """A child has ended: its endpoints go, and the others are told."""
        with self._changed:
            self._children.pop(name, None)
            self._stopping.discard(name)
            self._lines = {line: of for line, of in self._lines.items() if of != name}
            self._peers_due = True

    def close(self) -> None:
        """End; the children will find the supervisor silent. A second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        self.inbox.close()
        self._socket.close(0)
        if self._guard is not None:
            self._guard.close()
        self._context.term()

    def _run(self) -> None:
        while not self._closing.is_set():
            # 20 ms: how late a stop or a change of peers may go out
            if self._socket.poll(20):
                with self._changed:
                    while self._socket.poll(0):
                        line, *parts = self._socket.recv_multipart()
                        self._take(line, parts)
            with self._changed:
                if self._peers_due:
                    self._peers_due = False
                    for line, name in self._lines.items():
                        self._send(line, Peers(self._all_endpoints(name)))

    def _take(self, line: bytes, parts: Sequence[bytes]) -> None:
        message = self.inbox.read(parts)
        if message is None:
            return
        now_ns = perf_counter_ns()
        if isinstance(message, Hello):
            self._lines = {of: name for of, name in self._lines.items() if name != message.name}
            self._lines[line] = message.name
            self._children[message.name] = Child(
                message.name, message.pid, now_ns, now_ns, 0, now_ns, {}
            )
            self._peers_due = True
            self._note(message.name, message.pid, "hello", "")
            return
        name = self._lines.get(line)
        if name is None:
            # a predecessor of a child that was started again, or nobody of ours
            return
        child = msgspec.structs.replace(self._children[name], t_heard_ns=now_ns)
        match message:
            case Heartbeat(turns):
                if turns > child.turns:
                    child = msgspec.structs.replace(child, turns=turns, t_turned_ns=now_ns)
                self._send(line, Alive(name in self._stopping))
            case Announce(endpoints):
                child = msgspec.structs.replace(child, endpoints=child.endpoints | endpoints)
                self._peers_due = True
                self._note(name, child.pid, "announced", ", ".join(sorted(endpoints)))
            case Report(kind, detail):
                self._note(name, child.pid, kind, detail)
        self._children[name] = child

    def _note(self, name: str, pid: int, kind: str, detail: str) -> None:
        self._reports.append(ChildReport(name, pid, kind, detail, perf_counter_ns()))
        self._changed.notify_all()

    def _all_endpoints(self, but: str) -> dict[str, str]:
        return self._own | {
            key: endpoint
            for name, child in self._children.items()
            if name != but
            for key, endpoint in child.endpoints.items()
        }

    def _send(self, line: bytes, message: HubMessage) -> None:
        # a ROUTER drops what is for a child that has gone, and so never waits
        self._socket.send_multipart([line, self._encoder.encode(message)])
