"""The task on frame time: what happens when, and what never happens."""

from fractions import Fraction
from math import ceil, isnan, nan
from typing import Any

import pytest
from core_session import session_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bci.config.experiment import Task
from bci.core.blocks import BaselineClock, BlockPlan
from bci.core.loop_types import BlockKind, Outcome, TaskState, TrialEnd
from bci.core.task import TRANSITIONS, IllegalTransition, TaskMachine

S = TaskState
T = 1.0
RATE_HZ = 10.0


def task_of(**task: float) -> Task:
    return session_of(task=dict(task)).experiment.task


def plan_of(rate_hz: float, baseline_s: float, stride: int = 1) -> BlockPlan:
    kinds = [BlockKind.BASELINE] * (baseline_s > 0) + [BlockKind.CLOSED_LOOP]
    return BlockPlan(kinds, BaselineClock(rate_hz, stride, baseline_s))


class Bench:
    """A machine, the frame it is at, and all that it has told."""

    def __init__(
        self, task: Task, rate_hz: float = RATE_HZ, baseline_s: float = 0.0, stride: int = 1
    ) -> None:
        self.plan = plan_of(rate_hz, baseline_s, stride)
        self.machine = TaskMachine(task, rate_hz, self.plan)
        self.stride = stride
        self.frame_id = 0
        self.ends: list[TrialEnd] = []
        self.paid: list[tuple[int, int]] = []
        self.visited: list[TaskState] = []
        self.machine.begin(0)

    def frame(self, s3: float = 0.0, *, t: float = T, settled: bool = True, lost: int = 0) -> None:
        self.frame_id += lost * self.stride
        self.machine.step(self.frame_id, hit=s3 >= t, ready=t == t, settled=settled)
        self.hear()
        self.frame_id += self.stride

    def hear(self) -> None:
        due, end = self.machine.take_effects()
        if due:
            self.paid.append((self.frame_id, due))
        if end is not None:
            self.ends.append(end)
        if not self.visited or self.visited[-1] is not self.machine.state:
            self.visited.append(self.machine.state)

    def until(self, state: TaskState, s3: float = 0.0) -> None:
        for _ in range(1000):
            if self.machine.state is state:
                return
            self.frame(s3)
        raise AssertionError(f"{state.name} not reached")

    def ask(self, what: str) -> None:
        getattr(self.machine, what)(self.frame_id)
        self.hear()


def bench_in(state: TaskState, **task: float) -> Bench:
    bench = Bench(task_of(**task))
    if state in (S.HIT, S.BLACK):
        bench.until(S.RUN)
        bench.until(S.HIT, s3=T)
    if state is S.PAUSED:
        bench.ask("pause")
    elif state is S.DONE:
        bench.ask("stop")
    elif state is S.BASELINE:
        return Bench(task_of(**task), baseline_s=1.0)
    else:
        bench.until(state)
    return bench


def test_table_of_transitions_is_the_one_drawn() -> None:
    drawn = {
        (S.WAITING, S.BASELINE), (S.BASELINE, S.WAITING), (S.WAITING, S.GREY), (S.GREY, S.RUN),
        (S.RUN, S.HIT), (S.RUN, S.MISS), (S.HIT, S.BLACK), (S.BLACK, S.GREY), (S.MISS, S.GREY),
        (S.PAUSED, S.WAITING), (S.PAUSED, S.BASELINE),
    }  # fmt: skip
    back_to_wait = {(state, S.WAITING) for state in (S.GREY, S.RUN, S.BLACK, S.MISS)}
    held = {(a, b) for a in S for b in (S.PAUSED, S.DONE) if a is not b and a is not S.DONE}
    told = {(a, b) for a, following in TRANSITIONS.items() for b in following}
    assert told == drawn | back_to_wait | held


def test_trial_with_a_hit_goes_grey_run_hit_black_grey() -> None:
    bench = bench_in(S.BLACK)
    bench.until(S.GREY)
    assert bench.visited == [S.GREY, S.RUN, S.HIT, S.BLACK, S.GREY]


def test_trial_without_a_hit_goes_grey_run_miss_grey() -> None:
    bench = bench_in(S.MISS)
    bench.until(S.GREY)
    assert bench.visited == [S.GREY, S.RUN, S.MISS, S.GREY]


