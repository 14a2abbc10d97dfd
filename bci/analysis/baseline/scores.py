"""What every ROI is like in a baseline, as numbers to choose by."""

from math import isfinite, nan

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.analysis.baseline.events import decay_s, find_events, trailing_mean
from bci.analysis.baseline.recording import Baseline
from bci.analysis.baseline.signals import PlaneSignals, plane_signals
from bci.analysis.baseline.tuning import tuning
from bci.config.ensembles import EnsembleChoice
from bci.config.experiment import Decoder
from bci.core.stream_types import Roi

FEWEST_STRETCHES = 4


class RoiScore(msgspec.Struct, frozen=True):
    """One ROI in a baseline; NaN: unknown.

    Parameters
    ----------
    label, plane, x_px, y_px
        As in the ROI table.
    f0_counts
        Median fluorescence above dark, counts.
    event_rate_hz
        Events a second, see `find_events`.
    snr
        Height of the median event over the SD of the noise.
    noise
        That SD, in the unit of the signal.
    drift
        Change of F0 over the baseline by a straight line, part of its mean; negative: it fades.
    decay_s
        Decay constant of its mean transient, s.
    correlation_max, correlation_mean
        Pearson r of the smoothed signals with the other ROIs of its plane.
    most_like
        Label of the ROI that it correlates with most.
    tuning, tuning_low, tuning_high
        Response to 90° minus 0°, in the unit of the signal, and its interval.
    """

    label: str
    plane: int
    x_px: float = nan
    y_px: float = nan
    f0_counts: float = nan
    event_rate_hz: float = nan
    snr: float = nan
    noise: float = nan
    drift: float = nan
    decay_s: float = nan
    correlation_max: float = nan
    correlation_mean: float = nan
    most_like: str = ""
    tuning: float = nan
    tuning_low: float = nan
    tuning_high: float = nan

    @property
    def is_scored(self) -> bool:
        """False where the ROI lacked values in some frames, so that it cannot be decoded."""
        return isfinite(self.event_rate_hz)

    @property
    def is_tuned(self) -> bool:
        """True where the interval of its tuning leaves out 0."""
        return self.tuning_low > 0 or self.tuning_high < 0


class Scores(msgspec.Struct, frozen=True):
    """All ROIs of a baseline.

    Parameters
    ----------
    rois
        One row an ROI, in table order.
    plane
        The plane that is decoded.
    labels, correlation
        ROIs of that plane that have scores, and Pearson r between them, shape (n, n).
    has_gratings
        True where gratings were shown.
    duration_s, rate_hz
        Of the frames that were used: time, s, and rate, Hz.
    """

    rois: tuple[RoiScore, ...]
    plane: int
    labels: tuple[str, ...]
    correlation: NDArray[np.float64]
    has_gratings: bool
    duration_s: float
    rate_hz: float

    def of(self, label: str) -> RoiScore:
        """Row of an ROI.

        Raises
        ------
        KeyError
            Where there is none of that label.
        """
        for roi in self.rois:
            if roi.label == label:
                return roi
        raise KeyError(label)


def score_rois(baseline: Baseline) -> Scores:
    """Score every ROI of every plane, by the signal that the loop itself makes of it.

    Parameters
    ----------
    baseline
        The recording.
    """
    experiment = baseline.session.experiment
    decode_plane = experiment.decoder.decode_plane
    rows: dict[str, RoiScore] = {}
    labels: tuple[str, ...] = ()
    correlation, angles, duration_s = np.zeros((0, 0)), np.zeros(0), 0.0
    for plane in range(baseline.info.n_planes):
        signals = plane_signals(baseline, plane)
        scored, between = score_plane(signals, experiment.decoder, experiment.ensembles)
        rows |= {row.label: row for row in scored}
        if plane == decode_plane:
            labels, correlation = tuple(row.label for row in scored), between
            angles, duration_s = signals.angle_deg, signals.duration_s
    return Scores(
        tuple(rows.get(roi.label, _unscored(roi)) for roi in baseline.info.rois),
        decode_plane,
        labels,
        correlation,
        bool(np.isfinite(angles).any()),
        duration_s,
        baseline.info.plane_rate_hz,
    )


