"""Predicted chance: the whole task on the baseline, and how far that can be trusted."""

from dataclasses import replace
from math import isnan
from typing import Any

import msgspec
import numpy as np
import pytest
from core_session import frame_of, info_of, session_of
from numpy.typing import NDArray
from reference_reading import Rules
from reference_task import interval_slowly, play_passively

from bci.config.experiment import Experiment
from bci.core.calibration import CalibrationResult, calibrate
from bci.core.chance import (
    Chance,
    baseline_needed_s,
    baseline_note,
    block_variance,
    interval,
    passive_trials,
    predict_chance,
)
from bci.core.decoding.parts import Layout
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Outcome, Start, TaskState, ThresholdSet
from bci.core.stream_types import StreamInfo

TIMES = {
    "grey_s": "0.53", "trial_s": "28", "hit_s": "2.03", "reward_delay_s": "1", "black_s": "1.03",
    "miss_s": "3.03",
}  # fmt: skip
PLANE_RATE_HZ = 15.46


def experiment_of(**changes: Any) -> Experiment:
    task = {name: float(value) for name, value in TIMES.items()}
    return session_of(
        p_plus="ab", p_minus="cd", baseline_s=810.0, task=task | {"session_s": 2475.6}, **changes
    ).experiment


def stream() -> StreamInfo:
    return info_of("abcdefgh", planes=[0] * 4 + [1] * 4, rate_hz=2 * PLANE_RATE_HZ)


LAYOUT = Layout(4, 2, 464, PLANE_RATE_HZ)
RULES = Rules(
    rate_hz="30.92", n_planes=2, window_s="30", percentile=10, smoothing=3, floor=1, dark=0,
    polarity=1, baseline_s="810", session_s="60", seed=1, **TIMES,
)  # fmt: skip


def passive(seed: int, n: int = 12_000) -> NDArray[np.float64]:
    """s3 of a mouse that does not take part: events that decay, and noise."""
    rng = np.random.default_rng(seed)
    events = rng.choice([-1.0, 0.0, 1.0], n, p=[0.01, 0.98, 0.01]) * rng.exponential(0.3, n)
    return np.convolve(events, np.exp(-np.arange(40) / 8))[:n] + rng.normal(0, 0.02, n)


