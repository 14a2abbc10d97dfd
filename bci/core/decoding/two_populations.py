"""Read-out of two populations."""

from collections.abc import Sequence
from math import fsum

from bci.core.decoding.one_population import OnePopulation


class TwoPopulations:
    """Mean of P+ minus mean of P−, or the difference of their weighted sums.

    Parameters
    ----------
    n_plus
        ROIs of P+, which come first.
    weights_plus, weights_minus
        One an ROI; None: 1/n each.

    References
    ----------
    Francioni et al. 2026; HoloBMI's E2 − E1.
    """

    def __init__(
        self,
        n_plus: int,
        weights_plus: Sequence[float] | None,
        weights_minus: Sequence[float] | None,
    ) -> None:
        self._n_plus = n_plus
        self._means = weights_plus is None and weights_minus is None
        self._plus = OnePopulation(weights_plus)
        self._minus = OnePopulation(weights_minus)

    def __call__(self, signal: Sequence[float]) -> float:
        """Give s of the signals of P+ and then P−."""
        if self._means:
            # the same without two calls
            n_plus = self._n_plus
            minus = signal[n_plus:]
            return fsum(signal[:n_plus]) / n_plus - fsum(minus) / len(minus)
        return self._plus(signal[: self._n_plus]) - self._minus(signal[self._n_plus :])
