"""The frame clock is armed: the next frame TTL is number 0."""

from collections.abc import Callable

from bci.core.board_types import BoardEventKind
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import Ack, Arm

Tell = Callable[..., None]


class Arming:
    """Asked under one number until the board confirms it, so that it is done once.

    Parameters
    ----------
    outbox
        Where requests go.
    ack_ns
        How long an answer may take, ns.
    tell
        Called with the kind of event, its time and a detail.
    """

    def __init__(self, outbox: Outbox, ack_ns: int, tell: Tell) -> None:
        self._outbox = outbox
        self._ack_ns = ack_ns
        self._tell = tell
        self._wanted: Arm | None = None
        self._sequence = 0
        self._t_again_ns = 0

    def want(self, *, start: bool) -> None:
        """Arm now; with start the scope is triggered as well."""
        self._wanted = Arm(int(start))
        self._sequence = self._outbox.number()
        self._t_again_ns = 0

    def advance(self, t_ns: int) -> int | None:
        """Ask where it is due; when to come back, None: nothing is wanted."""
        if self._wanted is None:
            return None
        if t_ns >= self._t_again_ns:
            self._outbox.repeat(self._wanted, self._sequence)
            self._t_again_ns = t_ns + self._ack_ns
        return self._t_again_ns

    def hear_ack(self, ack: Ack, t_ns: int) -> None:
        """The board confirms."""
        if self._wanted is not None and ack.answered == self._sequence:
            started = "scope triggered" if self._wanted.start else ""
            self._wanted = None
            self._tell(BoardEventKind.ARMED, t_ns, started)
