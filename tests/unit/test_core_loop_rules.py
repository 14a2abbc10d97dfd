"""Every session type under frames, gaps, faults, pauses, stalls and commands in any order."""

from math import ceil, nan
from typing import Any

import msgspec
import pytest
from core_session import Animal, frame_of, info_of, session_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bci.config.session_type import follows_neurons
from bci.core.loop import ClosedLoop
from bci.core.loop_types import (
    BlockBegun,
    BlockEnded,
    BlockKind,
    Decision,
    EpochStarted,
    Finish,
    LoopEvent,
    Malformed,
    Outcome,
    Pause,
    PlaybackSet,
    PlayedTrial,
    Resume,
    ScreenBack,
    ScreenLost,
    Stalled,
    Start,
    Stop,
    TaskState,
    ThresholdSet,
)
from bci.core.stimulus_types import ScreenKind
from bci.core.stream_types import RoiFrame

pytestmark = pytest.mark.slow

S = TaskState
RATE_HZ = 10.0
TRIAL_S = 1.0
T, LO = 0.3, -0.3
TYPES: dict[str, dict[str, Any]] = {
    "closed_loop": {"kind": "closed_loop"},
    "inverted": {"kind": "inverted"},
    "no_reward": {"kind": "no_reward"},
    "delayed_reward": {"kind": "delayed_reward", "delay_s": 1.5},
    "random_reward": {
        "kind": "random_reward", "rewards_per_min": 40.0, "min_interval_s": 0.5,
    },
    "random_on_course": {
        "kind": "random_reward", "rewards_per_min": 40.0, "min_interval_s": 0.5,
        "follows": "course", "course": {"step_s": 0.1},
    },
    "open_loop": {"kind": "open_loop", "course": {"angles_deg": [0.0, 45.0, 90.0], "step_s": 0.2}},
    "walk": {"kind": "open_loop", "course": {"step_s": 0.05}},
    "yoked": {"kind": "yoked", "recording": "somewhere"},
    "passive": {"kind": "passive"},
}  # fmt: skip
UNPAID = {"no_reward", "random_reward", "random_on_course", "passive"}
RECORDED = PlaybackSet(
    "m", "0",
    (
        PlayedTrial((0.0, 0.2), (15.0, 45.0), 0.5, 0.2),
        PlayedTrial((0.0,), (30.0,), nan),
        PlayedTrial((0.0,), (30.0,), 0.0, 0.7),
        *(PlayedTrial((0.0,), (75.0,), 0.3, 0.0),) * 20,
    ),
    20.0,
)  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_every_state_is_reached(name: str) -> None:
    session, info = session_of(session_type=TYPES[name], baseline_s=2.0), info_of()
    animal = Animal(ClosedLoop(session, info), info)
    animal.hears(Start())
    if name == "yoked":
        animal.hears(RECORDED)
    # P+ alone is active, so that where P+ and P- are exchanged its silence counts
    activity = -0.97 if name == "inverted" else 3.0
    for k in range(400):
        animal.acts(activity if k % 13 == 0 and k > 200 else 0.0)
        if animal.loop.needs_calibration:
            animal.hears(ThresholdSet(T, LO, nan, "operator"))
        if k == 150:
            animal.hears(Pause())
        if k == 160:
            animal.hears(Resume())
    animal.hears(Stop("over"))
    # no hit and no grey in the one, a target in every trial of the other
    never = {"passive": {S.GREY, S.HIT, S.BLACK}, "open_loop": {S.MISS}}.get(name, set())
    assert {decision.state for decision in animal.decisions} == set(S) - never


