"""No trial begins whose reward would pass the cap."""

from math import nan

from hypothesis import given
from hypothesis import strategies as st

from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.loop_types import Decision, Outcome, TaskState, TrialEnd
from bci.session.reward_budget import RewardBudget

K, S = BoardEventKind, TaskState


def decision(
    state: TaskState, reward: RewardRequest | None = None, outcome: Outcome | None = None
) -> Decision:
    end = None if outcome is None else TrialEnd(1, outcome, 0, 9, 0.3, False)
    return Decision(1, 9, True, 0.0, 0.0, 0.0, state, 1, reward=reward, trial_end=end)


def ended(request_id: int, kind: BoardEventKind = K.REWARD_DONE) -> BoardEvent:
    return BoardEvent(request_id, kind, None, 1)


def test_reward_counts_from_the_hit_on() -> None:
    budget = RewardBudget("m1", "serial", cap_ul=12.0, reward_ul=4.0, before_ul=4.0)
    assert not budget.exhausted
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert not budget.exhausted
    budget.decide(decision(S.HIT, reward=RewardRequest(1, 4.0, 1)))
    assert not budget.exhausted
    budget.hear(ended(1))
    assert (budget.today_ul, budget.exhausted) == (8.0, False)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert budget.exhausted


def test_operators_reward_counts_and_one_past_the_cap_is_not_allowed() -> None:
    budget = RewardBudget("m1", "serial", cap_ul=10.0, reward_ul=4.0, before_ul=0.0)
    budget.ask(RewardRequest(1_000_000, 5.0, 0, "operator"))
    assert budget.allows(5.0)
    assert not budget.allows(5.1)


def test_reward_that_failed_is_given_back_and_one_unknown_is_not() -> None:
    budget = RewardBudget("m1", "serial", cap_ul=8.0, reward_ul=4.0, before_ul=0.0)
    for request_id in (1, 2):
        budget.ask(RewardRequest(request_id, 4.0, request_id))
    assert budget.exhausted
    line = budget.hear(ended(1, K.REWARD_FAILED))
    assert line is not None
    assert (line.state, line.volume_ul, line.board) == ("failed", 4.0, "serial")
    assert not budget.exhausted
    budget.hear(ended(2, K.REWARD_UNKNOWN))
    assert budget.today_ul == 4.0
    assert budget.hear(ended(2, K.REWARD_DONE)) is None


def test_delayed_reward_is_owed_in_black_too() -> None:
    budget = RewardBudget("m1", "serial", cap_ul=8.0, reward_ul=4.0, before_ul=0.0)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    budget.decide(decision(S.BLACK))
    assert not budget.allows(4.1)
    budget.decide(decision(S.BLACK, reward=RewardRequest(1, 4.0, 1)))
    budget.hear(ended(1))
    assert budget.allows(4.0)


def test_hit_that_pays_nothing_uses_up_nothing() -> None:
    budget = RewardBudget("m1", "serial", cap_ul=8.0, reward_ul=4.0, before_ul=4.0, pays_hits=False)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert not budget.exhausted


def test_session_that_pays_nothing_goes_on_at_the_cap() -> None:
    budget = RewardBudget("m1", "serial", cap_ul=8.0, reward_ul=0.0, before_ul=8.0, pays_hits=False)
    budget.decide(decision(S.HIT, outcome=Outcome.HIT))
    assert not budget.exhausted


def test_without_a_cap_nothing_is_ever_exhausted() -> None:
    budget = RewardBudget("m1", "serial", cap_ul=None, reward_ul=4.0, before_ul=1e9)
    assert not budget.exhausted
    assert budget.cap_ul != budget.cap_ul or budget.cap_ul is nan


@given(st.lists(st.sampled_from(["hit", "done", "failed", "unknown", "operator"]), max_size=60))
def test_whatever_happens_the_cap_is_never_passed(acts: list[str]) -> None:
    budget = RewardBudget("m1", "serial", cap_ul=30.0, reward_ul=4.0, before_ul=3.0)
    asked: list[int] = []
    for number, act in enumerate(acts, start=1):
        if act == "hit" and not budget.exhausted:
            budget.decide(decision(S.HIT, outcome=Outcome.HIT))
            budget.decide(decision(S.HIT, reward=RewardRequest(number, 4.0, number)))
            asked.append(number)
        elif act == "operator" and budget.allows(2.5):
            budget.ask(RewardRequest(number, 2.5, 0, "operator"))
            asked.append(number)
        elif act in ("done", "failed", "unknown") and asked:
            budget.hear(ended(asked.pop(0), K(f"reward_{act}")))
        assert budget.today_ul <= 30.0
