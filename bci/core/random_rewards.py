"""Rewards at random times, which no trial earned."""

import numpy as np

from bci.config.session_type import RandomRewardType


class RandomRewards:
    """A mean rate, a shortest interval, and exponential chance beyond it.

    Parameters
    ----------
    settings
        Shortest interval and seed.
    rewards_per_min
        Mean rate over the time in which the task goes on.
    """

    def __init__(self, settings: RandomRewardType, rewards_per_min: float) -> None:
        self._rng = np.random.default_rng(settings.seed)
        self._shortest_s = settings.min_interval_s
        self._beyond_s = max(0.0, 60.0 / rewards_per_min - settings.min_interval_s)
        self._next_s = self._interval_s()

    def due(self, task_s: float) -> bool:
        """True once for every reward whose time has come.

        Parameters
        ----------
        task_s
            Frame time spent in trials, seconds.
        """
        if task_s < self._next_s:
            return False
        interval_s = self._interval_s()
        # those whose time went by with lost frames are not made up for
        begins_s = self._next_s
        if begins_s + interval_s < task_s + self._shortest_s:
            begins_s = task_s
        self._next_s = begins_s + interval_s
        return True

    def _interval_s(self) -> float:
        return self._shortest_s + self._beyond_s * float(self._rng.standard_exponential())
