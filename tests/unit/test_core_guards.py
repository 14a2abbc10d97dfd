"""What a hit needs besides the cursor: guards, re-arm; and the abort rule."""

from math import nan
from typing import Any

import numpy as np
import pytest
from core_session import Animal, info_of, session_of, started
from numpy.typing import NDArray
from reference_reading import Rules
from reference_task import guards_hold, play_passively

from bci.config.experiment import Experiment, Guards
from bci.core.calibration import BaselineRefused, calibrate
from bci.core.chance import passive_trials
from bci.core.decoding.parts import Layout
from bci.core.guards import GuardRule
from bci.core.hit_rule import HitRule
from bci.core.loop_types import GuardLevels, Outcome, TaskState, ThresholdSet

pytestmark = pytest.mark.slow

HOLOBMI = {"p_minus_below_mean": True, "p_plus_others_sd": 0.5}
SETS: list[dict[str, Any]] = [
    {"p_minus_below_mean": True},
    {"p_plus_others_sd": 0.5},
    {"max_cell_share": 0.6},
    HOLOBMI,
    HOLOBMI | {"max_cell_share": 0.8},
]
N_PLUS, N_ROIS = 3, 5


def activity(seed: int, n: int = 3000) -> NDArray[np.float64]:
    """Smoothed signals: events that decay, some of them of all P+ at once."""
    rng = np.random.default_rng(seed)
    events = (rng.random((n, N_ROIS)) < 0.01) * rng.exponential(1, (n, N_ROIS))
    events[:, :N_PLUS] += ((rng.random(n) < 0.01) * rng.exponential(1, n))[:, None]
    kernel = np.exp(-np.arange(30) / 6)
    signal = np.array([np.convolve(column, kernel)[:n] for column in events.T]).T
    return signal + rng.normal(0, 0.05, signal.shape)


def hold_slowly(signal: NDArray[np.float64], guards: dict[str, Any]) -> NDArray[np.bool_]:
    return guards_hold(
        signal,
        signal,
        N_PLUS,
        below_mean=guards.get("p_minus_below_mean", False),
        others_sd=guards.get("p_plus_others_sd"),
        max_share=guards.get("max_cell_share"),
    )


def rule_of(guards: dict[str, Any]) -> GuardRule:
    return GuardRule(Guards(**guards), N_PLUS)


@pytest.mark.parametrize("guards", SETS)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_guards_hold_where_the_reading_says(guards: dict[str, Any], seed: int) -> None:
    signal, rule = activity(seed), rule_of(guards)
    rule.levels = rule.levels_of(signal.tolist())
    expected = hold_slowly(signal, guards)
    assert [rule.hold(row) for row in signal.tolist()] == expected.tolist()
    assert 0 < expected.sum() < len(expected)


@pytest.mark.parametrize("guards", SETS)
@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.long)])
def test_threshold_counts_only_frames_at_which_all_guards_hold(
    guards: dict[str, Any], seed: int
) -> None:
    signal, rule = activity(seed), rule_of(guards)
    s3 = signal[:, :N_PLUS].mean(axis=1) - signal[:, N_PLUS:].mean(axis=1)
    settings = session_of(calibration={"seed": seed}).experiment.calibration
    result = calibrate(s3, 200, settings, guard_rule=rule, signals=signal.tolist())
    could_hit = np.where(hold_slowly(signal, guards), s3, -np.inf)
    starts = np.random.default_rng(seed).integers(0, len(s3) - 199, size=200)
    maxima = np.array([could_hit[start : start + 200].max() for start in starts])
    k = 1
    while np.mean(maxima >= s3.min() + 0.005 * k) > 0.5:
        k += 1
    assert result.t == pytest.approx(s3.min() + 0.005 * k, rel=1e-12)
    assert result.guards == rule.levels == result.threshold.guards


def test_guards_that_never_hold_refuse_the_baseline() -> None:
    signal, rule = activity(5), rule_of({"p_plus_others_sd": 1e6})
    settings = session_of().experiment.calibration
    with pytest.raises(BaselineRefused, match=r"hold at no frame.*relax"):
        calibrate(signal[:, 0], 200, settings, guard_rule=rule, signals=signal.tolist())


TIMES = {
    "grey_s": "0.53", "trial_s": "9.97", "hit_s": "2.03", "reward_delay_s": "1", "black_s": "1.03",
    "miss_s": "3.03",
}  # fmt: skip


def experiment_of(guards: dict[str, Any]) -> Experiment:
    task = {name: float(value) for name, value in TIMES.items()}
    return session_of(
        p_plus="abc", p_minus="de", baseline_s=60.0, task=task, guards=guards
    ).experiment


@pytest.mark.parametrize("rearm", [None, (0.5, 2), (0.1, 7), (-0.2, 1)])
@pytest.mark.parametrize("guards", [{}, HOLOBMI])
def test_trials_with_guards_and_re_arm_are_those_of_the_reading(
    guards: dict[str, Any], rearm: tuple[float, int] | None
) -> None:
    signal = activity(6)
    s3 = signal[:, :N_PLUS].mean(axis=1) - signal[:, N_PLUS:].mean(axis=1)
    t, lo = float(np.percentile(s3, 90)), float(s3.min())
    both = dict(guards)
    if rearm is not None:
        both |= {"rearm_fraction": rearm[0], "rearm_frames": rearm[1]}
    levels = rule_of(guards).levels_of(signal.tolist())
    trials = passive_trials(
        experiment_of(both),
        info_of("abcde"),
        Layout(N_ROIS, N_PLUS, 10, 10.0),
        s3.tolist(),
        signal.tolist(),
        ThresholdSet(t, lo, nan, "calibration", levels),
    )
    rules = Rules(
        rate_hz="10", n_planes=1, window_s="1", percentile=10, smoothing=3, floor=1, dark=0,
        polarity=1, baseline_s="60", session_s="60", seed=1, **TIMES,
    )  # fmt: skip
    may_hit = hold_slowly(signal, guards) if guards else np.ones(len(s3), dtype=np.bool_)
    expected = play_passively(s3.tolist(), t, rules, may_hit.tolist(), rearm)
    assert [(e.start_frame_id, e.outcome is Outcome.HIT) for e in trials] == expected
    assert len({hit for _, hit in expected}) == 2


