"""Difficulty that follows the animal: T raised while it hits often."""

from collections import deque
from math import inf, nan

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
        `experiment.adaptive`; None: T is never raised.

    Attributes
    ----------
    first_t
        T that the steps are counted from; NaN before there is one.
    """

    def __init__(self, settings: Adaptive | None) -> None:
        self._settings = settings
        self._hits: deque[bool] = deque(maxlen=settings.n_trials if settings else 0)
        self._to_come: tuple[float, ...] = ()
        self.first_t = nan

    def begin(self, t: float, first_t: float | None = None) -> None:
        """Start from a T that was set: no trials so far.

        Parameters
        ----------
        t
            As it is now.
        first_t
            What it was raised from before; None: no steps so far.
        """
        self.first_t = t if first_t is None else first_t
        self._hits.clear()
        if self._settings is not None:
            steps = raised_thresholds(self._settings, self.first_t)
            self._to_come = tuple(step for step in steps if step > t)

    def take(self, outcome: Outcome) -> float | None:
        """Take a trial's end in; the new T where it is raised now, else None."""
        settings = self._settings
        if settings is None or outcome is Outcome.ABORT:
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
