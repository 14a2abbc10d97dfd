"""Passive mice, many of them: is predicted chance what it says? Prints what it finds (`-s`)."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
from core_session import info_of, session_of
from numpy.typing import NDArray
from scipy.signal import lfilter

from bci.core.calibration import calibrate
from bci.core.chance import Chance, passive_trials, predict_chance
from bci.core.decoding.parts import Layout
from bci.core.loop_types import Outcome, ThresholdSet

Floats = NDArray[np.float64]

RATE_HZ = 15.46
RUN, BASELINE, SESSION = 433, 12_000, 38_250
EXPERIMENT = session_of(
    p_plus="ab",
    p_minus="cd",
    baseline_s=810.0,
    task={
        "grey_s": 0.5,
        "trial_s": 28.0,
        "hit_s": 2.0,
        "reward_delay_s": 1.0,
        "black_s": 1.0,
        "miss_s": 3.0,
        "session_s": SESSION / RATE_HZ,
    },
).experiment
INFO, LAYOUT = info_of(rate_hz=RATE_HZ), Layout(4, 2, 464, RATE_HZ)


def of_three(s: Floats) -> Floats:
    """Mean of the last three."""
    return np.asarray(lfilter(np.ones(3) / 3, 1, s))


def white(rng: np.random.Generator, n: int) -> Floats:
    return of_three(rng.normal(0, 0.3, n))


def calcium_of(events: Floats, rng: np.random.Generator) -> Floats:
    """Events that decay within half a second, and noise."""
    return of_three(lfilter([1], [1, -np.exp(-1 / 8)], events) + rng.normal(0, 0.02, len(events)))


def correlated(rng: np.random.Generator, n: int) -> Floats:
    signs = rng.choice([-1.0, 0.0, 1.0], n, p=[0.01, 0.98, 0.01])
    return calcium_of(signs * rng.exponential(0.3, n), rng)


def drifting(rng: np.random.Generator, n: int) -> Floats:
    """The same, at rates that drift over 60 s by a factor of two either way."""
    memory = np.exp(-1 / (60 * RATE_HZ))
    slow = lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.normal(0, 1, n + 4000))[4000:]
    active = rng.random(n) < np.clip(0.02 * np.exp(0.7 * slow), 0, 0.6)
    return calcium_of(active * rng.choice([-1.0, 1.0], n) * rng.exponential(0.3, n), rng)


def predicted_and_observed(s3: Floats) -> tuple[Chance, float]:
    """Chance from a baseline, and the accuracy of the session of the same mouse after it."""
    baseline, session = s3[:BASELINE], s3[BASELINE:]
    result = calibrate(baseline, RUN, EXPERIMENT.calibration)
    threshold = ThresholdSet(result.t, result.lo, 400.0, "calibration")
    nothing: list[tuple[float, ...]] = [()] * SESSION
    chance = predict_chance(
        EXPERIMENT, INFO, LAYOUT, baseline.tolist(), nothing[:BASELINE], threshold
    )
    ends = passive_trials(EXPERIMENT, INFO, LAYOUT, session.tolist(), nothing, threshold)
    return chance, float(np.mean([end.outcome is Outcome.HIT for end in ends]))


def covered(activity: Callable[[np.random.Generator, int], Floats], n_mice: int) -> float:
    inside, chances, accuracies = [], [], []
    for seed in range(n_mice):
        s3 = activity(np.random.default_rng(seed), BASELINE + SESSION)
        chance, accuracy = predicted_and_observed(s3)
        inside.append(chance.low <= accuracy <= chance.high)
        chances.append(chance.chance)
        accuracies.append(accuracy)
    sys.stdout.write(
        f"\n{activity.__name__}: {n_mice} passive mice, predicted {np.mean(chances):.3f}, "
        f"observed {np.mean(accuracies):.3f} ± {np.std(accuracies, ddof=1):.3f} (SD), "
        f"in the interval of 95 %: {np.mean(inside):.3f}\n"
    )
    return float(np.mean(inside))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("activity", "least"), [(white, 0.94), (correlated, 0.94), (drifting, 0.91)]
)
def test_accuracy_of_a_passive_session_lies_in_the_predicted_interval(
    activity: Callable[[np.random.Generator, int], Floats], least: float
) -> None:
    """What 600 mice gave stands in docs/decisions/0005; bounds are three errors of 200 below it."""
    assert least <= covered(activity, 200) <= 1.0


def accuracy_of_independent_trials(
    activity: Callable[[np.random.Generator, int], Floats], n_mice: int
) -> Floats:
    """Fraction of stretches of a RUN, each with a gap before it, that reach the T of day 1."""
    accuracies = []
    for seed in range(n_mice):
        rng = np.random.default_rng(seed)
        t = calibrate(activity(rng, BASELINE), RUN, EXPERIMENT.calibration).t
        stretches = activity(rng, 60 * 2 * RUN).reshape(60, 2 * RUN)[:, RUN:]
        accuracies.append(np.mean(stretches.max(axis=1) >= t))
    return np.array(accuracies)


@pytest.mark.parametrize("activity", [white, correlated])
def test_day_one_with_independent_trials_is_a_half_within_its_error(
    activity: Callable[[np.random.Generator, int], Floats],
) -> None:
    accuracies = accuracy_of_independent_trials(activity, 60)
    error = accuracies.std(ddof=1) / np.sqrt(len(accuracies))
    assert error < 0.02
    assert abs(accuracies.mean() - 0.5) < 3 * error
