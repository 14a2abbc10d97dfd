"""Difficulty that follows the animal: T raised while it hits often."""

from collections import deque
from math import inf, nan

from bci.config.experiment import Adaptive
from bci.core.loop_types import Outcome


class AdaptiveThreshold:
    """Raises T by a step once the hit rate over the last trials has reached a level.

    A function of the outcomes alone. Each step is judged by trials of its own: a raise forgets
    those before it. Aborted trials do not count. T never falls.

    Parameters
    ----------
    settings
        `experiment.adaptive`.
    """

    def __init__(self, settings: Adaptive) -> None:
        self._settings = settings
        self._hits: deque[bool] = deque(maxlen=settings.n_trials)
        self._first_t = nan
        self._n_steps = 0

    def begin(self, t: float) -> None:
        """Start from a T that was set: no steps so far, no trials."""
        self._first_t, self._n_steps = t, 0
        self._hits.clear()

    def take(self, outcome: Outcome) -> float | None:
        """Take a trial's end in; the new T where it is raised now, else None."""
        settings = self._settings
        if outcome is Outcome.ABORT:
            return None
        self._hits.append(outcome is Outcome.HIT)
        n = settings.n_trials
        if len(self._hits) < n or sum(self._hits) < settings.hit_rate * n:
            return None
        t = self._first_t + settings.step * (self._n_steps + 1)
        most = inf if settings.max_t is None else settings.max_t
        if self._n_steps >= settings.max_steps or t > most:
            return None
        self._n_steps += 1
        self._hits.clear()
        return t
