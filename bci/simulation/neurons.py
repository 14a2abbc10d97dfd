"""The neurons of a simulated field of view: how they differ, and where they lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.config.rig import SimulatedSource

IMAGE_SHAPE = (512, 796)
"""Rows, columns."""
MARGIN_PX = 20


@dataclass(frozen=True)
class Neurons:
    """What each ROI is like; every array has the shape (n_rois,).

    Parameters
    ----------
    share
        Cumulated part of all events that falls to the ROIs up to this one; the last is 1.
    event_dff
        Peak dF/F of one event.
    baseline_counts
        Resting fluorescence above the dark level.
    x_px, y_px
        Centre in the image.
    """

    share: NDArray[np.float64]
    event_dff: NDArray[np.float64]
    baseline_counts: NDArray[np.float64]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]


def draw_neurons(settings: SimulatedSource, random: np.random.Generator) -> Neurons:
    """Neurons whose properties are log-normal about those of the settings.

    Parameters
    ----------
    settings
        Their `diversity` is the SD of the logarithms.
    random
        Makes the result reproducible.
    """
    n = settings.n_rois
    rate, size, rest = np.exp(settings.diversity * random.standard_normal((3, n)))
    share = np.cumsum(rate)
    x_px, y_px = _places(n, random)
    return Neurons(
        share / share[-1],
        settings.event_dff * size / size.mean(),
        settings.baseline_counts * rest / rest.mean(),
        x_px,
        y_px,
    )


def _places(n: int, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One neuron somewhere in each field of a grid, so that few lie on each other."""
    height, width = (side - 2 * MARGIN_PX for side in IMAGE_SHAPE)
    columns = max(1, round(np.sqrt(n * width / height)))
    rows = -(-n // columns)
    fields = random.permutation(rows * columns)[:n]
    within = random.uniform(0.15, 0.85, size=(2, n))
    x_px = MARGIN_PX + (fields % columns + within[0]) * width / columns
    y_px = MARGIN_PX + (fields // columns + within[1]) * height / rows
    return x_px, y_px
