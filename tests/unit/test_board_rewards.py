"""Reward transactions: legal steps alone, one end each, totals that agree."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bci.config.rig import Valve
from bci.core.board_types import BoardEventKind, RewardRequest
from bci.core.rewards import RewardFate
from bci.hardware.board.rewards import TRANSITIONS, IllegalTransition, Rewards

pytestmark = pytest.mark.slow

STATES = st.sampled_from(RewardFate)


class RewardMachine(RuleBasedStateMachine):
    """Any order of steps, against a model of one state per id."""

    def __init__(self) -> None:
        super().__init__()
        self.rewards = Rewards(Valve())
        self.model: dict[int, RewardFate] = {}
        self.volume: dict[int, float] = {}

    @rule(request_id=st.integers(1, 6), volume=st.floats(0.5, 20))
    def request(self, request_id: int, volume: float) -> None:
        request = RewardRequest(request_id, volume, trial=1)
        if request_id in self.model:
            with pytest.raises(IllegalTransition):
                self.rewards.request(request, 1)
        else:
            event = self.rewards.request(request, 1)
            assert event.kind is BoardEventKind.REWARD_REQUESTED
            self.model[request_id] = RewardFate.REQUESTED
            self.volume[request_id] = volume

    @rule(request_id=st.integers(1, 7), state=STATES)
    def move(self, request_id: int, state: RewardFate) -> None:
        now = self.model.get(request_id)
        if now is None or state not in TRANSITIONS[now]:
            with pytest.raises(IllegalTransition):
                self.rewards.move(request_id, state, 2)
            return
        event = self.rewards.move(request_id, state, 2, t_device_us=5, opened_us=9)
        assert event.kind == f"reward_{state}"
        assert (event.request_id, event.t_device_us, event.value) == (request_id, 5, 9.0)
        self.model[request_id] = state

    @invariant()
    def totals_agree(self) -> None:
        totals = self.rewards.totals
        states = list(self.model.values())
        assert totals.requested == len(states)
        assert totals.done == states.count(RewardFate.DONE)
        assert totals.failed == states.count(RewardFate.FAILED)
        assert totals.unknown == states.count(RewardFate.UNKNOWN)
        assert totals.given == sum(state.counts_as_given for state in states)
        given = [
            self.volume[request_id]
            for request_id, state in self.model.items()
            if state.counts_as_given
        ]
        assert totals.volume_ul == pytest.approx(sum(given))
        assert self.rewards.n_open == sum(bool(TRANSITIONS[state]) for state in states)


TestRewardMachine = RewardMachine.TestCase


def test_ended_reward_has_no_way_out() -> None:
    for state in (RewardFate.DONE, RewardFate.FAILED, RewardFate.UNKNOWN):
        assert not TRANSITIONS[state]


@pytest.mark.parametrize(
    ("dead_ms", "width_us"), [(0.0, 50_000), (8.0, 58_000), (-5.5, 44_500), (-90.0, 0)]
)
def test_opening_time_is_dead_time_and_volume_times_slope(dead_ms: float, width_us: int) -> None:
    rewards = Rewards(Valve(ms_per_ul=12.5, dead_ms=dead_ms))
    rewards.request(RewardRequest(1, 4.0, trial=1), 0)
    transaction = rewards.get(1)
    assert transaction is not None
    assert transaction.width_us == width_us
