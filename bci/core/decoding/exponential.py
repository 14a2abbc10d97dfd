"""F0 as an exponential mean."""

from collections.abc import Sequence


class ExponentialMean:
    """Mean of the first frames, exponential from then on: F0 ← F0 (n − 1) / n + F / n.

    Parameters
    ----------
    n_rois
        Number of ROIs.
    window_frames
        n; while fewer frames have come, their number stands for it.

    References
    ----------
    HoloBMI (Athalye, Costa): n = 2 minutes of frames. CaBMI begins with the mean of 60 s.
    """

    def __init__(self, n_rois: int, window_frames: int) -> None:
        self.window_frames = window_frames
        self._n_rois = n_rois
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._n = 0
        self._f0 = [0.0] * self._n_rois

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in one finite value an ROI, counts above dark, and give F0 of every ROI, counts."""
        self._n = n = min(self._n + 1, self.window_frames)
        self._f0 = f0 = [
            rest * (n - 1) / n + f / n for rest, f in zip(self._f0, fluorescence, strict=True)
        ]
        return f0
