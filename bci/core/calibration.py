"""T and lo from a baseline, by the lines of the reference."""

from collections.abc import Mapping, Sequence
from math import inf, nan

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bci.config.day import KnownThreshold
from bci.config.experiment import Calibration, Guards
from bci.core.carry_over import carry_over
from bci.core.chance import Chance
from bci.core.guards import GuardRule
from bci.core.hit_rate import first_step_above, threshold_of_rate
from bci.core.loop_types import GuardLevels, ThresholdSet
from bci.core.messages import Count, Place

FAR_BELOW_SD = 3.0


Interval = tuple[float, float, float]
"""Chance and both ends of its interval, 0–1; all NaN where there is nothing to compare with."""


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
    guards
        Levels of the guards; None where they need none.
    chance, chance_low, chance_high
        Predicted accuracy of a passive animal at t, and where that of one session lies in 95 of
        100, 0–1; NaN until predicted, the interval also where the baseline is too short for one.
    chance_trials
        Hits and misses that it was predicted from; -1 until predicted.
    fresh_t
        T that this baseline gives by itself; another than t where T is carried over from day 1.
    raised
        Each T that adaptive difficulty may raise t to, and what is predicted at it.
    """

    t: float
    lo: float
    mu: float
    sigma: float
    z_t: float
    success_fraction: float
    n_frames: Count
    run_frames: Count
    baseline_median: float
    warnings: tuple[str, ...]
    guards: GuardLevels | None = None
    chance: float = nan
    chance_low: float = nan
    chance_high: float = nan
    chance_trials: Place = -1
    fresh_t: float = nan
    raised: tuple[tuple[float, Chance], ...] = ()

    @property
    def told_chance(self) -> Interval:
        """Chance and its interval, all NaN where there is no interval: nothing to compare with."""
        return _told(self.chance, self.chance_low, self.chance_high)

    @property
    def told_chances(self) -> dict[float, Interval]:
        """The same at every T it was predicted for; empty until it was."""
        if self.chance_trials < 0:
            return {}
        raised = {t: _told(one.chance, one.low, one.high) for t, one in self.raised}
        return {self.t: self.told_chance, **raised}

    @property
    def chance_words(self) -> str:
        """Chance with its interval, for people."""
        if self.chance_trials < 0:
            return "not predicted yet"
        if self.told_chance[0] != self.told_chance[0]:
            return "unknown, the baseline is too short" if self.n_frames else "unknown"
        return interval_words(self.told_chance)

    @property
    def threshold(self) -> ThresholdSet:
        """The event that tells it to the loop."""
        return ThresholdSet(self.t, self.lo, self.baseline_median, "calibration", self.guards)

    def with_chance(self, chance: Chance) -> "CalibrationResult":
        """The same with a predicted chance, and its warnings."""
        return msgspec.structs.replace(
            self,
            chance=chance.chance,
            chance_low=chance.low,
            chance_high=chance.high,
            chance_trials=chance.n_trials,
            raised=chance.raised,
            warnings=(*self.warnings, *chance.warnings),
        )


def calibration_of(known: KnownThreshold) -> CalibrationResult:
    """What is still known of the baseline that such a T is of: T, lo and the predicted chance."""
    chance, low, high = (
        nan if value is None else value
        for value in (known.chance, known.chance_low, known.chance_high)
    )
    return CalibrationResult(
        t=known.t,
        lo=known.lo,
        fresh_t=nan,
        mu=nan,
        sigma=nan,
        z_t=nan,
        success_fraction=nan,
        n_frames=0,
        run_frames=0,
        baseline_median=nan,
        warnings=(),
        chance=chance,
        chance_low=low,
        chance_high=high,
        chance_trials=0,
        raised=tuple((t, Chance(at_t, a, b, 0)) for t, at_t, a, b in known.higher),
    )


def known_above(
    t: float, chances: Mapping[float, Interval]
) -> tuple[tuple[float, float, float, float], ...]:
    """Of chances by T, those that are known of higher ones, in order: T, chance and both ends."""
    return tuple(
        (higher, *chances[higher])
        for higher in sorted(chances)
        if higher > t and chances[higher][0] == chances[higher][0]
    )


def interval_words(interval: Interval) -> str:
    """A chance that is known, with its interval, for people."""
    chance, low, high = (100 * value for value in interval)
    return f"{chance:.0f} % ({low:.0f}–{high:.0f} %)"


def _told(chance: float, low: float, high: float) -> Interval:
    return (nan, nan, nan) if low != low else (chance, low, high)


def calibrate(
    s3: Sequence[float] | NDArray[np.float64],
    run_frames: int,
    settings: Calibration,
    baseline_median: float = nan,
    *,
    plane_rate_hz: float = nan,
    guards: Guards | None = None,
    guard_rule: GuardRule | None = None,
    signals: Sequence[Sequence[float]] = (),
) -> CalibrationResult:
    """Find the threshold that a fraction of pseudo-trials reaches, or that is hit at a rate.

    Where the settings hold z_T of day 1, T is carried over by their rule.

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
    plane_rate_hz
        Rate of the decoded frames, Hz; needed for a rate of hits.
    guards
        `experiment.guards`, for the re-arm between hits.
    guard_rule, signals
        Where guards are set: the rule, and the smoothed signals at the same frames. Frames at which
        a guard fails cannot be hits.

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
    eligible, levels = np.ones(len(trace), dtype=np.bool_), None
    if guard_rule is not None and guard_rule.needs_signal:
        guard_rule.levels = levels = guard_rule.levels_of(signals)
        eligible = np.array([guard_rule.hold(signal) for signal in signals], dtype=np.bool_)
        if not eligible.any():
            raise BaselineRefused(
                "the guards of experiment.guards hold at no frame of the baseline: relax them"
            )
    maxima = pseudo_trial_maxima(np.where(eligible, trace, -inf), run_frames, settings)
    if settings.rule == "success_fraction":
        fresh_t = _smallest_threshold(maxima, lo, settings)
    else:
        n_allowed = _hits_allowed(len(trace), plane_rate_hz, settings)
        fresh_t = threshold_of_rate(
            trace, eligible, lo, settings.step_dff, n_allowed, guards or Guards()
        )
    left = trace[trace <= median]
    mirrored = np.concatenate([left, 2 * median - left])
    mu, sigma = float(mirrored.mean()), float(mirrored.std(ddof=1))
    t = fresh_t
    if settings.z_first is not None:
        t = carry_over(settings.carry_over, fresh_t, mu, sigma, settings.z_first)
    if not t > lo:
        raise BaselineRefused(
            f"T carried over from day 1 is {t:.3f}, not above lo = {lo:.3f}: look at the baseline, "
            'or set experiment.calibration.carry_over = "fresh"'
        )
    return CalibrationResult(
        t=t,
        lo=lo,
        fresh_t=fresh_t,
        mu=mu,
        sigma=sigma,
        z_t=(t - mu) / sigma,
        success_fraction=float(np.mean(maxima >= t)),
        n_frames=len(trace),
        run_frames=run_frames,
        baseline_median=baseline_median,
        warnings=_warnings(trace, lo, sigma),
        guards=levels,
    )