def test_states_last_as_long_as_the_settings_say() -> None:
    bench = Bench(task_of())
    names = ""
    for k in range(40):
        bench.frame(s3=T if k == 20 else 0.0)
        names += bench.machine.state.name[0]
    assert names == "GG" + "R" * 10 + "MMM" + "GG" + "RRR" + "HHHH" + "BB" + "GG" + "R" * 10 + "MM"


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.2, 0.4])
def test_reward_comes_its_delay_after_the_hit(delay_s: float) -> None:
    bench = Bench(task_of(reward_delay_s=delay_s))
    bench.until(S.HIT, s3=T)
    hit_id = bench.ends[0].stop_frame_id
    bench.until(S.GREY)
    assert bench.paid == [(hit_id + round(delay_s * RATE_HZ), 1)]


@pytest.mark.parametrize("event", ["pause", "stop"])
def test_earned_reward_is_due_at_once_on_a_pause_or_stop(event: str) -> None:
    bench = bench_in(S.HIT)
    assert bench.paid == []
    bench.ask(event)
    assert [trial for _, trial in bench.paid] == [1]


def test_finish_pays_an_earned_reward_in_its_own_time_and_ends_after_the_trial() -> None:
    bench = bench_in(S.HIT)
    bench.ask("finish")
    assert bench.machine.state is S.HIT
    bench.until(S.DONE)
    assert [trial for _, trial in bench.paid] == [1]
    assert [end.trial for end in bench.ends] == [1]


@pytest.mark.parametrize("state", [S.WAITING, S.BASELINE, S.PAUSED])
def test_finish_ends_at_once_where_no_trial_runs(state: TaskState) -> None:
    bench = bench_in(state)
    bench.ask("finish")
    assert bench.machine.state is S.DONE


@pytest.mark.parametrize("event", ["pause", "interrupt"])
def test_trial_aborted_after_finish_was_asked_for_is_the_last(event: str) -> None:
    bench = bench_in(S.RUN)
    bench.ask("finish")
    bench.ask(event)
    assert bench.machine.state is S.DONE
    assert [end.outcome for end in bench.ends] == [Outcome.ABORT]


@pytest.mark.parametrize("state", [S.GREY, S.RUN])
@pytest.mark.parametrize("event", ["pause", "stop", "interrupt"])
def test_running_trial_is_aborted_and_told_once(state: TaskState, event: str) -> None:
    bench = bench_in(state)
    bench.ask(event)
    (end,) = bench.ends
    assert (end.trial, end.outcome) == (1, Outcome.ABORT)
    assert bench.machine.state in (S.PAUSED, S.DONE, S.WAITING)


def test_long_gap_jumps_no_state() -> None:
    bench = bench_in(S.RUN)
    bench.frame(lost=1000)
    assert bench.machine.state is S.MISS
    bench.frame(lost=1000)
    assert bench.machine.state is S.GREY
    bench.frame(lost=1000)
    assert bench.machine.state is S.RUN
    assert [end.outcome for end in bench.ends] == [Outcome.MISS]


def test_lost_frames_use_up_trial_time() -> None:
    bench = bench_in(S.RUN)
    bench.frame(lost=8)
    assert bench.machine.state is S.RUN
    bench.frame(s3=T)
    assert bench.machine.state is S.MISS


def test_reward_of_a_hit_followed_by_a_gap_is_paid() -> None:
    bench = bench_in(S.HIT)
    bench.frame(lost=500)
    assert bench.machine.state is S.BLACK
    assert [trial for _, trial in bench.paid] == [1]


@pytest.mark.parametrize("frames_before", range(5))
def test_hit_within_the_first_three_decoded_frames_is_early(frames_before: int) -> None:
    bench = Bench(task_of(grey_s=0.0, early_hit_frames=3))
    for _ in range(frames_before):
        bench.frame(lost=1)
    bench.frame(s3=T)
    (end,) = bench.ends
    assert end.early == (frames_before < 3)


def test_hit_on_the_frame_that_enters_run_counts() -> None:
    bench = Bench(task_of())
    bench.until(S.GREY)
    bench.frame()
    bench.frame(s3=T)
    assert bench.ends == [TrialEnd(1, Outcome.HIT, 2, 2, 0.0, True)]


