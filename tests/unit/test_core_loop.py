"""The loop: one ordered list in, decisions out."""

from itertools import pairwise
from math import isnan, nan
from typing import Any

import msgspec
import numpy as np
import pytest
from core_session import Animal, animal_in, frame_of, info_of, kinds, session_of, started
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.core.calibration import calibrate
from bci.core.decoding.decoder import UnknownRoi
from bci.core.loop import ClosedLoop
from bci.core.loop_types import (
    Decision,
    EpochStarted,
    Finish,
    LedgerKind,
    LoopEvent,
    Malformed,
    Outcome,
    Pause,
    Resume,
    ScreenBack,
    ScreenLost,
    Stalled,
    Start,
    Stop,
    TaskState,
    ThresholdSet,
)
from bci.core.screen_rule import SCREENS
from bci.core.stimulus_types import ScreenKind
from bci.core.stream_types import RoiFrame

K = LedgerKind
S = TaskState
RATE_HZ = 10
encode = msgspec.msgpack.Encoder().encode

# -- effects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(S))
def test_every_state_is_reached_and_shows_its_screen(state: TaskState) -> None:
    if state is S.BASELINE:
        session = session_of(baseline_s=3.0)
        animal = animal_in(S.BASELINE, session)
    elif state in (S.PAUSED, S.DONE):
        animal = animal_in(S.RUN)
        animal.hears(Pause() if state is S.PAUSED else Stop("enough"))
    else:
        animal = animal_in(state)
    assert animal.loop.state is state
    shown = [d.command for d in animal.decisions if d.command is not None]
    screen = shown[-1].screen if shown else ScreenKind.GREY
    assert (
        screen
        is {
            S.WAITING: ScreenKind.GREY,
            S.BASELINE: ScreenKind.GREY,
            S.GREY: ScreenKind.GREY,
            S.RUN: ScreenKind.GRATING,
            S.HIT: ScreenKind.FROZEN,
            S.BLACK: ScreenKind.BLACK,
            S.MISS: ScreenKind.BLACK,
            S.PAUSED: ScreenKind.GREY,
            S.DONE: ScreenKind.GREY,
        }[state]
    )


def test_every_state_has_a_screen() -> None:
    assert set(SCREENS) == set(S)


def test_grating_shows_the_angle_of_the_read_out() -> None:
    animal = animal_in(S.RUN)
    for activity in (-0.5, 0.2, 0.05, 0.6, -0.1):
        decision = animal.acts(activity)
        if decision.state is S.RUN and decision.command is not None:
            assert decision.command.orientation_deg == decision.angle_deg
            assert decision.command.frame_id == decision.frame_id
    x = np.clip((animal.decisions[-1].s3 + 0.3) / 0.6, 0, 1)
    assert animal.decisions[-1].angle_deg == 15 * np.floor(6 * x)


def test_hit_freezes_the_grating_at_the_target() -> None:
    animal = animal_in(S.HIT)
    command = animal.decisions[-1].command
    assert command is not None
    assert (command.screen, command.orientation_deg) == (ScreenKind.FROZEN, 90.0)
    for _ in range(3):
        assert animal.acts(-0.9).command is None


def test_command_holds_the_complete_state_of_the_screen() -> None:
    session = session_of(stimulus={"contrast": 0.5, "temporal_freq_hz": 2.0})
    animal = animal_in(S.BLACK, session)
    commands = [d.command for d in animal.decisions if d.command is not None]
    assert {command.screen for command in commands} >= {ScreenKind.GRATING, ScreenKind.BLACK}
    assert {(c.contrast, c.temporal_freq_hz, c.tone_hz) for c in commands} == {(0.5, 2.0, 0.0)}


def test_hit_and_its_reward_are_told_once_with_their_trial() -> None:
    animal = animal_in(S.HIT)
    animal.until(S.GREY)
    (end,) = [d.trial_end for d in animal.decisions if d.trial_end is not None]
    assert (end.trial, end.outcome) == (1, Outcome.HIT)
    (paid,) = [d for d in animal.decisions if d.reward is not None]
    assert paid.reward is not None
    assert (paid.reward.trial, paid.reward.request_id, paid.reward.volume_ul) == (1, 1, 4.0)
    assert paid.frame_id == end.stop_frame_id + 2


@pytest.mark.parametrize("event", [Pause(), Stop("enough"), Stalled(1.2)])
def test_earned_reward_is_paid_at_once(event: LoopEvent) -> None:
    decision = animal_in(S.HIT).hears(event)
    assert decision.reward is not None
    assert decision.reward.trial == 1
    assert decision.state in (S.PAUSED, S.DONE)


