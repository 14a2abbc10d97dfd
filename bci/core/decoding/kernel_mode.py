"""F0 as the mode of a kernel density."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

N_CANDIDATES = 32
WIDTH = 0.9 * 2.214
"""Silverman's factor, times the canonical width of Epanechnikov's kernel over the Gaussian's."""
QUARTILES_SD = 1.349
"""Distance between the quartiles of a normal distribution, standard deviations."""


class KernelMode:
    """Most frequent value of each ROI's trailing window, by a kernel density.

    The kernel is Epanechnikov's, so that its sums are exact differences of cumulative ones and no
    exponential is taken; its width is Silverman's. The density is compared at 32 evenly spaced
    order statistics, which lie densest where the mode is. One ROI is brought up to date a frame, in
    turn: the mode of many seconds hardly moves in the time of a few frames.

    Parameters
    ----------
    n_rois
        Number of ROIs.
    window_frames
        Length of the trailing window, current frame included.

    References
    ----------
    Mitani and Komiyama 2018: F0 as the mode of a kernel density estimate.
    Silverman 1986, equations 3.31 and 4.5.
    """

    def __init__(self, n_rois: int, window_frames: int) -> None:
        self.window_frames = window_frames
        self._n_rois = n_rois
        self._window = np.empty((n_rois, window_frames))
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._n = 0
        self._f0: list[float] = []

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in one finite value an ROI, counts above dark, and give F0 of every ROI, counts."""
        n, turn = self._n, self._n % self._n_rois
        self._window[:, n % self.window_frames] = fluorescence
        if not n:
            self._f0 = list(fluorescence)
        self._n = n + 1
        values = self._window[turn, : n + 1].copy()
        values.sort()
        self._f0[turn] = kernel_mode(values)
        return self._f0


def kernel_mode(values: NDArray[np.float64]) -> float:
    """Value at which the density of sorted values is highest; the lowest of equals.

    Parameters
    ----------
    values
        Finite, rising, shape (n,).
    """
    n = len(values)
    middle = values.item(n // 2)
    x = values - middle
    sums = np.zeros((2, n + 1))
    np.add.accumulate(x, out=sums[0, 1:])
    np.add.accumulate(x * x, out=sums[1, 1:])
    mean = sums.item(n) / n
    spread = sqrt(max(sums.item(2 * n + 1) / n - mean * mean, 0.0))
    quartiles = (values.item((3 * n) // 4) - values.item(n // 4)) / QUARTILES_SD
    width = WIDTH * (min(spread, quartiles) or spread) * n**-0.2
    if not width > 0.0:
        return middle
    at = x[:: max(1, n // N_CANDIDATES)]
    # a value just at the edge weighs nothing, whichever side it is counted on
    first, last = x.searchsorted(np.add.outer((-width, width), at))
    count = last - first
    total, squares = sums.take(last, axis=1) - sums.take(first, axis=1)
    density = count - (at * (at * count - 2.0 * total) + squares) / (width * width)
    return at.item(density.argmax()) + middle