def pseudo_trial_maxima(
    s3: NDArray[np.float64], run_frames: int, settings: Calibration
) -> NDArray[np.float64]:
    """Largest s3 of every pseudo-trial, shape (n_pseudo_trials,).

    Parameters
    ----------
    s3
        As in `calibrate`, −inf at frames that cannot be hits.
    run_frames, settings
        As in `calibrate`: the same seed draws the same pseudo-trials.
    """
    rng = np.random.default_rng(settings.seed)
    starts = rng.integers(0, len(s3) - run_frames + 1, size=settings.n_pseudo_trials)
    maxima: NDArray[np.float64] = sliding_window_view(s3, run_frames)[starts].max(axis=1)
    return maxima


def _hits_allowed(n_frames: int, plane_rate_hz: float, settings: Calibration) -> int:
    seconds = n_frames / plane_rate_hz
    if not seconds >= settings.seconds_per_hit:
        raise BaselineRefused(
            f"the baseline holds {seconds:.1f} s, one hit shall take {settings.seconds_per_hit:g} s"
            ": record a longer baseline, or lower experiment.calibration.seconds_per_hit"
        )
    return int(seconds / settings.seconds_per_hit)


def _smallest_threshold(maxima: NDArray[np.float64], lo: float, settings: Calibration) -> float:
    n, step = len(maxima), settings.step_dff
    n_allowed = max(m for m in range(n) if m / n <= settings.target_fraction)
    beyond = float(np.sort(maxima)[n - 1 - n_allowed])
    # as few pseudo-trials succeed as are allowed once T is beyond this maximum
    return lo + step * first_step_above(beyond, lo, step)


def _warnings(trace: NDArray[np.float64], lo: float, sigma: float) -> tuple[str, ...]:
    low = float(np.percentile(trace, 0.1))
    if low - lo > FAR_BELOW_SD * sigma:
        return (
            f"lo = {lo:.3f} lies far below the 0.1 percentile of s3 ({low:.3f}): "
            "look for an artefact in the baseline, the angle scale is stretched by it",
        )
    return ()
