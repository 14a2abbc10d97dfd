"""One enum of a reward's fate, and one count of rewards for all who count them."""

from math import fsum

from hypothesis import given
from hypothesis import strategies as st

from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.rewards import FIRST_OPERATOR_REWARD, RewardFate, RewardTotals, SessionRewards

F = RewardFate


def event(request_id: int, fate: RewardFate, value: float = 0.0) -> BoardEvent:
    return BoardEvent(request_id, fate.event, None, 1, value)


def test_drop_counts_unless_the_valve_surely_stayed_shut() -> None:
    assert [fate for fate in F if not fate.counts_as_given] == [F.REQUESTED, F.FAILED]
    assert [fate for fate in F if fate.ended] == [F.DONE, F.FAILED, F.UNKNOWN]


def test_each_fate_has_its_board_event_and_no_other_event_is_one() -> None:
    assert {F.of(kind) for kind in BoardEventKind} == {*F, None}
    assert all(F.of(fate.event) is fate for fate in F)
    assert F.of(BoardEventKind.LICK) is None


def test_fate_never_goes_back_and_the_first_end_stays() -> None:
    rewards = SessionRewards()
    rewards.ask(RewardRequest(1, 4.0, 1))
    assert rewards.take(event(1, F.SENT)) is not None
    assert rewards.take(event(1, F.REQUESTED)) is None
    assert rewards.totals() == RewardTotals(requested=1, open=1, given=1, volume_ul=4.0)
    assert rewards.take(event(1, F.UNKNOWN)) is not None
    assert rewards.take(event(1, F.DONE)) is None
    assert rewards.totals() == RewardTotals(requested=1, unknown=1, given=1, volume_ul=4.0)


def test_request_and_event_in_either_order_are_one_reward() -> None:
    rewards = SessionRewards()
    rewards.take(event(7, F.DONE))
    rewards.ask(RewardRequest(7, 4.0, 3))
    [reward] = rewards.rewards
    assert (reward.fate, reward.trial, reward.volume_ul) == (F.DONE, 3, 4.0)


def test_reward_without_its_request_is_told_apart_by_its_number() -> None:
    rewards = SessionRewards()
    rewards.take(event(FIRST_OPERATOR_REWARD, F.REQUESTED, 2.5))
    rewards.take(event(1, F.REQUESTED, 4.0))
    assert rewards.totals("operator").owed_ul == 2.5
    assert rewards.totals("task").owed_ul == 4.0


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from([None, *F]), st.floats(0, 10, width=32)),
        max_size=60,
    )
)
def test_totals_are_those_of_the_rewards(steps: list[tuple[int, RewardFate | None, float]]) -> None:
    rewards = SessionRewards()
    for number, fate, volume_ul in steps:
        origin = "operator" if number > 3 else "task"
        if fate is None:
            rewards.ask(RewardRequest(number, volume_ul, 0, origin))
        else:
            rewards.take(event(number, fate, volume_ul))
        for asked in (None, "task", "operator"):
            found = [one for one in rewards.rewards if asked in (None, one.origin)]
            totals = rewards.totals(asked)
            assert totals.requested == len(found)
            assert totals.requested == totals.open + totals.done + totals.failed + totals.unknown
            given_ul = fsum(one.volume_ul for one in found if one.fate.counts_as_given)
            assert totals.volume_ul == given_ul
