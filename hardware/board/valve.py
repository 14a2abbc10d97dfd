"""The valve of the simulated board: the pulses of one reward at a time."""

from bci.hardware.board.protocol import Reward


class Valve:
    """Level of the valve and what is left of the running reward.

    Attributes
    ----------
    level
        1: open.
    running
        The reward in progress.
    opened_us
        Time the valve was open for it so far.
    next_edge_us
        When the valve moves next; None: nothing is running.
    """

    def __init__(self) -> None:
        self.level = 0
        self.running: Reward | None = None
        self.opened_us = 0
        self.next_edge_us: int | None = None
        self._pulses_left = 0
        self._t_opened_us = 0

    def begin(self, reward: Reward, t_us: int) -> None:
        """Open for the first pulse."""
        self.running = reward
        self.opened_us = 0
        self._pulses_left = reward.pulses
        self._open(reward, t_us)

    def advance(self, t_us: int) -> bool:
        """Do the edge that is due; True where the reward is over with it."""
        reward = self.running
        if reward is None:
            return False
        if not self.level:
            self._open(reward, t_us)
            return False
        self._shut(t_us)
        self._pulses_left -= 1
        if self._pulses_left:
            self.next_edge_us = t_us + reward.gap_us
            return False
        self.running = None
        return True

    def cut(self, t_us: int) -> None:
        """Shut now and forget the rest."""
        if self.level:
            self._shut(t_us)
        self.running = None
        self.next_edge_us = None

    def _open(self, reward: Reward, t_us: int) -> None:
        self.level = 1
        self._t_opened_us = t_us
        self.next_edge_us = t_us + reward.width_us

    def _shut(self, t_us: int) -> None:
        self.level = 0
        self.opened_us += t_us - self._t_opened_us
        self.next_edge_us = None
