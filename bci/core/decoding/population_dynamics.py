"""Read-out of population dynamics: where the ensemble is along a fixed axis of its activity."""

from collections.abc import Sequence
from math import fsum

from bci.config.experiment import Axis


class PopulationDynamics:
    """Projection of z-scored signals on an axis that stays what it was on day 1.

    A projection is linear, so the trailing mean of s is the projection of the smoothed signals,
    which the axis was fitted on. Sums are exact: no BLAS, no order of ROIs changes a bit.

    Parameters
    ----------
    axis
        `experiment.decoder.axis`; None while there are no ROIs.
    labels
        The ROIs of the signals, in their order, all of them in the axis. One of the axis that is
        not among them counts as being at its mean.

    References
    ----------
    CLOOSE offers such a decoder, fitted anew whenever it is run; here it is carried over.
    """

    def __init__(self, axis: Axis | None, labels: Sequence[str]) -> None:
        self._rois: list[tuple[float, float, float]] = []
        if axis is not None:
            rois = zip(axis.weights, axis.means, axis.scales, strict=True)
            of_label = dict(zip(axis.labels, rois, strict=True))
            self._rois = [of_label[label] for label in labels]

    def __call__(self, signal: Sequence[float]) -> float:
        """Give s of the signals."""
        return fsum(
            weight * ((value - mean) / scale)
            for value, (weight, mean, scale) in zip(signal, self._rois, strict=True)
        )