@given(
    st.sampled_from(["9.7", "10", "15.46", "29.97", "30.92", "46.38", "1000"]),
    st.integers(1, 3),
    st.decimals("0.05", "40", places=2).map(str),
)
@settings(max_examples=60)
def test_hit_can_fall_on_as_many_frames_as_a_pseudo_trial_has(
    rate_hz: str, n_planes: int, trial_s: str
) -> None:
    assume(Fraction(trial_s) * Fraction(rate_hz) < 20_000)
    bench = Bench(
        task_of(grey_s=0.0, trial_s=float(trial_s)), rate_hz=float(rate_hz), stride=n_planes
    )
    n_run = 0
    while not bench.ends:
        bench.frame()
        n_run += bench.machine.state is S.RUN
    assert n_run == ceil(Fraction(trial_s) * Fraction(rate_hz) / n_planes)
    assert bench.ends[0].outcome is Outcome.MISS


def test_no_trial_starts_while_f0_is_not_settled() -> None:
    bench = Bench(task_of())
    for _ in range(50):
        bench.frame(s3=T, settled=False)
    assert bench.machine.trial == 0
    bench.until(S.MISS)
    for _ in range(50):
        bench.frame(settled=False)
    assert bench.machine.state is S.WAITING
    assert bench.machine.trial == 1


def test_no_trial_starts_without_a_threshold() -> None:
    bench = Bench(task_of())
    for _ in range(50):
        bench.frame(s3=5.0, t=nan)
    assert bench.machine.state is S.WAITING
    assert bench.machine.trial == 0


def test_no_trial_starts_once_the_session_is_over() -> None:
    bench = Bench(task_of(session_s=10.0))
    bench.until(S.DONE)
    starts = [end.start_frame_id - 2 for end in bench.ends]
    assert max(starts) < 100 <= max(starts) + 15
    assert len(bench.ends) == bench.machine.trial


def test_session_time_runs_from_the_first_trial_that_could_start() -> None:
    bench = Bench(task_of(session_s=10.0))
    for _ in range(500):
        bench.frame(settled=False)
    bench.until(S.DONE)
    assert bench.frame_id > 590


@pytest.mark.parametrize("pause_counts", [False, True])
def test_pause_uses_up_session_time_only_if_it_is_set(pause_counts: bool) -> None:
    bench = Bench(task_of(session_s=10.0, pause_counts=pause_counts))
    for _ in range(30):
        bench.frame()
    bench.until(S.RUN)
    before_s = bench.machine.session_s(bench.frame_id)
    bench.ask("pause")
    for _ in range(50):
        bench.frame()
    held_s = bench.machine.session_s(bench.frame_id) - before_s
    assert held_s == pytest.approx(5.0 if pause_counts else 0.0, abs=0.11)
    bench.ask("resume")
    bench.until(S.DONE)
    (aborted,) = [end for end in bench.ends if end.outcome is Outcome.ABORT]
    assert isnan(aborted.time_to_hit_s)
    # no trial starts after 10 s, and one that has started is seen to its end
    ended_s = 10.0 if pause_counts else 15.0
    assert ended_s <= bench.frame_id / 10.0 <= ended_s + 2.0


def test_pause_does_not_count_as_baseline() -> None:
    bench = Bench(task_of(), baseline_s=5.0)
    n_baseline = 0
    for k in range(200):
        bench.frame(settled=False)
        n_baseline += bench.machine.state is S.BASELINE
        if k in (20, 40):
            bench.ask("pause")
        if k in (30, 60):
            bench.ask("resume")
    assert bench.plan.kind is not BlockKind.BASELINE
    assert n_baseline in (50, 51, 52)


@pytest.mark.parametrize("first_id", [0, 1, 17])
def test_baseline_begins_with_the_first_frame_whatever_its_id(first_id: int) -> None:
    bench = Bench(task_of(), baseline_s=5.0)
    bench.frame_id = first_id
    n_baseline = 0
    for _ in range(60):
        bench.frame()
        n_baseline += bench.machine.state is S.BASELINE
    assert n_baseline == 50


def test_without_pauses_between_trials_every_outcome_is_told() -> None:
    nothing = dict.fromkeys(("grey_s", "hit_s", "reward_delay_s", "black_s", "miss_s"), 0.0)
    bench = Bench(task_of(**nothing))
    for k in range(200):
        bench.frame(s3=T if k % 11 in (0, 1, 10) else 0.0)
    assert [end.trial for end in bench.ends] == list(range(1, len(bench.ends) + 1))
    hits = [end.trial for end in bench.ends if end.outcome is Outcome.HIT]
    assert [trial for _, trial in bench.paid] == hits
    assert len(hits) > 10
    assert Outcome.MISS in {end.outcome for end in bench.ends} or len(hits) == len(bench.ends)


