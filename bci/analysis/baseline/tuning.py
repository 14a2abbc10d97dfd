"""Response of an ROI to the target's grating, against the one at the other end."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

LATENCY_S = 0.2
FEWEST_VISITS = 3


class Tuning(NamedTuple):
    """Mean signal at 90° minus that at 0°, and its interval; NaN where too few were shown.

    Each has the shape (n_rois,), in the unit of the signal.
    """

    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def tuning(
    signal: NDArray[np.float64],
    angle_deg: NDArray[np.float64],
    rate_hz: float,
    confidence: float,
    target_deg: float = 90.0,
    other_deg: float = 0.0,
) -> Tuning:
    """Difference of the responses to two gratings, with Welch's interval.

    One sample a visit: the mean signal while the grating stood, without its first 0.2 s, which
    show the one before.

    Parameters
    ----------
    signal
        Shape (n_frames, n_rois).
    angle_deg
        Grating at each frame, NaN for none, shape (n_frames,).
    rate_hz
        Of the frames, Hz.
    confidence
        Of the interval, 0–1.
    target_deg, other_deg
        The two gratings.

    References
    ----------
    Welch 1947, Biometrika 34, 28: means of two samples with unlike variances.
    """
    target = _visits(signal, angle_deg, rate_hz, target_deg)
    other = _visits(signal, angle_deg, rate_hz, other_deg)
    if min(len(target), len(other)) < FEWEST_VISITS:
        unknown = np.full(signal.shape[1], np.nan)
        return Tuning(unknown, unknown, unknown)
    difference = target.mean(axis=0) - other.mean(axis=0)
    parts = [visits.var(axis=0, ddof=1) / len(visits) for visits in (target, other)]
    total = parts[0] + parts[1]
    freedom = sum(
        part**2 / (len(visits) - 1) for part, visits in zip(parts, (target, other), strict=True)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        degrees = np.where(freedom > 0, total**2 / freedom, 1.0)
    half = stdtrit(degrees, 0.5 + confidence / 2) * np.sqrt(total)
    return Tuning(difference, difference - half, difference + half)


def _visits(
    signal: NDArray[np.float64], angle_deg: NDArray[np.float64], rate_hz: float, which_deg: float
) -> NDArray[np.float64]:
    """Mean of each visit to a grating, shape (n_visits, n_rois)."""
    shown = np.concatenate([[False], angle_deg == which_deg, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(shown))
    late = round(LATENCY_S * rate_hz)
    means = [
        signal[start + late : stop].mean(axis=0)
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        if stop - start > late
    ]
    return np.array(means).reshape(len(means), signal.shape[1])
