"""The board is asked for its ring: what became of its last rewards, whoever asked for them."""

from bci.core.rewards import BoardReward, RewardFate
from bci.hardware.board.codes import RingState
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import Ring, RingEntry


class Recall:
    """One question for each place of the ring, repeated until it is answered.

    Parameters
    ----------
    outbox
        Where questions go.
    again_ns
        After which a question is repeated.

    Attributes
    ----------
    recalled
        Rewards of the ring, the newest first; None: not all places are known yet.
    """

    def __init__(self, outbox: Outbox, again_ns: int) -> None:
        self.recalled: list[BoardReward] | None = None
        self._outbox = outbox
        self._again_ns = again_ns
        self._n_places = 0
        self._place = 0
        self._found: list[BoardReward] = []
        self._questions: set[int] = set()
        self._t_again_ns = 0

    def want(self, n_places: int) -> None:
        """Ask for every place, anew."""
        self.recalled = None
        self._n_places, self._place = n_places, 0
        self._found = []
        self._questions.clear()
        self._t_again_ns = 0
        self._finish()

    def advance(self, t_ns: int) -> int | None:
        """Ask what is due; when to come back, ns (None: nothing is asked)."""
        if self._place == self._n_places:
            return None
        if t_ns >= self._t_again_ns:
            self._questions.add(self._outbox.ask(Ring(0, self._place)))
            self._t_again_ns = t_ns + self._again_ns
        return self._t_again_ns

    def is_answer(self, entry: RingEntry) -> bool:
        """Whether an entry answers a question of ours."""
        return entry.answered in self._questions

    def hear(self, entry: RingEntry) -> None:
        """An answer came."""
        self._questions.clear()
        self._place += 1
        self._t_again_ns = 0
        if entry.state != RingState.ABSENT:
            done = entry.state == RingState.DONE
            fate = RewardFate.DONE if done else RewardFate.UNKNOWN
            self._found.append(BoardReward(entry.session, entry.request_id, fate))
        self._finish()

    def _finish(self) -> None:
        if self._place == self._n_places:
            self.recalled = self._found