@pytest.mark.parametrize("event", [Pause(), Stop("enough"), Stalled(1.2)])
def test_light_goes_off_on_a_pause_a_stall_and_at_the_end(event: LoopEvent) -> None:
    animal = animal_in(S.RUN)
    assert all(decision.light is None for decision in animal.decisions)
    light = animal.hears(event).light
    assert light is not None
    assert not light.on


def test_light_goes_off_when_the_session_is_over_by_itself() -> None:
    animal = animal_in(S.RUN, session_of(task={"session_s": 3.0}))
    decision = animal.until(S.DONE)
    assert decision.light is not None
    assert not decision.light.on


def test_early_hit_is_flagged() -> None:
    animal = animal_in(S.GREY)
    animal.until(S.HIT, activity=3.0)
    (end,) = [d.trial_end for d in animal.decisions if d.trial_end is not None]
    assert end.early


# -- events ----------------------------------------------------------------------------------------


def test_second_start_is_refused() -> None:
    for session in (session_of(), session_of(baseline_s=3.0)):
        animal = animal_in(S.WAITING, session)
        decision = animal.hears(Start())
        assert kinds(decision.ledger) == [K.REFUSED]
        animal.rests(60)
        if session.experiment.threshold is not None:
            assert animal.loop.trial > 0


@pytest.mark.parametrize("t_and_lo", [(0.1, 0.1), (0.0, 0.1), (nan, 0.0), (0.1, nan)])
def test_threshold_not_above_lo_is_refused(t_and_lo: tuple[float, float]) -> None:
    animal = animal_in(S.RUN)
    decision = animal.hears(ThresholdSet(*t_and_lo, nan, "operator"))
    assert kinds(decision.ledger) == [K.REFUSED]
    assert (animal.loop.t, animal.loop.lo) == (0.3, -0.3)


@pytest.mark.parametrize("t_and_lo", [(np.inf, 0.0), (0.3, -np.inf), (np.inf, -np.inf)])
def test_threshold_that_is_not_finite_is_refused(t_and_lo: tuple[float, float]) -> None:
    animal = animal_in(S.RUN)
    assert kinds(animal.hears(ThresholdSet(*t_and_lo, nan, "operator")).ledger) == [K.REFUSED]
    assert animal.loop.t == 0.3


def test_threshold_of_the_operator_holds_from_the_next_frame() -> None:
    animal = animal_in(S.RUN)
    animal.hears(ThresholdSet(0.002, -2.0, nan, "operator"))
    assert animal.rests().state is S.RUN
    assert animal.acts(0.1).state is S.HIT


def test_settings_hold_the_threshold_from_the_start() -> None:
    loop = ClosedLoop(session_of(threshold=(0.7, 0.1)), info_of())
    assert isnan(loop.t)
    loop.apply(Start())
    assert (loop.t, loop.lo) == (0.7, 0.1)
    assert not loop.needs_calibration


def test_no_trial_starts_without_a_threshold() -> None:
    animal = animal_in(S.BASELINE, session_of(baseline_s=3.0))
    animal.rests(200)
    assert animal.loop.needs_calibration
    assert animal.loop.state is S.WAITING
    assert animal.loop.trial == 0
    assert isnan(animal.decisions[-1].angle_deg)
    animal.hears(ThresholdSet(0.3, -0.3, 100.0, "calibration"))
    assert not animal.loop.needs_calibration
    assert animal.rests().state is S.GREY


def test_finish_ends_after_the_trial() -> None:
    animal = animal_in(S.RUN)
    assert animal.hears(Finish("daily cap")).state is S.RUN
    animal.until(S.DONE)
    assert animal.loop.trial == 1


@pytest.mark.parametrize("event", [Pause(), Resume(), Stop("again"), Finish("again"), Start()])
def test_nothing_leaves_the_end(event: LoopEvent) -> None:
    animal = animal_in(S.RUN)
    animal.hears(Stop("enough"))
    decision = animal.hears(event)
    assert decision.state is S.DONE
    assert kinds(decision.ledger) == [K.REFUSED]
    assert animal.rests(50).state is S.DONE


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Malformed("too short", 5), K.MALFORMED),
        (ScreenLost("silent"), K.SCREEN_LOST),
        (ScreenBack(), K.SCREEN_BACK),
    ],
)
def test_event_that_changes_nothing_is_in_the_ledger(event: LoopEvent, kind: LedgerKind) -> None:
    animal = animal_in(S.RUN)
    decision = animal.hears(event)
    assert kinds(decision.ledger) == [kind]
    assert (decision.state, decision.command, decision.reward) == (S.RUN, None, None)


