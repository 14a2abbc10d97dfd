"""Gratings that the animal sees in the baseline block, whatever it does."""

from bisect import bisect_right

import numpy as np

from bci.config.experiment import Baseline

ANGLES_DEG = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0)


class PassiveGratings:
    """Seven angles in random order, drawn with replacement, one after another without grey.

    The whole sequence is drawn before the block, so that what is shown depends on the seed and on
    frame time alone.

    Parameters
    ----------
    baseline
        `experiment.baseline`.

    References
    ----------
    Francioni et al. 2026 and its control program: 1 ± 0.5 s each.
    """

    def __init__(self, baseline: Baseline) -> None:
        shortest_s = baseline.grating_s - baseline.grating_jitter_s
        longest_s = baseline.grating_s + baseline.grating_jitter_s
        n = int(baseline.duration_s / shortest_s) + 1
        rng = np.random.default_rng(baseline.seed)
        places = rng.integers(0, len(ANGLES_DEG), size=n)
        durations_s = rng.uniform(shortest_s, longest_s, size=n)
        self._angles_deg = [ANGLES_DEG[place] for place in places.tolist()]
        self._ends_s: list[float] = np.cumsum(durations_s).tolist()

    def angle_deg(self, elapsed_s: float) -> float:
        """Angle that is shown at a time of the block.

        Parameters
        ----------
        elapsed_s
            Frame time since the block began, pauses left out, seconds.
        """
        place = bisect_right(self._ends_s, elapsed_s)
        return self._angles_deg[min(place, len(self._angles_deg) - 1)]
