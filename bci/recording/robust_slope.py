"""Slope of a line through points of which some are far off."""

import numpy as np
from numpy.typing import NDArray


def theil_sen_slope(y: NDArray[np.float64], x: NDArray[np.float64]) -> float:
    """Median of the slopes between all pairs of points.

    `scipy.stats.theilslopes` gives the same and an interval with it, but importing `scipy.stats`
    takes most of a second, in every process that measures a clock.

    Parameters
    ----------
    y, x
        Shape (n,), n ≥ 2, at least two of `x` different. Memory grows with n².

    References
    ----------
    Sen 1968, Journal of the American Statistical Association 63, 1379–1389.
    """
    first, second = np.triu_indices(len(x), 1)
    run = x[second] - x[first]
    rise = y[second] - y[first]
    apart = run != 0
    return float(np.median(rise[apart] / run[apart]))