def predicted(s3: NDArray[np.float64], experiment: Experiment, t: float) -> Chance:
    threshold = ThresholdSet(t, float(s3.min()), 400.0, "calibration")
    return predict_chance(experiment, stream(), LAYOUT, s3.tolist(), [()] * len(s3), threshold)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chance_is_the_hit_rate_of_the_whole_task_on_the_baseline(seed: int) -> None:
    s3, experiment = passive(seed), experiment_of()
    t = calibrate(s3, RULES.run_frames, experiment.calibration).t
    trials = passive_trials(
        experiment, stream(), LAYOUT, s3.tolist(), [()] * len(s3), ThresholdSet(t, -1, 400, "")
    )
    slowly = play_passively(s3.tolist(), t, RULES, [True] * len(s3))
    assert [(end.start_frame_id // 2, end.outcome is Outcome.HIT) for end in trials] == slowly
    found = predicted(s3, experiment, t)
    assert found.n_trials == len(slowly) > 20
    assert found.chance == sum(hit for _, hit in slowly) / len(slowly)
    block_frames = 928
    assert (found.low, found.high) == pytest.approx(
        interval_slowly(slowly, len(s3), block_frames, 1, 2475.6 * PLANE_RATE_HZ), rel=1e-9
    )
    assert found.low <= found.chance <= found.high


@pytest.mark.parametrize(("rate_hz", "n"), [("30", 6000), ("1000", 150_000)])
def test_chance_and_its_interval_at_other_rates(rate_hz: str, n: int) -> None:
    rules = replace(RULES, rate_hz=rate_hz, n_planes=1, **{"trial_s": "7", "grey_s": "0.5"})
    slow = passive(3, 6000)
    s3 = np.repeat(slow, 25) + passive(4, n) * 1e-3 if n > 6000 else slow
    task = {name: float(getattr(rules, name)) for name in TIMES}
    experiment = session_of(
        p_plus="ab", p_minus="cd", baseline_s=810.0, task=task | {"session_s": 2475.6}
    ).experiment
    info = info_of(rate_hz=float(rate_hz))
    layout = Layout(4, 2, 100, float(rate_hz))
    t = calibrate(s3, rules.run_frames, experiment.calibration).t
    signals: list[tuple[float, ...]] = [()] * n
    threshold = ThresholdSet(t, float(s3.min()), 400.0, "calibration")
    found = predict_chance(experiment, info, layout, s3.tolist(), signals, threshold)
    slowly = play_passively(s3.tolist(), t, rules, [True] * n)
    assert found.n_trials == len(slowly) >= 10
    assert found.chance == sum(hit for _, hit in slowly) / len(slowly)
    expected = interval_slowly(slowly, n, 60 * int(rate_hz), 1, 2475.6 * float(rate_hz))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)


def test_chance_is_the_same_for_the_same_seed_and_its_interval_another_for_another() -> None:
    s3 = passive(4)
    one, again = (predicted(s3, experiment_of(), 0.5) for _ in range(2))
    other = predicted(s3, experiment_of(calibration={"seed": 2}), 0.5)
    assert one == again
    assert one.chance == other.chance
    assert (one.low, one.high) != (other.low, other.high)


def test_baseline_of_less_than_two_blocks_gives_no_interval() -> None:
    found = predicted(passive(5, 1800), experiment_of(), 0.5)
    assert found.n_trials > 0
    assert isnan(found.low)
    assert isnan(found.high)
    # 1,800 frames of one plane at 15.46 Hz; an F0 window of 1 s in experiment_of
    assert "116.4 s" in found.warnings[0]
    assert "122 s" in found.warnings[0]
    result = calibrate(passive(5, 1800), RULES.run_frames, experiment_of().calibration)
    assert result.chance_words == "not predicted yet"
    told = result.with_chance(found)
    assert all(map(isnan, told.told_chance)), "a handful of trials is nothing to compare with"
    assert told.chance_words == "unknown, the baseline is too short"


def test_baseline_without_a_whole_trial_gives_no_chance() -> None:
    found = predicted(np.zeros(100), experiment_of(), 0.5)
    assert isnan(found.chance)
    assert found.n_trials == 0
    assert "0 trials" in found.warnings[0]
    task = experiment_of().task.model_copy(update={"trial_s": 5000.0})
    endless = experiment_of().model_copy(update={"task": task})
    long = predicted(np.zeros(12_000), endless, 0.5)
    assert long.n_trials == 0
    assert "776.2 s" in long.warnings[0]


@pytest.mark.parametrize(("rate_hz", "planes"), [(10.0, [0, 0, 0, 0]), (7.3, [0, 0, 1, 1])])
def test_baseline_as_long_as_told_is_long_enough(rate_hz: float, planes: list[int]) -> None:
    def found(spare_s: float) -> Chance:
        needed_s = baseline_needed_s(session_of(baseline_s=10.0).experiment)
        session = session_of(baseline_s=needed_s + spare_s)
        assert bool(baseline_note(session)) == (spare_s < 0)
        info = info_of(rate_hz=rate_hz, planes=planes)
        loop = ClosedLoop(session, info)
        loop.apply(Start())
        n_planes, rng = info.n_planes, np.random.default_rng(1)
        frame_id = 0
        while loop.state in (TaskState.WAITING, TaskState.BASELINE) and not loop.needs_calibration:
            values = 100 + 30 * rng.random(len(info.plane_rois(0)))
            loop.step(frame_of(info, frame_id, values))
            frame_id += n_planes
        threshold, layout = loop.calibrate().threshold, loop.decoder.layout
        signals = [()] * len(loop.baseline_s3)
        return predict_chance(
            session.experiment, info, layout, loop.baseline_s3, signals, threshold
        )

    enough, short = found(0.0), found(-4.0)
    assert enough.is_known
    assert not enough.shortage
    assert not short.is_known
    assert "122 s" in short.shortage


@pytest.mark.parametrize(("t", "told"), [(0.01, "1.00"), (9.0, "0.00")])
def test_chance_far_from_a_half_is_warned_of(t: float, told: str) -> None:
    found = predicted(passive(6), experiment_of(), t)
    (warning,) = found.warnings
    assert f"chance is {told}, outside 0.35–0.65" in warning


def test_chance_near_a_half_is_not_warned_of() -> None:
    s3, experiment = passive(7), experiment_of()
    t = calibrate(s3, RULES.run_frames, experiment.calibration).t
    assert predicted(s3, experiment, t).warnings == ()


def test_more_alike_neighbours_widen_the_interval() -> None:
    rng = np.random.default_rng(8)
    starts = np.arange(0, 12_000, 300)
    mixed = rng.permutation(np.arange(40) % 2 == 0)
    in_bouts = (np.arange(40) // 8) % 2 == 0
    widths = [
        high - low
        for low, high in (
            interval(starts, hits, 12_000, 928, 1, 38_250.0) for hits in (mixed, in_bouts)
        )
    ]
    assert widths[1] > 1.5 * widths[0]


def test_shorter_session_widens_the_interval() -> None:
    starts = np.arange(0, 12_000, 300)
    hits = np.random.default_rng(8).permutation(np.arange(40) % 2 == 0)
    widths = [
        high - low
        for low, high in (interval(starts, hits, 12_000, 928, 1, n) for n in (1e12, 12_000, 4_000))
    ]
    assert widths[1] == pytest.approx(2**0.5 * widths[0])
    assert widths[2] == pytest.approx(2 * widths[0])


def test_chance_is_predicted_at_every_t_that_may_be_raised_to() -> None:
    s3 = passive(10)
    adaptive = {"step": 0.25, "max_steps": 5, "max_t": 1.25}
    found = predicted(s3, experiment_of(adaptive=adaptive), 0.5)
    assert [t for t, _ in found.raised] == [0.75, 1.0, 1.25]
    for t, at_t in found.raised:
        assert at_t == predicted(s3, experiment_of(), t)
    chances = [found.chance, *(one.chance for _, one in found.raised)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > chances[-1]
    told = calibrate(s3, RULES.run_frames, experiment_of().calibration).with_chance(found)
    assert list(told.told_chances) == [told.t, 0.75, 1.0, 1.25]


def test_what_changes_more_slowly_than_a_block_widens_the_interval() -> None:
    """Bouts of four blocks: blocks of one length alone would see a part of their variance."""
    starts, hits = np.arange(0, 12_000, 100), (np.arange(120) // 40) % 2 == 0
    one, two = (block_variance(starts, hits, 12_000, n * 928, 1) for n in (1, 2))
    assert two > 1.4 * one
    low, high = interval(starts, hits, 12_000, 928, 1, 1e12)
    student_of_eleven = 2.201
    seen_by_one = 2 * student_of_eleven * one**0.5
    assert high - low > 1.2 * seen_by_one


@pytest.mark.parametrize("hit", [True, False])
def test_baseline_of_one_outcome_alone_is_no_certainty(hit: bool) -> None:
    starts, hits = np.arange(0, 12_000, 300), np.full(40, hit)
    low, high = interval(starts, hits, 12_000, 928, 1, 38_250.0)
    assert (low == 0.0) is not hit
    assert (high == 1.0) is hit
    assert 0.02 < high - low < 0.2


@pytest.mark.parametrize("n_frames", [1856, 2784, 3711, 3712, 6000])
def test_interval_of_few_blocks_is_wide_and_holds_the_chance(n_frames: int) -> None:
    starts = np.arange(0, n_frames, 300)
    hits = np.arange(len(starts)) % 2 == 0
    low, high = interval(starts, hits, n_frames, 928, 1, 38_250.0)
    assert 0.0 <= low < hits.mean() < high <= 1.0
    assert high - low > 0.5


def test_result_with_chance_is_stored_and_one_of_before_reads_as_unknown() -> None:
    s3 = passive(9)
    result = calibrate(s3, RULES.run_frames, experiment_of().calibration, 400.0)
    assert isnan(result.chance)
    whole = result.with_chance(Chance(0.7, 0.5, 0.9, 40))
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=CalibrationResult)
    assert stored == whole
    assert stored.warnings[-1].startswith("predicted chance is 0.70")
    fields = msgspec.structs.asdict(result)
    for name in ("guards", "chance", "chance_low", "chance_high"):
        del fields[name]
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=CalibrationResult)
    assert old.t == result.t
    assert isnan(old.chance_high)
    assert whole.told_chance == (0.7, 0.5, 0.9)
    assert whole.chance_words == "70 % (50–90 %)"
