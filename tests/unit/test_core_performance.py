"""Accuracy, rewards a minute, time to hit, activity: as told live and in the report."""

from itertools import pairwise
from math import isnan

import msgspec
import numpy as np
import pytest
from core_session import Animal, info_of, session_of, started
from hypothesis import given
from hypothesis import strategies as st

from bci.core.loop_types import (
    IN_TRIALS,
    Decision,
    EpochStarted,
    LoopEvent,
    Outcome,
    Pause,
    Resume,
    Stalled,
    Stop,
    TaskState,
    ThresholdSet,
)
from bci.core.performance import Performance, PerformanceMeter, wilson_interval


class Watched(Animal):
    """An animal whose decisions a meter takes, and that remembers the ensembles' signal."""

    def __init__(self, **session: object) -> None:
        info = info_of(planes=[0, 0, 1, 1], rate_hz=20.0)
        super().__init__(started(session_of(**session), info), info)  # type: ignore[arg-type]
        self.meter = PerformanceMeter(info.rate_hz)
        self.signals: dict[int, list[float]] = {}

    def take(self, frame: object) -> Decision:
        decision = super().take(frame)  # type: ignore[arg-type]
        self.signals[decision.frame_id] = list(self.loop.decoder.signal)
        self.meter.take(decision, self.loop.decoder.signal, 1)
        # the other plane's frame is lost
        self.next_id += 1
        return decision

    def tells(self, event: LoopEvent) -> None:
        self.meter.take(self.hears(event), (), 1)


def played() -> Watched:
    animal = Watched()
    rng = np.random.default_rng(3)
    for _ in range(900):
        animal.acts(float(rng.choice([0.0, 0.0, 0.0, 0.5, 5.0])) if rng.random() < 0.3 else 0.0)
    return animal


def test_figures_are_those_of_the_decisions() -> None:
    animal = played()
    found, decisions = animal.meter.now, animal.decisions
    ends = [d.trial_end for d in decisions if d.trial_end is not None]
    hits = [end for end in ends if end.outcome is Outcome.HIT]
    assert found.hits == len(hits) > 5
    assert found.misses == sum(end.outcome is Outcome.MISS for end in ends) > 5
    assert found.aborts == 0
    assert found.n_trials == len(ends)
    assert found.early_hits == sum(end.early for end in hits) > 0
    assert found.accuracy == len(hits) / len(ends)
    assert found.time_to_hit_s == np.median([end.time_to_hit_s for end in hits])
    assert found.rewards == sum(d.reward is not None for d in decisions) > 5
    in_trials = sum(b.frame_id - a.frame_id for a, b in pairwise(decisions) if a.state in IN_TRIALS)
    assert found.task_s == pytest.approx(in_trials / 20.0)
    in_run = sum(end.stop_frame_id - end.start_frame_id for end in ends)
    if decisions[-1].state is TaskState.RUN:
        in_run += decisions[-1].frame_id - next(
            d.frame_id for d in decisions if d.trial == decisions[-1].trial and d.state == 3
        )
    assert found.run_s == pytest.approx(in_run / 20.0)
    assert found.rewards_per_min == pytest.approx(60 * found.rewards / found.task_s)
    assert found.rewards_per_run_min == pytest.approx(60 * found.rewards / found.run_s)
    rows = np.array([animal.signals[d.frame_id] for d in decisions if d.state in IN_TRIALS])
    assert (found.p_plus, found.p_minus) == pytest.approx(tuple(rows.mean(axis=0)))


def test_before_the_first_trial_and_after_the_end_nothing_counts() -> None:
    animal = Watched()
    animal.rests(5)
    before = animal.meter.now
    assert before.n_trials == 0
    assert before.task_s == 0.0
    assert isnan(before.accuracy)
    assert isnan(before.rewards_per_min)
    assert isnan(before.p_plus)
    animal.until(TaskState.RUN)
    stopped = animal.hears(Stop("enough"))
    animal.meter.take(stopped, (), 1)
    ended = animal.meter.now
    animal.acts(9.0, 50)
    assert animal.meter.now == ended
    assert ended.aborts == 1
    assert isnan(ended.accuracy)


def test_lost_frames_use_up_session_and_run_time() -> None:
    animal = Watched(task={"trial_s": 20.0})
    animal.until(TaskState.RUN)
    before = animal.meter.now
    animal.loses(40)
    animal.rests()
    after = animal.meter.now
    assert after.run_s - before.run_s == pytest.approx(42 / 20.0)
    assert after.task_s - before.task_s == pytest.approx(42 / 20.0)


@pytest.mark.parametrize("held", ["pause", "stall", "baseline", "waiting"])
def test_rewards_per_minute_count_no_time_outside_of_trials(held: str) -> None:
    """Aborted trials count; waiting, pauses and the baseline do not."""
    baseline = {"baseline_s": 5.0} if held == "baseline" else {}
    animal = Watched(**baseline)
    if held == "baseline":
        animal.rests(200)
        assert animal.meter.now.task_s == 0.0
        animal.tells(ThresholdSet(0.3, -0.3, 100.0, "calibration"))
    animal.until(TaskState.RUN)
    animal.rests(4)
    if held in ("pause", "stall"):
        animal.tells(Pause() if held == "pause" else Stalled(2.0))
        if held == "stall":
            # frames that the stall cost: their time is not the task's
            animal.loses(80)
        animal.rests(1 if held == "stall" else 100)
        animal.tells(Resume())
    elif held == "waiting":
        # F0 fills again after a long gap
        animal.tells(EpochStarted(1))
        animal.info = msgspec.structs.replace(animal.info, epoch=1)
        animal.rests(5)
        assert animal.loop.state is TaskState.WAITING
    animal.until(TaskState.RUN)
    animal.until(TaskState.HIT, activity=3.0)
    animal.until(TaskState.BLACK)
    found, decisions = animal.meter.now, animal.decisions
    assert found.rewards == 1
    assert found.aborts == (held in ("pause", "stall", "waiting"))
    in_trials = sum(b.frame_id - a.frame_id for a, b in pairwise(decisions) if a.state in IN_TRIALS)
    assert found.task_s == pytest.approx(in_trials / 20.0)
    # 0.2 s of grey, an aborted RUN, grey again, a hit of 0.4 s: nothing of the rest
    assert found.task_s < 4.0
    assert found.rewards_per_min == pytest.approx(60 / found.task_s)
    assert found.rewards_per_run_min == pytest.approx(60 / found.run_s)
    assert found.run_s < found.task_s


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilson_interval_holds_the_fractions_that_do_not_contradict_it(hits: int, n: int) -> None:
    """Its ends are where the score test of a fraction is at its limit."""
    if hits > n:
        hits, n = n, hits
    low, high = wilson_interval(hits, n)
    if n == 0:
        assert isnan(low)
        assert isnan(high)
        return
    fraction = hits / n
    assert 0 <= low <= fraction <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            z = (fraction - end) / (end * (1 - end) / n) ** 0.5
            assert abs(z) == pytest.approx(1.959964, rel=1e-5)


def test_no_performance_is_all_unknown() -> None:
    assert Performance().n_trials == 0
    assert isnan(Performance().accuracy_low)
