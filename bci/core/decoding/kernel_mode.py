"""F0 as the mode of a kernel density."""

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

N_CANDIDATES = 64
WIDTH = 0.9 * 2.214
"""Silverman's factor, times the canonical width of Epanechnikov's kernel over the Gaussian's."""
QUARTILES_SD = 1.349
"""Distance between the quartiles of a normal distribution, standard deviations."""


class KernelMode:
    """Most frequent value of each ROI's trailing window, by a kernel density.

    The kernel is Epanechnikov's, so that its sums are exact differences of cumulative ones and no
    exponential is taken; its width is Silverman's. The density is compared at 64 evenly spaced
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
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._sorted = [array("d") for _ in range(self._n_rois)]
        self._history: deque[Sequence[float]] = deque()
        self._f0: list[float] = []
        self._turn = 0

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in one finite value an ROI, counts above dark, and give F0 of every ROI, counts."""
        windows = self._sorted
        if len(self._history) == self.window_frames:
            for window, oldest in zip(windows, self._history.popleft(), strict=True):
                del window[bisect_left(window, oldest)]
        self._history.append(fluorescence)
        for window, value in zip(windows, fluorescence, strict=True):
            insort(window, value)
        if not self._f0:
            self._f0 = list(fluorescence)
        turn = self._turn
        self._f0[turn] = kernel_mode(np.frombuffer(windows[turn]))
        self._turn = (turn + 1) % self._n_rois
        return self._f0


def kernel_mode(values: NDArray[np.float64]) -> float:
    """Value at which the density of sorted values is highest; the lowest of equals.

    Parameters
    ----------
    values
        Finite, rising, shape (n,).
    """
    n = len(values)
    middle = float(values[n // 2])
    x = values - middle
    sums = np.zeros((2, n + 1))
    np.cumsum(x, out=sums[0, 1:])
    np.cumsum(x * x, out=sums[1, 1:])
    mean = sums[0, n] / n
    spread = sqrt(max(sums[1, n] / n - mean * mean, 0.0))
    quartiles = float(values[(3 * n) // 4] - values[n // 4]) / QUARTILES_SD
    width = WIDTH * (min(spread, quartiles) or spread) * n**-0.2
    if not width > 0.0:
        return middle
    at = x[:: max(1, n // N_CANDIDATES)]
    first = x.searchsorted(at - width, side="left")
    last = x.searchsorted(at + width, side="right")
    count = last - first
    total, squares = sums.take(last, axis=1) - sums.take(first, axis=1)
    density = count - (at * (at * count - 2.0 * total) + squares) / (width * width)
    return float(at[density.argmax()]) + middle