def score_plane(
    signals: PlaneSignals, decoder: Decoder, settings: EnsembleChoice
) -> tuple[list[RoiScore], NDArray[np.float64]]:
    """Rows of the ROIs of one plane, and their correlation with each other.

    Parameters
    ----------
    signals
        Of the plane.
    decoder
        `experiment.decoder`, for its smoothing.
    settings
        `experiment.ensembles`.
    """
    n_frames, n_rois = signals.signal.shape
    if n_frames < FEWEST_STRETCHES:
        return [], np.zeros((0, 0))
    smoothed = trailing_mean(signals.signal, decoder.smoothing_frames)
    between = correlations(smoothed)
    others = between.copy()
    np.fill_diagonal(others, np.nan)
    drifts = drift(signals.fluorescence, signals.rate_hz, decoder)
    tuned = tuning(signals.signal, signals.angle_deg, signals.rate_hz, settings.tuning_confidence)
    f0 = np.median(signals.fluorescence, axis=0)
    rows = []
    for i, roi in enumerate(signals.rois):
        events = find_events(smoothed[:, i], settings.event_sd, settings.min_event)
        like = int(np.nanargmax(others[i])) if n_rois > 1 else None
        rows.append(
            RoiScore(
                label=roi.label,
                plane=roi.plane,
                x_px=roi.x_px,
                y_px=roi.y_px,
                f0_counts=float(f0[i]),
                event_rate_hz=len(events.onsets) / signals.duration_s,
                snr=events.snr,
                noise=events.noise,
                drift=float(drifts[i]),
                decay_s=decay_s(
                    signals.signal[:, i], events, signals.rate_hz, settings.indicator_decay_s
                ),
                correlation_max=float(others[i, like]) if like is not None else nan,
                correlation_mean=float(np.nanmean(others[i])) if like is not None else nan,
                most_like=signals.rois[like].label if like is not None else "",
                tuning=float(tuned.difference[i]),
                tuning_low=float(tuned.low[i]),
                tuning_high=float(tuned.high[i]),
            )
        )
    return rows, between


def correlations(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson r of every ROI with every other; 0 with one that never varies.

    Parameters
    ----------
    signal
        Shape (n_frames, n_rois).
    """
    centred = signal - signal.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    r: NDArray[np.float64] = np.clip(unit.T @ unit, -1.0, 1.0)
    return r


def drift(
    fluorescence: NDArray[np.float32], rate_hz: float, decoder: Decoder
) -> NDArray[np.float64]:
    """Change of the resting fluorescence over the baseline, part of its mean, shape (n_rois,).

    The percentile of F0 is taken of successive stretches of the F0 window, at least 4 of them; a
    straight line is fitted by least squares. NaN where the mean is not positive.

    Parameters
    ----------
    fluorescence
        Counts above dark, shape (n_frames, n_rois).
    rate_hz
        Of the frames, Hz.
    decoder
        `experiment.decoder`, for window and percentile.
    """
    n_frames = len(fluorescence)
    n = max(FEWEST_STRETCHES, int(n_frames / (decoder.f0_window_s * rate_hz)))
    levels = np.array(
        [
            np.percentile(stretch, decoder.f0_percentile, axis=0)
            for stretch in np.array_split(fluorescence, n)
        ]
    )
    place = np.arange(n) - (n - 1) / 2
    slope = place @ levels / (place @ place)
    mean = levels.mean(axis=0)
    change: NDArray[np.float64] = np.divide(
        slope * n, mean, out=np.full(len(mean), np.nan), where=mean > 0
    )
    return change


def _unscored(roi: Roi) -> RoiScore:
    return RoiScore(roi.label, roi.plane, roi.x_px, roi.y_px)