def test_miss_and_the_hit_of_the_next_trial_are_never_decided_in_one_frame() -> None:
    bench = Bench(task_of(grey_s=0.0, miss_s=0.0, trial_s=0.3))
    for k in range(8):
        bench.frame(s3=T if k in (3, 4) else 0.0)
    assert [(end.trial, end.outcome, end.stop_frame_id) for end in bench.ends] == [
        (1, Outcome.MISS, 3),
        (2, Outcome.HIT, 4),
    ]


def test_step_outside_the_table_is_a_fault_of_the_program() -> None:
    bench = bench_in(S.DONE)
    with pytest.raises(IllegalTransition, match="DONE → PAUSED"):
        bench.machine.pause(5)


times = st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.2, 0.25, 0.5, 1.0])


class TaskRules(RuleBasedStateMachine):
    """Frames, gaps, pauses, stops in any order; the promises of the task after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.hits: list[int] = []
        self.paid: list[int] = []
        self.ended: list[int] = []
        self.finishing = False
        self.first_start_id: int | None = None
        self.paused_s = 0.0
        self.paused_id = 0
        self.run_start_id: int | None = None
        self.run_decoded = 0
        self.hit_id = 0

    @initialize(
        grey=times, trial=st.sampled_from([0.05, 0.1, 0.35, 1.0]), hit=times, delay=times,
        black=times, miss=times, session=st.sampled_from([0.5, 5.0, 1000.0]),
        counts=st.booleans(),
        baseline=st.sampled_from([0.0, 0.3, 2.0]), rate=st.sampled_from([10.0, 15.46, 100.0]),
        stride=st.integers(1, 3), early=st.integers(0, 3), first_id=st.integers(0, 5),
    )  # fmt: skip
    def begin(
        self, grey: float, trial: float, hit: float, delay: float, black: float, miss: float,
        session: float, counts: bool, baseline: float, rate: float, stride: int, early: int,
        first_id: int,
    ) -> None:  # fmt: skip
        self.task = task_of(
            grey_s=grey, trial_s=trial, hit_s=hit, reward_delay_s=min(delay, hit), black_s=black,
            miss_s=miss, session_s=session, early_hit_frames=early, pause_counts=counts,
        )  # fmt: skip
        self.rate, self.stride, self.next_id, self.last_id = rate, stride, first_id, -1
        self.t = nan
        self.plan = plan_of(rate, baseline, stride)
        self.machine = TaskMachine(self.task, rate, self.plan)
        self.machine.begin(0)

    def seconds(self, since_id: int) -> float:
        return (self.last_id - since_id) / self.rate

    def hear(self, *, in_frame: bool) -> None:
        due, end = self.machine.take_effects()
        if end is not None:
            self.ended.append(end.trial)
            assert self.ended == list(range(1, len(self.ended) + 1)), "each trial ends once"
            assert end.stop_frame_id == self.last_id
            if end.outcome is Outcome.HIT:
                self.hits.append(end.trial)
                self.hit_id = self.last_id
                limit = ceil(round(self.task.trial_s * self.rate / self.stride, 9))
                assert in_frame
                assert 1 <= self.run_decoded <= limit
                assert end.early == (self.run_decoded <= self.task.early_hit_frames)
                assert end.time_to_hit_s == self.seconds(end.start_frame_id)
        if due:
            self.paid.append(due)
        assert self.paid == self.hits[: len(self.paid)], "no reward without its hit, none twice"
        assert len(self.hits) - len(self.paid) <= 1
        if len(self.hits) > len(self.paid):
            assert self.machine.state is S.HIT, "an earned reward is never left behind"
            assert self.seconds(self.hit_id) < self.task.reward_delay_s

    def take(self, *, active: bool, settled: bool, lost: int) -> None:
        machine, trial_before, state_before = self.machine, self.machine.trial, self.machine.state
        self.last_id = self.next_id + lost * self.stride
        self.next_id = self.last_id + self.stride
        was_due = self.seconds(self.hit_id) >= self.task.reward_delay_s
        n_paid, n_ended = len(self.paid), len(self.ended)
        run_was = state_before is S.RUN
        in_time = run_was and self.seconds(self.run_start_id or 0) < self.task.trial_s
        if run_was and in_time:
            self.run_decoded += 1
        elif not run_was:
            self.run_decoded = 1
        s3 = T if active else T - 0.01
        machine.step(self.last_id, hit=s3 >= self.t, ready=self.t == self.t, settled=settled)
        self.hear(in_frame=True)
        if machine.state is S.RUN and not (run_was and machine.trial == trial_before):
            self.run_start_id, self.run_decoded = self.last_id, 1
        if run_was:
            ended = len(self.ended) > n_ended
            assert ended == (active or not in_time), "a hit, or a miss at the limit"
        if machine.state is S.RUN:
            assert self.seconds(self.run_start_id or 0) < self.task.trial_s
            assert not active or machine.trial == n_ended + 1
        if len(self.paid) > n_paid and state_before is S.HIT:
            assert was_due
        if machine.trial != trial_before:
            assert machine.trial == trial_before + 1
            assert settled, "no trial starts while F0 is not settled"
            assert self.t == self.t, "no trial starts without a threshold"
            assert not self.finishing, "no trial starts after finish"
            assert self.plan.kind is BlockKind.CLOSED_LOOP
            if self.first_start_id is None:
                self.first_start_id = self.last_id
            assert self.seconds(self.first_start_id) - self.paused_s < self.task.session_s
        assert machine.trial - len(self.ended) in (0, 1)

    @rule(active=st.booleans(), n=st.integers(1, 12))
    def frames(self, active: bool, n: int) -> None:
        for _ in range(n):
            self.take(active=active, settled=True, lost=0)

    @rule(active=st.booleans(), lost=st.sampled_from([1, 2, 5, 40, 3000]))
    def frame_after_a_gap(self, active: bool, lost: int) -> None:
        self.take(active=active, settled=True, lost=lost)

    @rule(active=st.booleans())
    def frame_not_settled(self, active: bool) -> None:
        self.take(active=active, settled=False, lost=0)

    @rule()
    def threshold(self) -> None:
        self.t = T

    @precondition(lambda self: self.machine.state not in (S.PAUSED, S.DONE))
    @rule()
    def pause(self) -> None:
        self.machine.pause(self.last_id)
        self.paused_id = self.last_id
        self.hear(in_frame=False)
        assert self.machine.state is (S.DONE if self.finishing else S.PAUSED)

    @precondition(lambda self: self.machine.state is S.PAUSED)
    @rule()
    def resume(self) -> None:
        self.machine.resume(self.last_id)
        if self.first_start_id is not None and not self.task.pause_counts:
            self.paused_s += self.seconds(self.paused_id)
        assert self.machine.state in (S.WAITING, S.BASELINE)

    @rule()
    def long_gap_or_new_epoch(self) -> None:
        before = self.machine.state
        self.machine.interrupt(self.last_id)
        self.hear(in_frame=False)
        assert self.machine.state not in (S.GREY, S.RUN)
        assert before in (S.GREY, S.RUN) or self.machine.state is before

    @precondition(lambda self: self.machine.state is not S.DONE)
    @rule(chance=st.integers(0, 9))
    def finish(self, chance: int) -> None:
        if chance == 0:
            self.finishing = True
            self.machine.finish(self.last_id)
            self.hear(in_frame=False)

    @precondition(lambda self: self.machine.state is not S.DONE)
    @rule(chance=st.integers(0, 9))
    def stop(self, chance: int) -> None:
        if chance == 0:
            self.machine.stop(self.last_id)
            self.hear(in_frame=False)
            assert self.machine.state is S.DONE
            assert self.paid == self.hits

    @invariant()
    def finished_session_waits_for_nothing(self) -> None:
        if self.finishing:
            assert self.machine.state not in (S.WAITING, S.BASELINE, S.PAUSED)

    @invariant()
    def trial_is_open_exactly_in_grey_and_run(self) -> None:
        machine = getattr(self, "machine", None)
        if machine is not None:
            is_open = machine.trial == len(self.ended) + 1
            assert is_open == (machine.state in (S.GREY, S.RUN))


class TaskRulesLong(TaskRules):
    """The same, for long."""


def settings_for(max_examples: int) -> Any:
    return settings(max_examples=max_examples, stateful_step_count=50)


TestTaskRules = TaskRules.TestCase
TestTaskRules.settings = settings_for(150)
TestTaskRulesLong = pytest.mark.timeout(900)(pytest.mark.long(TaskRulesLong.TestCase))
TestTaskRulesLong.settings = settings_for(2000)
