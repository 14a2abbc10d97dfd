"""The board is asked for its time, again and again: pairs of a question and its answer."""

from collections.abc import Callable

from bci.core.board_types import BoardEventKind
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import Clock, ClockTime

FIRST = 10
"""The first so many are asked ten times as often, so that the clocks are soon tied."""

Tell = Callable[..., None]


class ClockQuestions:
    """One question at a time; each answer is an event with both ends of its way.

    Parameters
    ----------
    outbox
        Where questions go.
    every_s
        From one to the next.
    tell
        Called with the kind of event, the time of the answer, a detail, the device's time, and how
        long the answer took, microseconds.
    """

    def __init__(self, outbox: Outbox, every_s: float, tell: Tell) -> None:
        self._outbox = outbox
        self._every_ns = round(every_s * 1e9)
        self._tell = tell
        self._asked: tuple[int, int] | None = None
        self._n_asked = 0
        self._t_next_ns = 0

    def greeted(self) -> None:
        """A board has answered a greeting: no answer to an earlier question comes any more."""
        self._asked = None

    def advance(self, t_ns: int) -> int:
        """Ask where it is time; when to come back, ns."""
        if t_ns >= self._t_next_ns:
            self._asked = (self._outbox.ask(Clock()), t_ns)
            self._n_asked += 1
            soon = self._n_asked < FIRST
            self._t_next_ns = t_ns + (self._every_ns // 10 if soon else self._every_ns)
        return self._t_next_ns

    def hear(self, answer: ClockTime, t_ns: int) -> None:
        """The board told its time."""
        if self._asked is None or answer.answered != self._asked[0]:
            return
        took_us = (t_ns - self._asked[1]) / 1e3
        self._asked = None
        self._tell(BoardEventKind.CLOCK, t_ns, "", answer.t_us, took_us)
