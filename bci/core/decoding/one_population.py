"""Read-out of one population."""

from collections.abc import Sequence
from math import fsum
from operator import mul


class OnePopulation:
    """Mean of P+, or its weighted sum; sums are exact, so that no order of ROIs changes a bit.

    Parameters
    ----------
    weights
        One an ROI; None: 1/n each.
    """

    def __init__(self, weights: Sequence[float] | None) -> None:
        self._weights = weights

    def __call__(self, signal: Sequence[float]) -> float:
        """Give s of the signals of P+."""
        if self._weights is None:
            return fsum(signal) / len(signal)
        return fsum(map(mul, self._weights, signal))
