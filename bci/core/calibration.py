"""T and lo from a baseline, by the lines of the reference."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bci.config.experiment import Calibration

FAR_BELOW_SD = 3.0


class BaselineRefused(ValueError):
    """No threshold can be had from this baseline; says why and what to do."""


class CalibrationResult(msgspec.Struct, frozen=True):
    """T, lo and the mirrored distribution of a baseline.

    Parameters
    ----------
    t, lo
        Threshold and minimum of s3, dF/F.
    mu, sigma
        Mean and standard deviation (ddof 1) of s3 ≤ median and its mirror, dF/F.
    z_t
        (t − mu) / sigma.
    success_fraction
        Fraction of the pseudo-trials with max s3 ≥ t.
    n_frames, run_frames
        Length of the baseline's s3 and of one pseudo-trial, decoded frames.
    baseline_median
        Median over frames and ROIs of F above dark, counts; NaN where unknown.
    warnings
        What an operator should look at, in words.
    """

    t: float
    lo: float
    mu: float
    sigma: float
    z_t: float
    success_fraction: float
    n_frames: int
    run_frames: int
    baseline_median: float
    warnings: tuple[str, ...]


def calibrate(
    s3: Sequence[float] | NDArray[np.float64],
    run_frames: int,
    settings: Calibration,
    baseline_median: float = float("nan"),
) -> CalibrationResult:
    """Find the threshold that a fraction of pseudo-trials reaches.

    Parameters
    ----------
    s3
        Read-out of the baseline in order, dF/F, without the first F0 window and flagged frames;
        shape (n_frames,).
    run_frames
        Decoded frames of a live RUN, `ceil(trial_s × plane rate)`.
    settings
        `experiment.calibration`; its seed makes the result reproducible.
    baseline_median
        Passed on to the result.

    Raises
    ------
    BaselineRefused
        Where the baseline is shorter than one pseudo-trial, is not finite or hardly varies.

    References
    ----------
    Francioni et al. 2026: pseudo-trials, steps of 0.005 dF/F, mirrored distribution.
    """
    trace = np.asarray(s3, dtype=np.float64)
    if len(trace) <= run_frames:
        raise BaselineRefused(
            f"{len(trace)} decoded frames are left of the baseline, a pseudo-trial takes "
            f"{run_frames}: record a longer baseline, or shorten the trial or the F0 window"
        )
    if not np.isfinite(trace).all():
        raise BaselineRefused("s3 is not finite in the baseline: look at the stream")
    lo, median = float(trace.min()), float(np.median(trace))
    if not median > lo:
        raise BaselineRefused(
            "s3 did not vary in the baseline, or was at its minimum for half of it: "
            "look at the ensembles and at the stream"
        )
    rng = np.random.default_rng(settings.seed)
    starts = rng.integers(0, len(trace) - run_frames + 1, size=settings.n_pseudo_trials)
    maxima = sliding_window_view(trace, run_frames)[starts].max(axis=1)
    t = _smallest_threshold(maxima, lo, settings)
    left = trace[trace <= median]
    mirrored = np.concatenate([left, 2 * median - left])
    mu, sigma = float(mirrored.mean()), float(mirrored.std(ddof=1))
    return CalibrationResult(
        t=t,
        lo=lo,
        mu=mu,
        sigma=sigma,
        z_t=(t - mu) / sigma,
        success_fraction=float(np.mean(maxima >= t)),
        n_frames=len(trace),
        run_frames=run_frames,
        baseline_median=baseline_median,
        warnings=_warnings(trace, lo, sigma),
    )


def _smallest_threshold(maxima: NDArray[np.float64], lo: float, settings: Calibration) -> float:
    n, step = len(maxima), settings.step_dff
    n_allowed = max(m for m in range(n) if m / n <= settings.target_fraction)
    beyond = float(np.sort(maxima)[n - 1 - n_allowed])
    # as few pseudo-trials succeed as are allowed once T is beyond this maximum; by halves, because
    # an artefact may lie any number of steps above lo
    below, above = 0, 1
    while lo + step * above <= beyond:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if lo + step * middle <= beyond else (below, middle)
    return lo + step * above


def _warnings(trace: NDArray[np.float64], lo: float, sigma: float) -> tuple[str, ...]:
    low = float(np.percentile(trace, 0.1))
    if low - lo > FAR_BELOW_SD * sigma:
        return (
            f"lo = {lo:.3f} lies far below the 0.1 percentile of s3 ({low:.3f}): "
            "look for an artefact in the baseline, the angle scale is stretched by it",
        )
    return ()