class LoopRules(RuleBasedStateMachine):
    """The promises of the task, whatever the session type and whatever comes."""

    @initialize(
        name=st.sampled_from(sorted(TYPES)),
        baseline=st.booleans(),
        light=st.sampled_from(["none", "all", "fraction"]),
        during=st.sampled_from(["trial", "run"]),
        feedback=st.sampled_from(["visual", "auditory", "both", "off"]),
        session_s=st.sampled_from([4.0, 1000.0]),
        hold=st.sampled_from([False, False, True]),
    )
    def begin(
        self, name: str, baseline: bool, light: str, during: str, feedback: str,
        session_s: float, hold: bool,
    ) -> None:  # fmt: skip
        self.name = name
        self.session = session_of(
            session_type=TYPES[name],
            baseline_s=2.0 if baseline else None,
            task={"session_s": session_s, "trial_s": TRIAL_S},
            faults={"max_gap_s": 2.0, "pause_after_s": 0.5},
            light={"trials": light, "during": during},
            feedback={"kind": feedback},
            hold=hold,
        )
        self.info = info_of()
        self.loop = ClosedLoop(self.session, self.info)
        self.next_id, self.flicker, self.epoch = 0, 0, 0
        self.given: list[RoiFrame | LoopEvent] = []
        self.decisions: list[Decision] = []
        self.hits: dict[int, int] = {}
        self.paid: list[int] = []
        self.ended: list[int] = []
        self.free: list[int] = []
        self.before: Decision | None = None
        self.run_ids: list[int] = []
        self.lit = self.gated = False
        self.tells(Start())
        if name == "yoked":
            self.tells(RECORDED)
        if hold:
            self.tells(BlockBegun(BlockKind.BASELINE if baseline else BlockKind.CLOSED_LOOP))

    # -- what may come -------------------------------------------------------------------------

    def tells(self, event: LoopEvent) -> Decision:
        self.given.append(event)
        decision = self.loop.apply(event)
        self.look(decision)
        return decision

    def sends(self, activity: float, **changes: Any) -> Decision:
        self.flicker += 1
        values = [100.0 * (1 + activity), *[100.0 + 0.01 * (self.flicker % 101)] * 3]
        frame = frame_of(self.info, self.next_id, values, epoch=self.epoch)
        self.next_id += 1
        return self.steps(msgspec.structs.replace(frame, **changes))

    def steps(self, frame: RoiFrame) -> Decision:
        self.given.append(frame)
        decision = self.loop.step(frame)
        self.look(decision)
        if self.loop.needs_calibration:
            self.tells(ThresholdSet(T, LO, nan, "operator"))
        return decision

    @rule(activity=st.sampled_from([0.0, 0.05, 3.0, -0.5]), n=st.integers(1, 15))
    def frames(self, activity: float, n: int) -> None:
        for _ in range(n):
            self.sends(activity)

    @rule(n=st.integers(20, 60))
    def calm(self, n: int) -> None:
        for _ in range(n):
            self.sends(0.0)

    @rule(goes_on=st.booleans(), waits=st.integers(0, 8))
    def try_for_a_hit(self, goes_on: bool, waits: int) -> None:
        if goes_on and self.loop.state is S.PAUSED:
            self.tells(Resume())
        if goes_on and self.session.experiment.hold and self.loop.state is S.WAITING:
            self.tells(BlockBegun(BlockKind.CLOSED_LOOP))
        for _ in range(50):
            if self.loop.state is S.RUN:
                break
            self.sends(0.0)
        for _ in range(waits):
            self.sends(0.0)
        for _ in range(3):
            self.sends(-0.97 if self.name == "inverted" else 3.0)

    @rule(lost=st.sampled_from([1, 3, 12, 25, 400]), n=st.integers(1, 4))
    def frames_after_a_gap(self, lost: int, n: int) -> None:
        self.next_id += lost
        for _ in range(n):
            self.sends(0.0)

    @rule(back=st.integers(1, 5))
    def frame_that_came_before(self, back: int) -> None:
        if self.next_id >= back:
            self.steps(frame_of(self.info, self.next_id - back, [1e4] * 4, epoch=self.epoch))

    @rule(n=st.integers(1, 8), value=st.sampled_from([nan, 1.0]))
    def frames_that_show_nothing(self, n: int, value: float) -> None:
        for _ in range(n):
            frame = frame_of(self.info, self.next_id, [value] * 4, epoch=self.epoch)
            self.next_id += 1
            self.steps(frame)

    @rule(
        event=st.sampled_from(
            [
                Pause(), Resume(), Resume(), Stalled(1.2), ScreenLost("gone"), ScreenBack(),
                Malformed("short", 3), Start(), RECORDED, BlockEnded(),
                BlockBegun(BlockKind.BASELINE), BlockBegun(BlockKind.CLOSED_LOOP),
            ]
        )
    )  # fmt: skip
    def event(self, event: LoopEvent) -> None:
        self.tells(event)

    @rule()
    def acquisition_starts_again(self) -> None:
        self.epoch += 1
        self.tells(EpochStarted(self.epoch))

    @precondition(lambda self: len(self.given) > 300)
    @rule(event=st.sampled_from([Stop("asked"), Finish("asked")]))
    def end(self, event: LoopEvent) -> None:
        self.tells(event)

    # -- what is promised ----------------------------------------------------------------------

    def look(self, decision: Decision) -> None:
        before, self.before = self.before, decision
        self.decisions.append(decision)
        self.trial_time(before, decision)
        if decision.trial_end is not None:
            self.outcome(before, decision)
        if decision.reward is not None:
            self.reward(decision)
        self.nothing_is_owed_for_long(decision)
        self.light(decision)
        self.picture(decision)

    def trial_time(self, before: Decision | None, decision: Decision) -> None:
        if decision.state is S.RUN and decision.decoded:
            if before is None or before.state is not S.RUN or before.trial != decision.trial:
                self.run_ids = []
            self.run_ids.append(decision.frame_id)
            run_s = (decision.frame_id - self.run_ids[0]) / RATE_HZ
            assert run_s < TRIAL_S, "a trial never lasts beyond its limit"

    def outcome(self, before: Decision | None, decision: Decision) -> None:
        end = decision.trial_end
        assert end is not None
        self.ended.append(end.trial)
        assert self.ended == list(range(1, len(self.ended) + 1)), "each trial ends once, in order"
        if end.outcome is Outcome.HIT:
            assert decision.decoded
            assert decision.state in (S.HIT, S.BLACK)
            assert self.name != "passive"
            assert end.time_to_hit_s < TRIAL_S
            if follows_neurons(self.session.experiment.session_type):
                assert decision.s3 >= T, "no hit below T"
            self.hits[end.trial] = decision.frame_id
        if end.outcome is Outcome.MISS:
            frames = ceil(TRIAL_S * RATE_HZ)
            assert end.stop_frame_id - end.start_frame_id >= frames, "no miss before the limit"
            assert before is not None
            assert before.state in (S.GREY, S.RUN, S.MISS, S.BLACK, S.WAITING)

    def reward(self, decision: Decision) -> None:
        reward = decision.reward
        assert reward is not None
        if self.name in ("random_reward", "random_on_course"):
            assert reward.trial == 0, "no trial earned it"
            assert decision.decoded
            assert decision.state in (S.GREY, S.RUN, S.HIT, S.BLACK, S.MISS)
            self.free.append(decision.frame_id)
            # the task's clock is never faster than frames
            assert all(b - a >= 5 for a, b in zip(self.free, self.free[1:], strict=False))
            return
        assert self.name not in UNPAID, "nothing pays here"
        assert reward.trial in self.hits, "no reward without a hit"
        assert reward.trial not in self.paid, "never two for one hit"
        self.paid.append(reward.trial)

    def nothing_is_owed_for_long(self, decision: Decision) -> None:
        if self.name in UNPAID:
            return
        owed = set(self.hits) - set(self.paid)
        if self.name == "yoked":
            owed = {k for k in owed if RECORDED.trials[k - 1].reward_delay_s is not None}
        assert len(owed) <= 1
        if owed:
            assert decision.state in (S.HIT, S.BLACK), "an earned reward is never left behind"

    def light(self, decision: Decision) -> None:
        light = self.session.experiment.light
        if decision.light is not None:
            self.lit, self.gated = decision.light.on, decision.light.gate
        allowed = {S.BASELINE, S.RUN}
        if light.during == "trial":
            allowed |= {S.GREY, S.HIT, S.BLACK, S.MISS}
        assert not self.lit or (light.trials != "none" and decision.state in allowed)
        assert self.gated == (light.trials != "none" and decision.state is not S.DONE)

    def picture(self, decision: Decision) -> None:
        command = decision.command
        if command is None:
            return
        feedback = self.session.experiment.feedback.kind
        turns = command.screen in (ScreenKind.GRATING, ScreenKind.FROZEN)
        feeds_back = {S.RUN, S.HIT}
        if self.name == "passive":
            feeds_back |= {S.GREY, S.MISS}
        if decision.state in feeds_back:
            assert turns == (feedback in ("visual", "both"))
            assert (command.tone_hz > 0) == (feedback in ("auditory", "both"))
        else:
            assert not turns
            assert command.tone_hz == 0
        assert 0 <= command.orientation_deg <= 90

    def teardown(self) -> None:
        if not getattr(self, "given", None):
            return
        if self.loop.state is not S.DONE:
            self.tells(Stop("over"))
        again = ClosedLoop(self.session, self.info)
        encode = msgspec.msgpack.encode
        for given, decision in zip(self.given, self.decisions, strict=True):
            computed = again.step(given) if isinstance(given, RoiFrame) else again.apply(given)
            assert encode(computed) == encode(decision), "verify would find another decision"


class LoopRulesLong(LoopRules):
    """The same, for long."""


def settings_for(max_examples: int) -> Any:
    return settings(max_examples=max_examples, stateful_step_count=40)


TestLoopRules = LoopRules.TestCase
TestLoopRules.settings = settings_for(60)
TestLoopRulesLong = pytest.mark.timeout(1800)(pytest.mark.long(LoopRulesLong.TestCase))
TestLoopRulesLong.settings = settings_for(2000)
