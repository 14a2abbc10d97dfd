"""A simulated board on virtual time, for runs that are as fast as possible."""

from collections import deque
from collections.abc import Callable

from bci.config.rig import Board as BoardSettings
from bci.core.board_types import BoardEvent, LightCommand, RewardRequest
from bci.core.rewards import BoardReward, RewardTotals
from bci.hardware.board.conversation import Conversation, LineState
from bci.hardware.board.device import Device
from bci.hardware.board.interface import BoardError
from bci.hardware.board.outputs import Edge
from bci.hardware.board.protocol import Identity

_SESSION = 1
_KEEP_ALIVE_MS = 20_000.0
_WATCHDOG_MS = 60_000.0
_CLOCK_S = 100.0
"""Nobody falls silent in virtual time; fewer keep-alives make long runs cheap."""


class VirtualBoard:
    """The `Board` whose time is that of the frames; no thread, no port, no wait.

    The same bytes pass between the same host side and the same device as on a line. Event times
    (`t_host_ns`, `t_device_us`) are virtual: 0 at the opening.

    Parameters
    ----------
    settings
        Of the board; `faults` have no effect.
    wake
        Called after events came.
    """

    def __init__(self, settings: BoardSettings, wake: Callable[[], None] | None = None) -> None:
        calm = settings.model_copy(
            update={
                "keep_alive_ms": _KEEP_ALIVE_MS,
                "watchdog_ms": _WATCHDOG_MS,
                "clock_every_s": _CLOCK_S,
            }
        )
        self._wake = wake
        self._events: deque[BoardEvent] = deque()
        self._edges: list[Edge] = []
        self._talk = Conversation(calm, _SESSION, self._events.append)
        self._device = Device(name="virtual")
        self._t_us = 0
        self._turns = 0
        self._due_us = 0

    @property
    def identity(self) -> Identity | None:
        """What the board said of itself; None before the first answer."""
        return self._talk.identity

    @property
    def connected(self) -> bool:
        """The board has greeted us and takes requests."""
        return self._talk.state is LineState.READY

    @property
    def totals(self) -> RewardTotals:
        """Rewards and volume of the session so far."""
        return self._talk.rewards.totals

    def edges(self) -> list[Edge]:
        """Output edges since the last call, on virtual time."""
        edges, self._edges = self._edges, []
        return edges

    def open(self, timeout_s: float = 5.0) -> None:
        """Greet the device.

        Raises
        ------
        BoardError
            Where it refuses, because a limit of the settings is out of its range.
        """
        self._device.take_output()  # what it said before anybody listened
        self._talk.opened(0)
        self._exchange()
        if not self.connected:
            raise BoardError(f"rig.board: {self._talk.refusal or 'the device did not answer'}")

    def recall(self, timeout_s: float = 5.0) -> list[BoardReward] | None:
        """None: this board has had no session before."""

    def reward(self, request: RewardRequest) -> None:
        """Give one drop, once, beginning at the present virtual time."""
        self._talk.reward(request, self._t_us * 1000)
        self._exchange()

    def light(self, command: LightCommand) -> None:
        """Allow or forbid the light."""
        self._talk.light(command)
        self._exchange()

    def arm(self) -> None:
        """The next frame TTL is number 0; none ever comes."""
        self._talk.arm(start=False)
        self._exchange()

    def safe(self) -> None:
        """Shut everything now."""
        self._talk.safe(self._t_us * 1000)
        self._exchange()

    def turn(self) -> None:
        """Nothing: virtual time moves by `advance_to` alone."""

    def advance_to(self, t_s: float) -> None:
        """Frame time has come to t_s, seconds; an earlier time than before does nothing."""
        t_us = round(t_s * 1e6)
        while self._due_us <= t_us:
            self._t_us = max(self._t_us, self._due_us)
            self._exchange()
        self._t_us = max(self._t_us, t_us)

    def events(self) -> list[BoardEvent]:
        """Events since the last call, oldest first."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def pending(self) -> int:
        """Rewards asked for whose end is not known yet."""
        return self._talk.rewards.n_open

    def close(self, settle_s: float = 1.0) -> None:
        """Let rewards end, on virtual time, then shut everything."""
        if self._talk.state is LineState.DOWN:
            return
        t_end_us = self._t_us + round(settle_s * 1e6)
        while self.pending() and self._due_us <= t_end_us:
            self.advance_to(self._due_us / 1e6)
        self._talk.part(self._t_us * 1000)
        self._exchange()
        self._talk.lost(self._t_us * 1000, "closed")
        self._talk.finish(self._t_us * 1000)

    def _exchange(self) -> None:
        """Pass bytes to and fro, at this one moment, until both sides are quiet."""
        while True:
            self._turns += 1
            due_ns = self._talk.advance(self._t_us * 1000, self._turns)
            self._device.receive(self._talk.take_output(), self._t_us)
            self._edges.extend(self._device.take_edges())
            answer = self._device.take_output()
            if not answer:
                break
            self._talk.received(answer, self._t_us * 1000)
        device_us = self._device.next_deadline_us
        host_us = max(-(-due_ns // 1000), self._t_us + 1)
        self._due_us = host_us if device_us is None else min(host_us, device_us)
        if self._events and self._wake is not None:
            self._wake()