# -- stalls, gaps, epochs --------------------------------------------------------------------------


def test_stall_pauses_and_goes_on_by_itself() -> None:
    animal = animal_in(S.RUN)
    stalled = animal.hears(Stalled(1.2))
    assert kinds(stalled.ledger) == [K.STALL]
    assert stalled.state is S.PAUSED
    assert stalled.trial_end is not None
    assert stalled.trial_end.outcome is Outcome.ABORT
    animal.loses(12)
    back = animal.rests()
    assert back.state is S.GREY
    assert back.trial == 2


def test_stall_with_older_ids_is_told_as_ids_that_went_backwards() -> None:
    animal = animal_in(S.RUN)
    last_id = animal.next_id - 1
    stalled = animal.hears(Stalled(1.2, older_id=3))
    assert kinds(stalled.ledger) == [K.IDS_BACKWARDS]
    assert {str(last_id), "3"} <= set(stalled.ledger[0].detail.split())
    assert stalled.state is S.PAUSED
    animal.loses(12)
    assert animal.rests().state is S.GREY


def test_stall_waits_for_the_operator_where_the_settings_say_so() -> None:
    animal = animal_in(S.RUN, session_of(faults={"resume_after_stall": False}))
    animal.hears(Stalled(1.2))
    assert animal.rests(30).state is S.PAUSED
    animal.hears(Resume())
    assert animal.rests().state is S.GREY


def test_pause_asked_for_in_a_stall_outlasts_it() -> None:
    animal = animal_in(S.RUN)
    animal.hears(Stalled(1.2))
    assert animal.hears(Pause()).ledger == ()
    assert animal.rests(30).state is S.PAUSED


def test_pause_of_the_operator_outlasts_a_stall() -> None:
    animal = animal_in(S.RUN)
    animal.hears(Pause())
    animal.hears(Stalled(1.2))
    assert animal.rests(30).state is S.PAUSED


def test_fault_of_content_in_a_stall_outlasts_it() -> None:
    animal = animal_in(S.RUN)
    animal.hears(Stalled(1.2))
    told = []
    for k in range(RATE_HZ + 3):
        frame = frame_of(animal.info, animal.next_id, np.full(4, 1.0 + k % 2))
        told += animal.take(frame).ledger
    assert kinds(told) == [K.DARK, K.FAULT_PAUSE]
    assert animal.rests(30).state is S.PAUSED


def test_stall_longer_than_five_seconds_refills_f0_before_the_next_trial() -> None:
    animal = animal_in(S.RUN)
    animal.hears(Stalled(1.2))
    animal.loses(1000)
    states = [animal.rests().state for _ in range(3 + RATE_HZ + 1)]
    assert states == [S.PAUSED] * 3 + [S.WAITING] * RATE_HZ + [S.GREY]


def test_gap_of_less_than_five_seconds_leaves_the_trial_running() -> None:
    animal = animal_in(S.RUN)
    animal.loses(5)
    assert animal.rests().state is S.RUN
    assert animal.loop.decoder.is_settled


def test_new_epoch_aborts_the_trial_and_refills_f0() -> None:
    animal = animal_in(S.RUN)
    told = animal.hears(EpochStarted(1))
    assert kinds(told.ledger) == [K.EPOCH]
    assert told.state is S.WAITING
    assert told.trial_end is not None
    states = []
    for _ in range(RATE_HZ + 1):
        values = animal.values(animal.next_id, 0.0)
        states.append(animal.take(frame_of(animal.info, animal.next_id, values, epoch=1)).state)
    assert states == [S.WAITING] * RATE_HZ + [S.GREY]


def test_new_epoch_after_a_hit_still_pays_the_reward() -> None:
    animal = animal_in(S.HIT)
    animal.hears(EpochStarted(1))
    paid = []
    for _ in range(5):
        values = animal.values(animal.next_id, 0.0)
        paid.append(animal.take(frame_of(animal.info, animal.next_id, values, epoch=1)).reward)
    assert [reward.trial for reward in paid if reward is not None] == [1]


# -- baseline --------------------------------------------------------------------------------------


def baseline_animal(**decoder: Any) -> Animal:
    info = info_of()
    session = session_of(baseline_s=4.0, decoder=decoder)
    return Animal(started(session, info), info)


def test_baseline_drops_the_first_f0_window() -> None:
    animal = baseline_animal()
    animal.rests(60)
    kept = [d for d in animal.decisions if d.state is S.BASELINE][RATE_HZ:]
    assert len(kept) == 4 * RATE_HZ - RATE_HZ
    assert animal.loop.baseline_s3 == [d.s3 for d in kept]
    assert len(animal.loop.baseline_medians) == len(kept)


