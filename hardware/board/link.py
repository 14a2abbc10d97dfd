"""A board on a serial line: pyserial, one thread that reads and one that does all the rest."""

import logging
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from bci.config.rig import Board as BoardSettings
from bci.core.board_types import BoardEvent, LightCommand, RewardRequest
from bci.core.rewards import BoardReward, RewardTotals
from bci.hardware.board.conversation import Conversation, LineState
from bci.hardware.board.dialect import Dialect
from bci.hardware.board.drop_log import DropLog
from bci.hardware.board.interface import BoardError
from bci.hardware.board.plain import PlainTalk
from bci.hardware.board.ports import AUTO, find_board, open_port
from bci.hardware.board.protocol import Identity
from bci.hardware.board.talk import Talk

_LOG = logging.getLogger("bci.board.link")
_READ_S = 0.05
_WRITE_S = 0.2
_SAFE_S = 0.5
_JOIN_S = 7.0
"""pyserial tries for up to 5 s to open a socket and takes 0.3 s to close one."""


class _Received:
    """Bytes of the port, or why it gives no more."""

    __slots__ = ("data", "fault", "port", "t_ns")

    def __init__(self, port: "_Port", data: bytes, fault: str = "") -> None:
        self.port = port
        self.data = data
        self.fault = fault
        self.t_ns = time.perf_counter_ns()


