"""F0: the resting fluorescence that dF/F divides by."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from math import inf, nan


class RollingPercentile:
    """Trailing percentile of each ROI's fluorescence, the F0 of dF/F.

    Exact at every frame. Of each window the smallest values are sorted, a few more than the
    percentile needs: most frames bring and take larger ones, which change nothing. Only where too
    many of the small ones have left is a window sorted anew. A window not yet full uses what there
    is. Equal, bit for bit, to `numpy.percentile` with method 'linear'.

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
        self._below, self._above, self._weight = self._place(window_frames)
        needed = self._above + 1
        slack = needed // 2 + 8
        self._kept = needed + slack
        # of a window that is hardly larger than this, all is kept
        self._most = self._kept + slack
        self._rois = range(n_rois)
        self._small: list[list[float]] = [[] for _ in self._rois]
        """Every value of the window up to the ROI's limit, sorted."""
        self._limits = [inf] * n_rois
        self._f0 = [nan] * n_rois
        self._history: deque[Sequence[float]] = deque()

    def __len__(self) -> int:
        """Frames in the window now."""
        return len(self._history)

    def reset(self) -> None:
        """Forget all frames."""
        self._history.clear()
        for small in self._small:
            small.clear()
        self._limits = [inf] * len(self._limits)

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
        history, f0 = self._history, self._f0
        if len(history) < self.window_frames:
            return self._fill(fluorescence)
        oldest = history.popleft()
        history.append(fluorescence)
        below, above, weight = self._below, self._above, self._weight
        for roi, limit, old, new in zip(
            self._rois, self._limits, oldest, fluorescence, strict=True
        ):
            if old > limit and new > limit:
                continue
            small = self._small[roi]
            if old <= limit:
                del small[bisect_left(small, old)]
                if new <= limit:
                    insort(small, new)
                elif len(small) <= above:
                    self._sort_anew(roi)
            else:
                insort(small, new)
                if len(small) > self._most:
                    self._cut(roi)
            low, high = small[below], small[above]
            step = high - low
            f0[roi] = low + step * weight if weight < 0.5 else high - step * (1 - weight)
        return f0.copy()

    def _place(self, n_frames: int) -> tuple[int, int, float]:
        """Ranks that the percentile of so many frames lies between, and how far."""
        position = (n_frames - 1) * self._quantile
        below = int(position)
        return below, min(below + 1, n_frames - 1), position - below

    def _fill(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in a frame of a window that is not yet full."""
        self._history.append(fluorescence)
        below, above, weight = self._place(len(self._history))
        f0 = []
        for small, value in zip(self._small, fluorescence, strict=True):
            insort(small, value)
            low, high = small[below], small[above]
            step = high - low
            f0.append(low + step * weight if weight < 0.5 else high - step * (1 - weight))
        self._f0 = f0
        if len(self._history) == self.window_frames > self._most:
            for roi in range(len(f0)):
                self._cut(roi)
        return f0.copy()

    def _sort_anew(self, roi: int) -> None:
        """Find the small values of one ROI's window again."""
        self._small[roi][:] = sorted([frame[roi] for frame in self._history])
        self._cut(roi)

    def _cut(self, roi: int) -> None:
        """Keep of one ROI's sorted values the small ones."""
        small = self._small[roi]
        self._limits[roi] = limit = small[self._kept - 1]
        del small[bisect_right(small, limit) :]
