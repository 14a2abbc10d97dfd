"""No trial begins whose reward would pass the cap."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from bci.config.experiment import Task
from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.loop_types import Decision, Outcome, TaskState, TrialEnd
from bci.core.rewards import Reward, RewardFate
from bci.recording.daily_cap import DailyCap
from bci.session.reward_budget import RewardBudget, TokenBucket

K, S = BoardEventKind, TaskState
NOW = datetime.fromisoformat("2026-11-30T12:00:00+01:00")


def budget_of(
    cap_ul: float | None, before_ul: float = 0.0, reward_ul: float = 4.0, *, pays_hits: bool = True
) -> RewardBudget:
    cap = DailyCap(Task(daily_cap_ul=cap_ul), "serial", "m1", lambda: NOW)
    cap.end(Reward(99, "task", 1, before_ul, RewardFate.DONE), NOW)
    return RewardBudget(cap, cap_ul, reward_ul, pays_hits=pays_hits)


def decision(
    state: TaskState, reward: RewardRequest | None = None, outcome: Outcome | None = None
) -> Decision:
    end = None if outcome is None else TrialEnd(1, outcome, 0, 9, 0.3, False)
    return Decision(1, 9, True, 0.0, 0.0, 0.0, state, 1, reward=reward, trial_end=end)


def ended(request_id: int, kind: BoardEventKind = K.REWARD_DONE) -> BoardEvent:
    return BoardEvent(request_id, kind, None, 1)


def test_reward_counts_from_the_hit_on() -> None:
    budget = budget_of(12.0, 4.0, 4.0)
    assert not budget.exhausted
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert not budget.exhausted
    budget.decide(decision(S.HIT, reward=RewardRequest(1, 4.0, 1)))
    assert not budget.exhausted
    budget.hear(ended(1), NOW)
    assert (budget.today_ul, budget.exhausted) == (8.0, False)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert budget.exhausted


def test_operators_reward_counts_and_one_past_the_cap_is_not_allowed() -> None:
    budget = budget_of(10.0, 0.0, 4.0)
    budget.ask(RewardRequest(1_000_000, 5.0, 0, "operator"))
    assert not budget.why_not(5.0, "operator")
    assert budget.why_not(5.1, "operator")


def test_reward_that_failed_is_given_back_and_one_unknown_is_not() -> None:
    budget = budget_of(8.0, 0.0, 4.0)
    for request_id in (1, 2):
        budget.ask(RewardRequest(request_id, 4.0, request_id))
    assert budget.exhausted
    reward = budget.hear(ended(1, K.REWARD_FAILED), NOW)
    assert reward is not None
    assert (reward.fate, reward.volume_ul) == (RewardFate.FAILED, 4.0)
    assert not budget.exhausted
    budget.hear(ended(2, K.REWARD_UNKNOWN), NOW)
    assert budget.today_ul == 4.0
    assert budget.hear(ended(2, K.REWARD_DONE), NOW) is None


def test_delayed_reward_is_owed_in_black_too() -> None:
    budget = budget_of(8.0, 0.0, 4.0)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    budget.decide(decision(S.BLACK))
    assert budget.why_not(4.1, "task")
    budget.decide(decision(S.BLACK, reward=RewardRequest(1, 4.0, 1)))
    budget.hear(ended(1), NOW)
    assert not budget.why_not(4.0, "task")


def test_hit_that_pays_nothing_uses_up_nothing() -> None:
    budget = budget_of(8.0, 4.0, 4.0, pays_hits=False)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert not budget.exhausted


def test_session_that_pays_nothing_goes_on_at_the_cap() -> None:
    budget = budget_of(8.0, 8.0, 0.0, pays_hits=False)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert not budget.exhausted


def test_without_a_cap_nothing_is_ever_exhausted() -> None:
    budget = budget_of(None, 1e9, 4.0)
    assert not budget.exhausted
    assert budget.cap_ul != budget.cap_ul


@given(st.lists(st.sampled_from(["hit", "done", "failed", "unknown", "operator"]), max_size=60))
def test_whatever_happens_the_cap_is_never_passed(acts: list[str]) -> None:
    budget = budget_of(30.0, 3.0, 4.0)
    asked: list[int] = []
    for number, act in enumerate(acts, start=1):
        if act == "hit" and not budget.exhausted:
            budget.decide(decision(S.HIT, outcome=Outcome.HIT))
            budget.decide(decision(S.HIT, reward=RewardRequest(number, 4.0, number)))
            asked.append(number)
        elif act == "operator" and not budget.why_not(2.5, "operator"):
            budget.ask(RewardRequest(number, 2.5, 0, "operator"))
            asked.append(number)
        elif act in ("done", "failed", "unknown") and asked:
            budget.hear(ended(asked.pop(0), K(f"reward_{act}")), NOW)
        assert budget.today_ul <= 30.0


class Seconds:
    """Rising time that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_three_pass_at_once_and_then_one_a_second() -> None:
    clock = Seconds()
    bucket = TokenBucket(1.0, 3, clock)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    clock.now_s = 0.9
    assert not bucket.take()
    clock.now_s = 1.0
    assert [bucket.take(), bucket.take()] == [True, False]
    clock.now_s = 1e6
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.floats(0, 5), max_size=80))
def test_whatever_the_times_no_more_pass_than_the_burst_and_the_rate_allow(
    waits_s: list[float],
) -> None:
    clock = Seconds()
    bucket = TokenBucket(1.0, 3, clock)
    passed_s = []
    for wait_s in waits_s:
        clock.now_s += wait_s
        if bucket.take():
            passed_s.append(clock.now_s)
    for first, last_s in enumerate(passed_s):
        for n_between, earlier_s in enumerate(reversed(passed_s[:first]), start=1):
            assert n_between + 1 <= 3 + (last_s - earlier_s) + 1e-9
