"""What a hit needs besides the cursor at its target."""

from collections.abc import Sequence
from math import fsum, nan

import numpy as np

from bci.config.experiment import Guards
from bci.core.loop_types import GuardLevels


class GuardRule:
    """Whether one frame's activity may count as a hit.

    Parameters
    ----------
    settings
        `experiment.guards`.
    n_plus
        ROIs of P+, the first of each signal.

    Attributes
    ----------
    needs_levels
        True if a guard compares with the baseline.
    needs_signal
        True if any guard is set.
    levels
        From the baseline; while a guard needs them and they are unknown, nothing is a hit.

    References
    ----------
    HoloBMI (Athalye, Costa): mean of E1 at most its baseline mean; mean of E2 without its dominant
    cell at least its baseline mean + 0.5 SD.
    """

    def __init__(self, settings: Guards, n_plus: int) -> None:
        self._below_mean = settings.p_minus_below_mean
        self._others_sd = settings.p_plus_others_sd
        self._max_share = settings.max_cell_share
        self._n_plus = n_plus
        self.needs_levels = self._below_mean or self._others_sd is not None
        self.needs_signal = self.needs_levels or self._max_share is not None
        self.levels: GuardLevels | None = None

    def hold(self, signal: Sequence[float]) -> bool:
        """Say whether all guards hold.

        Parameters
        ----------
        signal
            Smoothed signal of P+ and then P−.
        """
        n_plus = self._n_plus
        plus = signal[:n_plus]
        if self._max_share is not None:
            positive = [value for value in plus if value > 0.0]
            if positive and max(positive) > self._max_share * fsum(positive):
                return False
        if not self.needs_levels:
            return True
        levels = self.levels
        if levels is None:
            return False
        if self._below_mean and not mean_of_minus(signal, n_plus) <= levels.p_minus_max:
            return False
        if self._others_sd is None:
            return True
        dominant = plus.index(max(plus))
        return mean_of_others(plus, dominant) >= levels.others_min[dominant]

    def levels_of(self, signals: Sequence[Sequence[float]]) -> GuardLevels | None:
        """Levels that the guards compare with; None where they need none.

        Parameters
        ----------
        signals
            Smoothed signals of the baseline, shape (n_frames, n_rois).
        """
        if not self.needs_levels:
            return None
        n_plus, p_minus_max = self._n_plus, nan
        if self._below_mean:
            p_minus_max = float(np.mean([mean_of_minus(row, n_plus) for row in signals]))
        others_min: tuple[float, ...] = ()
        if self._others_sd is not None:
            others = np.array(
                [[mean_of_others(row[:n_plus], i) for i in range(n_plus)] for row in signals]
            )
            smallest = others.mean(axis=0) + self._others_sd * others.std(axis=0, ddof=1)
            others_min = tuple(smallest.tolist())
        return GuardLevels(p_minus_max, others_min)


def mean_of_minus(signal: Sequence[float], n_plus: int) -> float:
    """Mean over P−."""
    return fsum(signal[n_plus:]) / (len(signal) - n_plus)


def mean_of_others(plus: Sequence[float], dominant: int) -> float:
    """Mean over P+ without one cell."""
    return fsum((*plus[:dominant], *plus[dominant + 1 :])) / (len(plus) - 1)
