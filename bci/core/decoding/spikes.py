"""Spikes of a voltage indicator."""

from collections.abc import Sequence
from math import exp, pi


class Spikes:
    """Upward crossings of n standard deviations by high-passed fluorescence.

    The high-pass is causal, of first order: F minus its exponential mean. Mean square of what is
    left runs as a mean over the first window and exponentially from then on; a frame is compared
    with the mean square before it, so that a spike does not raise its own threshold. A frame at
    which an ROI crosses counts as the rate of one spike in one frame, so that means over frames are
    spikes per second.

    Parameters
    ----------
    n_rois
        Number of ROIs.
    window_frames
        Frames that the standard deviation is taken over.
    plane_rate_hz
        Rate of the frames, Hz.
    highpass_hz
        Corner of the high-pass, Hz.
    n_sd
        Threshold, standard deviations.
    """

    def __init__(
        self,
        n_rois: int,
        window_frames: int,
        plane_rate_hz: float,
        highpass_hz: float,
        n_sd: float,
    ) -> None:
        self.below_floor: frozenset[int] = frozenset()
        self._n_rois = n_rois
        self._window_frames = window_frames
        self._rate_hz = plane_rate_hz
        self._keep = exp(-2.0 * pi * highpass_hz / plane_rate_hz)
        self._variances = n_sd * n_sd
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._n = 0
        self._slow: list[float] = []
        self._square = [0.0] * self._n_rois
        self._above = [False] * self._n_rois

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in one finite value an ROI, counts above dark, and give its spikes per second."""
        if not self._slow:
            self._slow = list(fluorescence)
        slow, square, above = self._slow, self._square, self._above
        keep, variances, rate_hz = self._keep, self._variances, self._rate_hz
        self._n = n = min(self._n + 1, self._window_frames)
        old, new = (n - 1) / n, 1 / n
        spikes = []
        for i, f in enumerate(fluorescence):
            rest = slow[i]
            fast = f - rest
            slow[i] = rest + (1.0 - keep) * fast
            power, spread = fast * fast, square[i]
            square[i] = spread * old + power * new
            beyond = fast > 0.0 and power > variances * spread
            spikes.append(rate_hz if beyond and not above[i] else 0.0)
            above[i] = beyond
        return spikes