def test_baseline_drops_flagged_frames() -> None:
    animal = baseline_animal()
    for _ in range(60):
        frame_id = animal.next_id
        values = [nan] * 4 if frame_id % 5 == 0 else animal.values(frame_id, 0.0)
        animal.take(frame_of(animal.info, frame_id, values))
    kept = [d for d in animal.decisions if d.state is S.BASELINE and d.decoded][RATE_HZ:]
    assert animal.loop.baseline_s3 == [d.s3 for d in kept]
    assert len(kept) < 3 * RATE_HZ


def test_baseline_after_a_long_gap_drops_a_window_again() -> None:
    info = info_of()
    animal = Animal(started(session_of(baseline_s=60.0), info), info)
    animal.rests(100)
    assert len(animal.loop.baseline_s3) == 90
    animal.loses(100)
    animal.rests(3 + RATE_HZ)
    assert len(animal.loop.baseline_s3) == 90
    animal.rests(1)
    assert len(animal.loop.baseline_s3) == 91


def test_pause_adds_nothing_to_the_baseline() -> None:
    animal = baseline_animal()
    animal.rests(20)
    n_kept = len(animal.loop.baseline_s3)
    animal.hears(Pause())
    animal.rests(100)
    assert len(animal.loop.baseline_s3) == n_kept
    assert animal.hears(Resume()).state is S.BASELINE
    animal.until(S.WAITING)
    assert 3 * RATE_HZ <= len(animal.loop.baseline_s3) <= 3 * RATE_HZ + 2


def test_baseline_median_tells_what_dark_is_measured_against() -> None:
    animal = baseline_animal()
    animal.rests(60)
    assert np.median(animal.loop.baseline_medians) == pytest.approx(100.0, rel=0.02)


def test_progress_goes_from_0_to_1_over_a_block() -> None:
    animal = baseline_animal()
    progress = []
    for _ in range(39):
        animal.rests()
        progress.append(animal.loop.progress)
    assert progress == pytest.approx([k / 40 for k in range(39)])


def test_ensemble_in_another_plane_is_refused_by_name() -> None:
    with pytest.raises(UnknownRoi, match="b"):
        ClosedLoop(session_of(), info_of("abcd", planes=(0, 1, 0, 0)))


# -- one ordered list ------------------------------------------------------------------------------

any_event = st.one_of(
    st.sampled_from(
        [Start(), Pause(), Resume(), ScreenLost("x"), ScreenBack(), Malformed("short", 3)]
    ),
    st.just(Resume()),
    st.just(Resume()),
    st.builds(Stalled, st.floats(0, 100)),
    st.builds(EpochStarted, st.integers(0, 2)),
    st.builds(
        ThresholdSet,
        st.one_of(st.floats(-1, 1), st.floats()),
        st.one_of(st.floats(-1, 1), st.floats()),
        st.one_of(st.floats(0, 1000), st.floats()),
        st.sampled_from(["operator", "calibration"]),
    ),
)
frames = st.tuples(
    st.sampled_from([1] * 12 + [2, 7, 60, 0, -3]),
    st.sampled_from([0.0, 0.0, 0.3, 0.8, -0.5]),
    st.sampled_from(["good"] * 10 + ["nan", "dark", "stale"]),
    st.integers(0, 2),
)
runs = st.tuples(st.integers(1, 25), st.sampled_from([0.0, 0.0, 0.3, 0.8]))
ends = st.sampled_from([Finish("cap"), Stop("enough")])
rows_of_any_kind = st.integers(0, 9).flatmap(
    lambda kind: runs if kind < 6 else frames if kind < 8 else any_event
)
lists = st.tuples(
    st.lists(rows_of_any_kind, min_size=10, max_size=50),
    st.lists(ends, max_size=2),
    st.lists(runs, max_size=2),
)


def session_with(baseline: bool) -> Any:
    return session_of(baseline_s=2.0) if baseline else session_of(threshold=(0.2, -0.2))