def test_re_arm_asks_for_frames_in_a_row() -> None:
    rule = HitRule(
        experiment_of({"rearm_fraction": 0.5, "rearm_frames": 2}), Layout(5, 3, 10, 10.0)
    )

    def takes(*values: float) -> list[bool]:
        return [rule.update(value, (), 1.0, 0.0, running=True) for value in values]

    assert takes(0.0, 1.0) == [False, True]
    rule.disarm()
    assert takes(1.0, 0.4, 1.0, 0.4, 0.6, 0.4, 1.2) == [False] * 7
    assert takes(0.5, 0.5, 1.0) == [False, False, True]


def test_guard_without_levels_lets_nothing_hit() -> None:
    session = session_of(
        p_plus="ab", p_minus="cd", baseline_s=30.0, guards={"p_minus_below_mean": True}
    )
    animal = Animal(started(session, info_of()), info_of())
    animal.rests(301)
    animal.hears(ThresholdSet(0.3, -0.3, nan, "operator"))
    animal.until(TaskState.RUN)
    assert animal.acts(3.0).state is TaskState.RUN
    animal.hears(ThresholdSet(0.3, -0.3, nan, "calibration", GuardLevels(0.1, ())))
    assert animal.acts(3.0).state is TaskState.HIT


def test_levels_stay_when_the_operator_sets_another_threshold() -> None:
    session = session_of(
        p_plus="ab", p_minus="cd", baseline_s=30.0, guards={"p_minus_below_mean": True}
    )
    loop = started(session, info_of())
    loop.apply(ThresholdSet(0.3, -0.3, nan, "calibration", GuardLevels(0.1, ())))
    loop.apply(ThresholdSet(0.4, -0.3, nan, "operator"))
    assert loop.hit_rule.guards.levels == GuardLevels(0.1, ())


def test_one_cell_alone_does_not_hit_where_its_share_is_limited() -> None:
    session = session_of(p_plus="ab", p_minus="cd", guards={"max_cell_share": 0.9})
    animal = Animal(started(session, info_of()), info_of())
    animal.until(TaskState.RUN)
    assert animal.acts(5.0, 3).state is TaskState.RUN


def test_baseline_keeps_the_smoothed_signals_for_the_guards() -> None:
    session = session_of(
        p_plus="ab", p_minus="cd", baseline_s=30.0, guards={"p_plus_others_sd": 0.5}
    )
    loop = started(session, info_of())
    animal = Animal(loop, info_of())
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(300):
        animal.acts(float(rng.random()))
        seen.append(list(loop.decoder.signal))
    n = len(loop.baseline_signals)
    assert n == len(loop.baseline_s3) > 250
    smoothed = [np.mean(seen[k - 2 : k + 1], axis=0) for k in range(len(seen) - n, len(seen))]
    np.testing.assert_allclose(loop.baseline_signals, smoothed, atol=1e-12)
    plus = np.array(loop.baseline_signals)[:, :2].mean(axis=1)
    minus = np.array(loop.baseline_signals)[:, 2:].mean(axis=1)
    np.testing.assert_allclose(plus - minus, loop.baseline_s3, atol=1e-12)


def test_run_is_aborted_once_the_angle_has_stayed_at_zero() -> None:
    session = session_of(
        decoder={"f0_window_s": 30.0}, task={"trial_s": 5.0, "abort_at_zero_s": 0.5}
    )
    animal = Animal(started(session, info_of()), info_of())
    animal.until(TaskState.RUN)
    animal.acts(-0.2, 3)
    assert animal.acts(0.2).state is TaskState.RUN
    began = animal.next_id
    while animal.acts(-0.9).trial_end is None:
        pass
    end = animal.decisions[-1].trial_end
    assert end is not None
    assert end.outcome is Outcome.ABORT
    assert animal.decisions[-1].state is TaskState.WAITING
    zero = next(d.frame_id for d in animal.decisions if d.frame_id >= began and d.angle_deg == 0.0)
    assert end.stop_frame_id - zero == 5
    assert animal.acts(-0.9).state is TaskState.GREY


def test_angle_at_zero_aborts_nothing_unless_asked_for() -> None:
    animal = Animal(started(session_of(), info_of()), info_of())
    animal.until(TaskState.RUN)
    animal.until(TaskState.MISS, activity=-0.9)
    outcomes = [d.trial_end.outcome for d in animal.decisions if d.trial_end]
    assert outcomes == [Outcome.MISS]


def test_activity_that_stays_up_after_a_hit_is_no_second_hit_until_it_has_come_back() -> None:
    session = session_of(
        decoder={"f0_window_s": 30.0, "smoothing_frames": 1},
        guards={"rearm_fraction": 0.5, "rearm_frames": 2},
    )
    animal = Animal(started(session, info_of()), info_of())
    animal.until(TaskState.RUN)
    animal.acts(3.0, 40)
    ends = [d.trial_end.outcome for d in animal.decisions if d.trial_end]
    assert ends[0] is Outcome.HIT
    assert set(ends[1:]) == {Outcome.MISS}
    animal.until(TaskState.RUN, activity=3.0)
    animal.acts(0.0, 2)
    assert animal.acts(3.0).state is TaskState.HIT
