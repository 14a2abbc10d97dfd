"""Values that the board is told after every greeting, one after the other, until it confirms."""

from collections.abc import Callable

from bci.config.rig import BoardValues
from bci.core.board_types import BoardEventKind
from bci.hardware.board.codes import SetKey, reason_in_words
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import Ack, Nack, Set


class ValueRequests:
    """What the settings say of the board's inputs, gate and light.

    Parameters
    ----------
    values
        Of the settings; none of one: the board keeps what it has.
    outbox
        Where requests go.
    ack_ns
        How long an answer may take, ns.
    tell
        Called with the kind of event, the time and a detail.
    """

    def __init__(
        self, values: BoardValues, outbox: Outbox, ack_ns: int, tell: Callable[..., None]
    ) -> None:
        self._values = [
            Set(SetKey[name.upper()], value)
            for name, value in values.model_dump().items()
            if value is not None
        ]
        self._outbox = outbox
        self._ack_ns = ack_ns
        self._tell = tell
        self._left: list[Set] = []
        self._asked = 0
        self._t_again_ns = 0

    def greeted(self) -> None:
        """A board has answered a greeting: it may have been reset, so tell it all again."""
        self._left = list(self._values)
        self._asked = self._t_again_ns = 0

    def advance(self, t_ns: int) -> int | None:
        """Ask for what is due; when to come back at the latest, None: nothing is open."""
        if not self._left:
            return None
        if t_ns >= self._t_again_ns:
            self._asked = self._outbox.ask(self._left[0])
            self._t_again_ns = t_ns + self._ack_ns
        return self._t_again_ns

    def hear(self, answer: Ack | Nack, t_ns: int) -> None:
        """The board has taken a value, or will not have it."""
        if not self._left or answer.answered != self._asked:
            return
        refused = self._left.pop(0)
        self._t_again_ns = 0
        if isinstance(answer, Nack):
            name = SetKey(refused.key).name.lower()
            why = f"{reason_in_words(answer.reason)}, its limit is {answer.argument}"
            detail = f"the board refused rig.board.values.{name} = {refused.value}: {why}"
            self._tell(BoardEventKind.PROTOCOL, t_ns, detail)
