"""Gate and light as the host wants them, asked for until the board confirms."""

from collections.abc import Callable

from bci.core.board_types import BoardEventKind, LightCommand
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import Ack, Gate, Light

Tell = Callable[..., None]


class LightRequests:
    """One request at a time: going up the gate comes first, going down the light.

    Parameters
    ----------
    outbox
        Where requests go.
    ack_ns
        How long an answer may take, ns.
    tell
        Called with the kind of event, the time, a detail and a value.
    """

    def __init__(self, outbox: Outbox, ack_ns: int, tell: Tell) -> None:
        self._outbox = outbox
        self._ack_ns = ack_ns
        self._tell = tell
        self._wanted: LightCommand | None = None
        self._left: list[Gate | Light] = []
        self._asked: tuple[int, Gate | Light] | None = None
        self._t_again_ns = 0
        self._uses_gate = False
        self._gate_is_up = False
        self._light_is_on = False

    def want(self, command: LightCommand) -> None:
        """Want this from now on; it is told again to a board that comes back."""
        self._wanted = command
        self._plan()

    def want_nothing(self) -> None:
        """The board has been asked to shut everything."""
        self._wanted = None
        self._plan()

    def greeted(self) -> None:
        """A board has answered a greeting: tell it all again."""
        self._gate_is_up = self._light_is_on = False
        self._plan()

    def lowered(self, t_ns: int) -> None:
        """The board is safe or gone: whatever was up is down."""
        if self._light_is_on:
            self._tell(BoardEventKind.LIGHT, t_ns, "lowered by the safe state")
        if self._gate_is_up:
            self._tell(BoardEventKind.GATE, t_ns, "lowered by the safe state")
        self.greeted()

    def advance(self, t_ns: int) -> int | None:
        """Ask for what is due; when to come back at the latest, None: nothing is open."""
        if not self._left:
            return None
        if t_ns >= self._t_again_ns:
            message = self._left[0]
            self._asked = (self._outbox.ask(message), message)
            self._t_again_ns = t_ns + self._ack_ns
        return self._t_again_ns

    def hear_ack(self, ack: Ack, t_ns: int) -> None:
        """The board has done what was asked last."""
        if self._asked is None or ack.answered != self._asked[0]:
            return
        message, self._asked = self._asked[1], None
        self._t_again_ns = 0
        self._left.remove(message)
        if isinstance(message, Gate):
            self._gate_is_up = bool(message.mode)
            self._tell(BoardEventKind.GATE, t_ns, value=float(message.mode))
        else:
            self._light_is_on = bool(message.on)
            self._tell(BoardEventKind.LIGHT, t_ns, value=float(message.on))

    def _plan(self) -> None:
        self._asked, self._t_again_ns, wanted = None, 0, self._wanted
        if wanted is None:
            self._left = []
            return
        light = Light(int(wanted.on))
        if wanted.gate:
            self._uses_gate = True
            self._left = [light] if self._gate_is_up else [Gate(1), light]
        else:
            # a board whose gate was never used is not asked for it
            self._left = [light, Gate(0)] if self._uses_gate else [light]
