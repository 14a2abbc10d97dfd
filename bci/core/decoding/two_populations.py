"""Read-out of two populations."""

from collections.abc import Sequence
from math import fsum


def two_populations(signal: Sequence[float], n_plus: int) -> float:
    """Mean of P+ minus mean of P−; sums are exact, so that no order of ROIs changes a bit.

    References
    ----------
    Francioni et al. 2026; HoloBMI's E2 − E1.
    """
    return fsum(signal[:n_plus]) / n_plus - fsum(signal[n_plus:]) / (len(signal) - n_plus)
