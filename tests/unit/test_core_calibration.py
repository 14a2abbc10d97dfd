"""T and lo from a baseline, by the lines of the reference."""

import numpy as np
import pytest
from core_session import session_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference_reading import Reading, Rules, calibrate_slowly

from bci.config.experiment import Calibration
from bci.core.calibration import BaselineRefused, calibrate

RUN = 40
STEP = 0.005


def baseline(seed: int = 1, n: int = 2000) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(0, 0.1, n)
    return np.convolve(noise, np.ones(5) / 5, mode="same")


def settings_of(**changes: float) -> Calibration:
    return session_of(calibration=dict(changes)).experiment.calibration


def maxima_of(trace: NDArray[np.float64], seed: int, run: int = RUN) -> NDArray[np.float64]:
    starts = np.random.default_rng(seed).integers(0, len(trace) - run + 1, size=200)
    return np.array([trace[start : start + run].max() for start in starts])


def rules_of(run: int, seed: int, target: float) -> Rules:
    times = dict.fromkeys(("grey_s", "hit_s", "reward_delay_s", "black_s", "miss_s"), "1")
    return Rules(
        rate_hz="1", n_planes=1, window_s="1", percentile=10, smoothing=3, floor=1, dark=0,
        polarity=1, baseline_s="1", trial_s=str(run), session_s="1", seed=seed,
        target_fraction=target, **times,
    )  # fmt: skip


def check_agrees_with_the_lines(seed: int, n: int, target: float) -> None:
    trace = baseline(seed, n)
    result = calibrate(trace, RUN, settings_of(seed=seed, target_fraction=target))
    nothing = np.empty(0)
    slow = Reading(nothing, nothing, nothing, np.empty(0, dtype=np.bool_))
    calibrate_slowly(slow, trace, rules_of(RUN, seed, target))
    for name in ("t", "lo", "mu", "sigma", "z_t"):
        assert getattr(result, name) == pytest.approx(getattr(slow, name), rel=1e-11, abs=1e-13)


@given(st.integers(0, 10_000), st.integers(RUN + 1, 600), st.floats(0.01, 0.99))
@settings(max_examples=40)
def test_agrees_with_the_lines_of_the_reference(seed: int, n: int, target: float) -> None:
    check_agrees_with_the_lines(seed, n, target)


@pytest.mark.long
@pytest.mark.timeout(900)
@given(st.integers(0, 10_000), st.integers(RUN + 1, 3000), st.floats(0.001, 0.999))
@settings(max_examples=2000)
def test_agrees_with_the_lines_of_the_reference_long(seed: int, n: int, target: float) -> None:
    check_agrees_with_the_lines(seed, n, target)


@pytest.mark.parametrize("target", [0.1, 0.29, 0.5, 0.9])
def test_threshold_is_the_lowest_step_that_few_enough_pseudo_trials_reach(target: float) -> None:
    trace = baseline()
    result = calibrate(trace, RUN, settings_of(seed=3, target_fraction=target))
    maxima = maxima_of(trace, seed=3)
    k = round((result.t - result.lo) / STEP)
    assert result.t == result.lo + STEP * k
    assert np.mean(maxima >= result.t) <= target < np.mean(maxima >= result.lo + STEP * (k - 1))
    assert result.success_fraction == np.mean(maxima >= result.t)


def test_pseudo_trials_are_stretches_of_the_length_of_a_run() -> None:
    trace = np.zeros(1000)
    trace[:600] -= 0.1 * np.random.default_rng(0).random(600)
    trace[::100] = 1.0
    wide = calibrate(trace, 100, settings_of(target_fraction=0.99))
    assert wide.t > 1.0, "every stretch of 100 frames holds a peak"
    narrow = calibrate(trace, 10, settings_of(target_fraction=0.5))
    assert narrow.t < 1.0, "few stretches of 10 frames do"


def test_same_seed_gives_the_same_threshold_and_another_another() -> None:
    trace = baseline(4)
    first, again = (calibrate(trace, RUN, settings_of(seed=5)) for _ in range(2))
    assert first == again
    assert len({calibrate(trace, RUN, settings_of(seed=seed)).t for seed in range(8)}) > 1


def test_lo_is_the_smallest_read_out_and_lengths_are_told() -> None:
    trace = baseline()
    result = calibrate(trace, RUN, settings_of(), 432.0)
    assert result.lo == trace.min()
    assert (result.n_frames, result.run_frames) == (2000, RUN)
    assert result.baseline_median == 432.0
    assert result.warnings == ()


def test_sigma_comes_from_the_lower_half_alone() -> None:
    trace = baseline(n=2001)
    upper = trace > np.median(trace)
    stretched = trace.copy()
    stretched[upper] += 3.0
    one, other = (calibrate(s3, RUN, settings_of()) for s3 in (trace, stretched))
    assert other.mu == pytest.approx(one.mu)
    assert other.sigma == pytest.approx(one.sigma)


@pytest.mark.parametrize("n_frames", [0, 1, RUN - 1, RUN])
def test_baseline_of_one_pseudo_trial_or_less_is_refused(n_frames: int) -> None:
    with pytest.raises(BaselineRefused, match=f"{n_frames} decoded frames.*takes {RUN}.*longer"):
        calibrate(baseline()[:n_frames], RUN, settings_of())


def mostly_at_minimum() -> NDArray[np.float64]:
    trace = np.zeros(500)
    trace[400:] = 1.0
    return trace


@pytest.mark.parametrize("trace", [np.zeros(500), np.full(500, 0.3), mostly_at_minimum()])
def test_baseline_that_does_not_vary_is_refused(trace: NDArray[np.float64]) -> None:
    with pytest.raises(BaselineRefused, match=r"did not vary.*look at the ensembles"):
        calibrate(trace, RUN, settings_of())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_baseline_that_is_not_finite_is_refused(value: float) -> None:
    trace = baseline()
    trace[77] = value
    with pytest.raises(BaselineRefused, match="not finite"):
        calibrate(trace, RUN, settings_of())


def test_artefact_below_the_baseline_is_warned_of() -> None:
    trace = baseline()
    trace[100] = -2.0
    (warning,) = calibrate(trace, RUN, settings_of()).warnings
    assert "lo = -2.000" in warning
    assert "0.1 percentile" in warning


@pytest.mark.parametrize("height", [1e3, 1e12, 1e30])
def test_artefact_of_any_height_ends_in_a_threshold(height: float) -> None:
    trace = baseline(n=300)
    trace[100:200] = height
    result = calibrate(trace, RUN, settings_of(target_fraction=0.2))
    assert result.t > height
    assert np.isfinite(result.t)
