"""Long traces for the eye: few points, every peak kept."""

import numpy as np
from numpy.typing import NDArray


def thin(values: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Places of the points to draw: smallest and largest of each of `most / 2` equal stretches.

    Parameters
    ----------
    values
        Shape (n,); NaN where nothing was measured.
    most
        Points at most; all are kept where there are no more than this.

    Returns
    -------
    NDArray
        Ascending, first and last place included.
    """
    n = len(values)
    if n <= most:
        return np.arange(n)
    edges = np.linspace(0, n, max(most // 2 - 1, 1) + 1).astype(np.intp)
    low = np.where(np.isnan(values), np.inf, values)
    high = np.where(np.isnan(values), -np.inf, values)
    starts = edges[:-1]
    kept = [0, n - 1]
    for start, stop in zip(starts.tolist(), edges[1:].tolist(), strict=True):
        kept += [start + int(low[start:stop].argmin()), start + int(high[start:stop].argmax())]
    return np.unique(np.array(kept, dtype=np.intp))
