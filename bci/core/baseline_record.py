"""What a baseline block left for the calibration."""

from collections.abc import Sequence
from math import nan

import numpy as np


class BaselineRecord:
    """s3 and what goes with it at every frame of the newest baseline that counts.

    Attributes
    ----------
    s3
        Without the first F0 window and flagged frames, in the unit of the signal.
    signals
        Smoothed signals of the ensembles at the same frames; each empty where no guard is set.
    medians
        Median F above dark of the same frames, counts.
    awaits_threshold
        True once the block is over and T has not been set since.
    """

    def __init__(self) -> None:
        self.s3: list[float] = []
        self.signals: list[Sequence[float]] = []
        self.medians: list[float] = []
        self.awaits_threshold = False

    @property
    def median(self) -> float:
        """Median over all of it, counts above dark; NaN where it is empty."""
        return float(np.median(self.medians)) if self.medians else nan

    def add(self, s3: float, signal: Sequence[float], median: float) -> None:
        """Take a frame in."""
        self.s3.append(s3)
        self.signals.append(signal)
        self.medians.append(median)

    def clear(self) -> None:
        """Forget all frames: another baseline begins, or other ensembles."""
        self.s3.clear()
        self.signals.clear()
        self.medians.clear()
        self.awaits_threshold = False
