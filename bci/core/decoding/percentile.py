"""F0: the resting fluorescence that dF/F divides by."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence


class RollingPercentile:
    """Trailing percentile of each ROI's fluorescence, the F0 of dF/F.

    Exact at every frame: sorted windows, O(log n) to find and O(n) bytes to move. A window not yet
    full uses what there is. Equal, bit for bit, to `numpy.percentile` with method 'linear'.

    Parameters
    ----------
    n_rois
        Number of ROIs.
    window_frames
        Length of the trailing window, current frame included.
    percentile
        In 0–100.

    References
    ----------
    Francioni et al. 2026, Methods: 10th percentile of the last 30 s.
    """

    def __init__(self, n_rois: int, window_frames: int, percentile: float) -> None:
        self.window_frames = window_frames
        self._quantile = percentile / 100.0
        self._sorted: list[list[float]] = [[] for _ in range(n_rois)]
        self._history: deque[Sequence[float]] = deque()

    def __len__(self) -> int:
        """Frames in the window now."""
        return len(self._history)

    def reset(self) -> None:
        """Forget all frames."""
        self._history.clear()
        for window in self._sorted:
            window.clear()

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take one frame in and give the percentile of every ROI.

        Parameters
        ----------
        fluorescence
            One finite value an ROI, counts above dark; kept, so it must not be changed afterwards.

        Returns
        -------
        list of float
            F0 of every ROI, counts.
        """
        windows = self._sorted
        if len(self._history) == self.window_frames:
            for window, oldest in zip(windows, self._history.popleft(), strict=True):
                del window[bisect_left(window, oldest)]
        self._history.append(fluorescence)
        position = (len(self._history) - 1) * self._quantile
        below = int(position)
        above = min(below + 1, len(self._history) - 1)
        weight = position - below
        f0 = []
        for window, value in zip(windows, fluorescence, strict=True):
            insort(window, value)
            low, high = window[below], window[above]
            step = high - low
            f0.append(low + step * weight if weight < 0.5 else high - step * (1 - weight))
        return f0
