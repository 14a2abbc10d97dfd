"""The axis of population dynamics, from the baseline of day 1."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from bci.config.experiment import Axis
from bci.core.calibration import BaselineRefused

BALANCED = 1e-9
"""Below this part of the largest weight, the sum of all weights says nothing about the sign."""


class FittedAxis(msgspec.Struct, frozen=True):
    """The first principal axis of a baseline.

    Parameters
    ----------
    axis
        To be kept as `experiment.decoder.axis`.
    explained
        Part of the variance of the z-scored signals that lies along it, 0–1.
    n_frames
        Length of the baseline.
    """

    axis: Axis
    explained: float
    n_frames: int


def fit_axis(signals: ArrayLike, labels: Sequence[str]) -> FittedAxis:
    """First principal axis of z-scored activity.

    Its sign is the one whose weights sum to more than 0, so that more activity on the whole turns
    the grating towards its target; where they cancel out, the largest weight is positive.

    Parameters
    ----------
    signals
        Smoothed signals (`EnsembleDecoder.smoothed`) of the settled frames of the baseline of day
        1, in the unit of `experiment.decoder.signal`; shape (n_frames, n_rois).
    labels
        The ROIs, shape (n_rois,).

    Raises
    ------
    BaselineRefused
        Where there are fewer than two ROIs or no more frames than ROIs, or where an ROI does not
        vary or is not finite.
    """
    x = np.asarray(signals, dtype=np.float64)
    n_frames, n_rois = x.shape
    if n_rois < 2 or n_frames <= n_rois:
        raise BaselineRefused(
            f"an axis needs 2 ROIs or more and more frames than ROIs, not {n_frames} frames of "
            f"{n_rois} ROIs: name more ROIs, or record a longer baseline"
        )
    means, scales = x.mean(axis=0), x.std(axis=0, ddof=1)
    useless = [
        label
        for label, scale in zip(labels, scales.tolist(), strict=True)
        if not 0 < scale < np.inf
    ]
    if useless:
        raise BaselineRefused(
            f"no axis from ROIs that do not vary or are not finite: {', '.join(useless)}. "
            "Take them out of experiment.decoder.p_plus"
        )
    z = (x - means) / scales
    variances, axes = np.linalg.eigh(z.T @ z / (n_frames - 1))
    weights = axes[:, -1]
    total, largest = weights.sum(), weights[np.abs(weights).argmax()]
    if (total if abs(total) > BALANCED * abs(largest) else largest) < 0:
        weights = -weights
    axis = Axis(
        labels=tuple(labels),
        weights=tuple(weights.tolist()),
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
    )
    return FittedAxis(axis, float(variances[-1] / variances.sum()), n_frames)
