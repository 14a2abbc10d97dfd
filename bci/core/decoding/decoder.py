"""From fluorescence to s3: a signal of each ROI, a read-out of the ensembles, its trailing mean."""

from collections import deque
from collections.abc import Sequence
from math import fsum, nan

from bci.config.experiment import Decoder
from bci.core.decoding.parts import Layout
from bci.core.decoding.registry import READ_OUTS, SIGNALS
from bci.core.stream_types import StreamInfo


class UnknownRoi(ValueError):
    """An ensemble names an ROI that the decode plane does not have."""


class EnsembleDecoder:
    """The read-out of two ensembles, smoothed over the last frames, put together by the settings.

    Sums are exact (`math.fsum`), so that no Python or NumPy version and no order of ROIs changes a
    decision.

    Parameters
    ----------
    settings
        `experiment.decoder`; with no ROI in it, frames are counted and s stays NaN.
    info
        The stream; both ensembles must lie in `decode_plane`.

    Attributes
    ----------
    roi_indices
        Place of each ensemble ROI in the frames of the decode plane, P+ first.
    labels
        Their labels, in the same order.
    layout
        What the parts know of the stream.
    signal
        Of the ensemble ROIs at the last decoded frame, in the unit of `experiment.decoder.signal`.
    s, s3
        Read-out of the last decoded frame and its trailing mean, same unit; NaN before the first.

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
        self.layout = Layout(
            len(self.labels),
            len(settings.p_plus),
            self.window_frames,
            info.plane_rate_hz,
            self.labels,
        )
        self._signal = SIGNALS[settings.signal](settings, self.layout)
        self._read_out = READ_OUTS[settings.read_out](settings, self.layout)
        self._recent: deque[float] = deque(maxlen=settings.smoothing_frames)
        self._signals: deque[list[float]] = deque(maxlen=settings.smoothing_frames)
        self.frames_since_reset = 0
        self.signal: list[float] = [nan] * len(self.labels)
        self.s = nan
        self.s3 = nan

    @property
    def is_settled(self) -> bool:
        """True once the F0 window is full."""
        return self.frames_since_reset >= self.window_frames

    @property
    def below_floor(self) -> frozenset[int]:
        """Places of the ROIs whose F0 is too small to divide by."""
        return self._signal.below_floor

    @property
    def smoothed(self) -> list[float]:
        """Trailing mean of each ROI's signal, over the frames that s3 is the mean of."""
        n = len(self._signals)
        return [fsum(values) / n for values in zip(*self._signals, strict=True)]

    def reset(self) -> None:
        """Forget F0 and smoothing: after a start, a new epoch, a long gap."""
        self._signal.reset()
        self._recent.clear()
        self._signals.clear()
        self.frames_since_reset = 0

    def update(self, fluorescence: Sequence[float]) -> float:
        """Take one frame in and give s3.

        Parameters
        ----------
        fluorescence
            Counts above dark of the ensemble ROIs, in the order of `labels`, all finite; kept.

        Returns
        -------
        float
            s3, in the unit of the signal.
        """
        self.frames_since_reset += 1
        if not self.labels:
            return nan
        recent = self._recent
        self.signal = signal = self._signal.update(fluorescence)
        self.s = s = self._read_out(signal)
        recent.append(s)
        self._signals.append(signal)
        self.s3 = s3 = fsum(recent) / len(recent)
        return s3
