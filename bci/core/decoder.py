"""From fluorescence to s3: dF/F, the difference of two ensembles, its trailing mean."""

from collections import deque
from collections.abc import Sequence
from math import fsum, nan

from bci.config.experiment import Decoder
from bci.core.f0 import RollingPercentile
from bci.core.stream_types import StreamInfo


class UnknownRoi(ValueError):
    """An ensemble names an ROI that the decode plane does not have."""


class TwoEnsembleDecoder:
    """Mean dF/F of P+ minus mean dF/F of P−, smoothed over the last frames.

    Sums are exact (`math.fsum`), so that no Python or NumPy version and no order of ROIs changes a
    decision.

    Parameters
    ----------
    settings
        `experiment.decoder`.
    info
        The stream; both ensembles must lie in `decode_plane`.

    Attributes
    ----------
    roi_indices
        Place of each ensemble ROI in the frames of the decode plane, P+ first.
    labels
        Their labels, in the same order.
    dff
        dF/F of the ensemble ROIs at the last decoded frame.
    s, s3
        Read-out of the last decoded frame and its trailing mean; NaN before the first.

    Raises
    ------
    UnknownRoi
        Where a label is not in the decode plane.
    """

    def __init__(self, settings: Decoder, info: StreamInfo) -> None:
        places = {roi.label: i for i, roi in enumerate(info.plane_rois(settings.decode_plane))}
        self.labels = (*settings.p_plus, *settings.p_minus)
        unknown = [label for label in self.labels if label not in places]
        if unknown:
            raise UnknownRoi(f"not in plane {settings.decode_plane}: {', '.join(unknown)}")
        self.roi_indices = tuple(places[label] for label in self.labels)
        self.window_frames = max(1, round(settings.f0_window_s * info.plane_rate_hz))
        self._n_plus = len(settings.p_plus)
        self._n_minus = len(settings.p_minus)
        self._floor = settings.dff_floor_counts
        self._f0 = RollingPercentile(len(self.labels), self.window_frames, settings.f0_percentile)
        self._recent: deque[float] = deque(maxlen=settings.smoothing_frames)
        self.frames_since_reset = 0
        self.below_floor: frozenset[int] = frozenset()
        self.dff: list[float] = [nan] * len(self.labels)
        self.s = nan
        self.s3 = nan

    @property
    def is_settled(self) -> bool:
        """True once the F0 window is full."""
        return self.frames_since_reset >= self.window_frames

    def reset(self) -> None:
        """Forget F0 and smoothing: after a start, a new epoch, a long gap."""
        self._f0.reset()
        self._recent.clear()
        self.frames_since_reset = 0

    def update(self, fluorescence: Sequence[float]) -> float:
        """Take one frame in and give s3.

        Parameters
        ----------
        fluorescence
            Counts above dark of the ensemble ROIs, in the order of `labels`, all finite.

        Returns
        -------
        float
            s3, dF/F.
        """
        floor = self._floor
        f0 = self._f0.update(fluorescence)
        if min(f0) < floor:
            self.below_floor = frozenset(i for i, rest in enumerate(f0) if rest < floor)
            f0 = [rest if rest > floor else floor for rest in f0]
        elif self.below_floor:
            self.below_floor = frozenset()
        self.dff = dff = [(f - rest) / rest for f, rest in zip(fluorescence, f0, strict=True)]
        n_plus = self._n_plus
        self.s = fsum(dff[:n_plus]) / n_plus - fsum(dff[n_plus:]) / self._n_minus
        self._recent.append(self.s)
        self.s3 = fsum(self._recent) / len(self._recent)
        self.frames_since_reset += 1
        return self.s3