def inputs_of(rows: list[Any], t_ns: int) -> list[RoiFrame | LoopEvent]:
    """The ordered list that rows stand for; `t_ns` shifts every time that frames carry."""
    info = info_of()
    inputs: list[RoiFrame | LoopEvent] = [Start()]
    frame_id, epoch = 0, 0

    def frame(activity: float, content: str) -> RoiFrame:
        values = {
            "good": np.array([100 * (1 + activity), 100, 101, 102]) + 0.01 * (frame_id % 101),
            "nan": np.array([nan, 100, 100, 100]),
            "dark": np.full(4, 0.01 * (frame_id % 101)),
            "stale": np.array([100.0, 100, 101, 102]),
        }[content]
        sent_ns = t_ns + frame_id * 17
        return frame_of(info, frame_id, values, epoch=epoch, t_scope_ns=sent_ns, t_sent_ns=sent_ns)

    for row in rows:
        if isinstance(row, EpochStarted):
            epoch = row.epoch
            inputs.append(row)
        elif not isinstance(row, tuple):
            inputs.append(row)
        elif len(row) == 2:
            for _ in range(row[0]):
                inputs.append(frame(row[1], "good"))
                frame_id += 1
        else:
            frame_id = max(0, frame_id - 1 + row[0])
            inputs.append(frame(row[1], row[2]))
            frame_id += 1
    return inputs


def run(inputs: list[RoiFrame | LoopEvent], *, baseline: bool) -> tuple[ClosedLoop, list[Decision]]:
    loop = ClosedLoop(session_with(baseline), info_of())
    return loop, [
        loop.step(item) if isinstance(item, RoiFrame) else loop.apply(item) for item in inputs
    ]


def check_one_list(rows: list[Any], baseline: bool) -> None:
    _, decisions = run(inputs_of(rows, 0), baseline=baseline)
    _, again = run(inputs_of(rows, 10**15), baseline=baseline)
    written = [encode(decision) for decision in decisions]
    assert written == [encode(decision) for decision in again]
    for raw in written:
        assert encode(msgspec.msgpack.decode(raw, type=Decision)) == raw

    assert [d.sequence for d in decisions] == list(range(1, len(decisions) + 1))
    commands = [d.command for d in decisions if d.command is not None]
    assert [c.command_id for c in commands] == list(range(1, len(commands) + 1))
    assert decisions[0].command is not None
    for one, other in pairwise(commands):
        assert (one.screen, one.orientation_deg) != (other.screen, other.orientation_deg)
    assert all(0 <= command.orientation_deg <= 90 for command in commands)

    ended = [d.trial_end for d in decisions if d.trial_end is not None]
    assert [end.trial for end in ended] == list(range(1, len(ended) + 1))
    hits = [end.trial for end in ended if end.outcome is Outcome.HIT]
    rewards = [d.reward for d in decisions if d.reward is not None]
    paid = [reward.trial for reward in rewards]
    assert [reward.request_id for reward in rewards] == list(range(1, len(rewards) + 1))
    assert paid == hits[: len(paid)]
    assert len(hits) - len(paid) == (decisions[-1].state is S.HIT and paid != hits)
    assert decisions[-1].trial - len(ended) == (decisions[-1].state in (S.GREY, S.RUN))

    screen = None
    for before, decision in pairwise(decisions):
        if decision.command is not None:
            screen = decision.command.screen
        elif before.command is not None and screen is None:
            screen = before.command.screen
        shown = SCREENS[decision.state]
        assert screen in (shown, ScreenKind.FROZEN if shown is ScreenKind.GRATING else shown)
        if not decision.decoded:
            assert decision.s3 == before.s3 or isnan(decision.s3)
        held = decision.state in (S.PAUSED, S.DONE)
        if held and decision.state is not before.state:
            assert decision.light is not None
            assert not decision.light.on
        else:
            assert decision.light is None


@given(lists, st.booleans())
@settings(max_examples=150)
def test_same_list_gives_the_same_bytes_whenever_it_comes(
    rows: tuple[list[Any], ...], baseline: bool
) -> None:
    check_one_list([row for part in rows for row in part], baseline)


@pytest.mark.long
@pytest.mark.timeout(900)
@given(lists, st.booleans())
@settings(max_examples=2000)
def test_same_list_gives_the_same_bytes_whenever_it_comes_long(
    rows: tuple[list[Any], ...], baseline: bool
) -> None:
    check_one_list([row for part in rows for row in part], baseline)


def test_calibration_of_a_baseline_and_the_session_after_it_repeat_to_the_byte() -> None:
    def whole() -> bytes:
        info = info_of()
        rng = np.random.default_rng(3)
        loop = started(session_of(baseline_s=20.0), info)
        raw = b""
        for frame_id in range(1500):
            raw += encode(loop.step(frame_of(info, frame_id, rng.normal(100, 15, 4))))
            if loop.needs_calibration:
                settings_ = session_of().experiment.calibration
                result = calibrate(loop.baseline_s3, loop.run_frames, settings_)
                raw += encode(loop.apply(ThresholdSet(result.t, result.lo, nan, "calibration")))
        assert loop.trial > 10
        return raw

    assert whole() == whole()