class SerialLink:
    """The `Board` at a device, a pseudo-terminal or a socket.

    Parameters
    ----------
    settings
        Of the board.
    port
        What pyserial's `serial_for_url` takes: /dev/ttyACM0, COM3, socket://host:port; or
        `auto`: looked for whenever the line is opened, because a board that was unplugged may
        come back under another name.
    wake
        Called from the line's thread after events came; must return at once.
    dialect
        Of a board that does not speak this program's own protocol.
    token
        Shown first on every line that is opened, to a board that is a process of the session.
    log
        Takes every reward before it is sent; None: rewards go on no record.
    """

    def __init__(
        self,
        settings: BoardSettings,
        port: str,
        wake: Callable[[], None] | None = None,
        dialect: Dialect | None = None,
        token: str = "",
        log: DropLog | None = None,
    ) -> None:
        self._token = token
        self._settings = settings
        self._url = port
        self._wake = wake
        self._inbox: SimpleQueue[Callable[[], None] | _Received] = SimpleQueue()
        self._events: deque[BoardEvent] = deque()
        self._n_published = 0
        if dialect is None:
            session = secrets.randbelow(2**32 - 1) + 1 if log is None else log.board_session
            talk = Conversation(settings, session, self._publish, log)
            self._talk: Talk = talk
            self._baud, self._dtr = settings.baud, False
        else:
            self._talk = PlainTalk(settings, dialect, self._publish, log)
            self._baud, self._dtr = dialect.BAUD, dialect.DTR
        self._find: Callable[[], str] = lambda: port
        if port == AUTO and dialect is None:
            self._find = lambda: find_board(settings, talk.hello)
        self._turns = 0
        self._asked = 0
        self._ended = 0
        self._port: _Port | None = None
        self._t_connect_ns = 0
        self._fault = ""
        self._tried = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def identity(self) -> Identity | None:
        """What the board said of itself; None before the first answer."""
        return self._talk.identity

    @property
    def connected(self) -> bool:
        """The board has greeted us and takes requests."""
        return self._talk.state in (LineState.READY, LineState.SETTLING)

    @property
    def totals(self) -> RewardTotals:
        """Rewards and volume of the session so far."""
        return self._talk.rewards.totals

    def open(self, timeout_s: float = 5.0) -> None:
        """Open the line and wait for the board's greeting.

        Raises
        ------
        BoardError
            Where no board answers in time, or it refuses.
        """
        self._thread = threading.Thread(target=self._run, name="board-line", daemon=True)
        self._thread.start()
        t_end = time.monotonic() + timeout_s
        while not self.connected:
            self.turn()
            refusal = self._talk.refusal
            # before the first try there is nothing to say
            if refusal or (time.monotonic() > t_end and self._tried.is_set()):
                why = refusal or self._fault or f"no board answered within {timeout_s:g} s"
                self.close(settle_s=0.0)
                raise BoardError(f"rig.board at {self._url}: {why}")
            time.sleep(0.005)

    def recall(self, timeout_s: float = 5.0) -> list[BoardReward] | None:
        """Ask the board for its last rewards, whoever asked for them; before any reward.

        Returns
        -------
        list
            The newest first; None: this kind of board remembers none.

        Raises
        ------
        BoardError
            If it does not answer in time.
        """
        if not self._talk.REMEMBERS:
            return None
        asked = threading.Event()

        def ask() -> None:
            self._talk.recall()
            asked.set()

        self._inbox.put(ask)
        t_end = time.monotonic() + timeout_s
        while time.monotonic() < t_end:
            self.turn()
            if asked.is_set() and (recalled := self._talk.recalled) is not None:
                return recalled
            time.sleep(0.005)
        raise BoardError(
            f"rig.board at {self._url} did not tell of its last rewards within {timeout_s:g} s"
        )

    def reward(self, request: RewardRequest) -> None:
        """Give one drop, once; its fate comes out of `events`."""
        t_ns = time.perf_counter_ns()
        self._asked += 1
        self._inbox.put(lambda: self._ask_reward(request, t_ns))

    def light(self, command: LightCommand) -> None:
        """Allow or forbid the light; a board that comes back is told again."""
        self._inbox.put(lambda: self._talk.light(command))

    def arm(self) -> None:
        """The next frame TTL is number 0."""
        start = self._settings.scope_trigger
        self._inbox.put(lambda: self._talk.arm(start=start))

    def safe(self) -> None:
        """Shut everything now: a running pulse is cut, rewards not yet sent fail."""
        self._inbox.put(lambda: self._talk.safe(time.perf_counter_ns()))

    def turn(self) -> None:
        """The owner's loop turned; without this the board falls silent and becomes safe."""
        self._turns += 1

    def advance_to(self, t_s: float) -> None:
        """Nothing: this board keeps its own time."""

    def events(self) -> list[BoardEvent]:
        """Events since the last call, oldest first; call it from one thread."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def pending(self) -> int:
        """Rewards asked for whose end is not known yet."""
        return self._asked - self._ended

    def close(self, settle_s: float = 1.0) -> None:
        """End in the safe state, valve shut; takes at most settle_s and the time to part."""
        thread = self._thread
        if thread is None:
            return
        self._thread = None
        t_end = time.monotonic() + settle_s
        while self.pending() and self.connected and time.monotonic() < t_end:
            self.turn()
            time.sleep(0.005)
        self._inbox.put(lambda: self._talk.part(time.perf_counter_ns()))
        self._closing.set()
        thread.join(_JOIN_S)
        if thread.is_alive():
            _LOG.error("the line to the board at %s did not end within %g s", self._url, _JOIN_S)

    # ------------------------------------------------------------------ the line's thread

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._tried.set()
            # however the thread ends, nobody takes its board for one that answers
            self._disconnect("closed")
            self._drain()
            self._talk.finish(time.perf_counter_ns())
            self._after_events()

    def _serve(self) -> None:
        t_part_ns: int | None = None
        while True:
            if self._closing.is_set():
                now_ns = time.perf_counter_ns()
                t_part_ns = t_part_ns or now_ns + round(_SAFE_S * 1e9)
                safe = self._inbox.empty() and self._talk.safe_confirmed
                if self._port is None or safe or now_ns > t_part_ns:
                    break
            elif self._port is None:
                self._connect()
            self._turn_line()

    def _turn_line(self) -> None:
        now_ns = time.perf_counter_ns()
        due_ns = self._talk.advance(now_ns, self._turns)
        self._write()
        self._after_events()
        if self._port is None:
            due_ns = min(due_ns, self._t_connect_ns)
        wait_s = min(max(due_ns - time.perf_counter_ns(), 0) / 1e9, _READ_S)
        try:
            item = self._inbox.get(timeout=wait_s)
        except Empty:
            return
        self._take(item)
        self._drain()

    def _drain(self) -> None:
        # what comes meanwhile has its turn after what is due: a flood must not hold that up
        for _ in range(self._inbox.qsize()):
            self._take(self._inbox.get_nowait())

    def _take(self, item: "Callable[[], None] | _Received") -> None:
        if not isinstance(item, _Received):
            item()
        elif item.port is self._port:
            if item.fault:
                self._disconnect(item.fault)
            else:
                self._talk.received(item.data, item.t_ns)

    def _write(self) -> None:
        out = self._talk.take_output()
        if self._port is None:
            return
        try:
            if out:
                self._port.write(out)
        except OSError as fault:
            self._disconnect(str(fault))
        else:
            if self._talk.dead:
                self._disconnect("the board does not answer")

    def _connect(self) -> None:
        now_ns = time.perf_counter_ns()
        if now_ns < self._t_connect_ns:
            return
        self._t_connect_ns = now_ns + round(self._settings.reconnect_s * 1e9)
        try:
            self._port = _Port(
                self._find(), self._baud, self._inbox.put, dtr=self._dtr, token=self._token
            )
        except (OSError, ValueError, BoardError) as fault:
            self._fault = str(fault)
        else:
            self._fault = ""
            self._talk.opened(time.perf_counter_ns())
        finally:
            self._tried.set()

    def _disconnect(self, why: str) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()
            _LOG.info("line to the board at %s: %s", self._url, why)
            self._talk.lost(time.perf_counter_ns(), why)

    def _ask_reward(self, request: RewardRequest, t_ns: int) -> None:
        self._talk.reward(request, t_ns)

    def _publish(self, event: BoardEvent) -> None:
        self._events.append(event)
        self._n_published += 1

    def _after_events(self) -> None:
        if not self._n_published:
            return
        self._n_published = 0
        # counted here, after the events are there to be taken
        rewards = self._talk.rewards
        self._ended = rewards.n_refused + rewards.n_requested - rewards.n_open
        if self._wake is not None:
            self._wake()


class _Port:
    """An open port and the thread that reads it."""

    def __init__(
        self, url: str, baud: int, put: Callable[[_Received], None], *, dtr: bool, token: str
    ) -> None:
        self._put = put
        self._serial = open_port(url, baud, _READ_S, _WRITE_S, dtr=dtr)
        # pyserial forgets to close a socket whose other end is gone, and leaves Nagle's delay on
        self._socket = getattr(self._serial, "_socket", None)
        if isinstance(self._socket, socket.socket):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if token:
            self._serial.write(f"{token}\n".encode("ascii"))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="board-reader", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """All bytes, or an OSError."""
        self._serial.write(data)

    def close(self) -> None:
        """Let the reader end, then close."""
        self._ending.set()
        self._thread.join()
        # a device that was pulled out may refuse even this
        with suppress(OSError):
            self._serial.close()
        if isinstance(self._socket, socket.socket):
            self._socket.close()

    def _read(self) -> None:
        while not self._ending.is_set():
            data, fault = self._read_waiting()
            if data:
                self._put(_Received(self, data))
            if fault:
                self._put(_Received(self, b"", fault))
                return

    def _read_waiting(self) -> tuple[bytes, str]:
        data = b""
        try:
            data = self._serial.read(1)
            # once: a device that never stops sending must not keep what it sent
            if data and (waiting := self._serial.in_waiting):
                data += self._serial.read(waiting)
        except OSError as fault:
            return data, str(fault) or "the line closed"
        return data, ""
