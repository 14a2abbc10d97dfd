"""Difficulty that follows the animal: T raised while it hits often."""

from collections import deque
from math import inf

from bci.config.experiment import Adaptive
from bci.core.loop_types import Outcome


def raised_thresholds(settings: Adaptive, t: float) -> tuple[float, ...]:
    """Every T that a first one may be raised to, in order, in the unit of the signal."""
    most = inf if settings.max_t is None else settings.max_t
    steps = (t + settings.step * k for k in range(1, settings.max_steps + 1))
    return tuple(step for step in steps if step <= most)


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
        self._to_come: tuple[float, ...] = ()

    def begin(self, t: float) -> None:
        """Start from a T that was set: no steps so far, no trials."""
        self._to_come = raised_thresholds(self._settings, t)
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
        if not self._to_come:
            return None
        t, *rest = self._to_come
        self._to_come = tuple(rest)
        self._hits.clear()
        return t
