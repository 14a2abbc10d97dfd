"""Read-out of one population."""

from collections.abc import Sequence
from math import fsum


def one_population(signal: Sequence[float], n_plus: int) -> float:
    """Mean of P+, by an exact sum."""
    return fsum(signal[:n_plus]) / n_plus
