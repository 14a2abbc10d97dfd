"""Session types: what the screen follows, what a hit is, what pays."""

from math import nan
from typing import Any

import numpy as np
import pytest
from core_session import Animal, info_of, kinds, session_of, started

from bci.config.session_type import Course, RandomRewardType
from bci.core.courses import Playback, make_course
from bci.core.loop_types import (
    Decision,
    Finish,
    LedgerKind,
    Outcome,
    Pause,
    PlaybackSet,
    PlayedTrial,
    Resume,
    TaskState,
)
from bci.core.random_rewards import RandomRewards
from bci.core.stimulus_types import ScreenKind

S = TaskState
RECORDED = PlaybackSet(
    "mouse-1",
    "00",
    (
        PlayedTrial((0.0, 0.2), (15.0, 45.0), 0.5, 0.3),
        PlayedTrial((0.0,), (30.0,), nan),
    ),
    12.0,
)


def animal_of(session_type: dict[str, Any], **tables: Any) -> Animal:
    session, info = session_of(session_type=session_type, **tables), info_of()
    return Animal(started(session, info), info)


def play(animal: Animal, n_frames: int, *, active_every: int = 0) -> list[Decision]:
    """Frames at rest, and an active one now and then; all decisions."""
    for k in range(n_frames):
        animal.acts(3.0 if active_every and k % active_every == 0 else 0.0)
    return animal.decisions


def rewards(decisions: list[Decision]) -> list[tuple[int, int]]:
    return [(d.frame_id, d.reward.trial) for d in decisions if d.reward is not None]


def outcomes(decisions: list[Decision]) -> list[Outcome]:
    return [d.trial_end.outcome for d in decisions if d.trial_end is not None]


def shown(decisions: list[Decision], *, state: TaskState) -> list[float]:
    """What the screen showed at each frame of a state: degrees, NaN where no grating."""
    angles, angle = [], nan
    for decision in decisions:
        command = decision.command
        if command is not None:
            angle = command.orientation_deg if command.screen is ScreenKind.GRATING else nan
        if decision.state is state and decision.decoded:
            angles.append(angle)
    return angles


def test_no_reward_has_hits_that_pay_nothing() -> None:
    decisions = play(animal_of({"kind": "no_reward"}), 200, active_every=7)
    assert outcomes(decisions).count(Outcome.HIT) >= 3
    assert rewards(decisions) == []


def test_inverted_exchanges_the_ensembles() -> None:
    animal = animal_of({"kind": "inverted"})
    assert animal.loop.decoder.labels == ("b", "a")
    animal.until(S.RUN)
    assert animal.acts(3.0).s < -0.9
    animal.until(S.MISS)
    assert outcomes(animal.decisions) == [Outcome.MISS]


@pytest.mark.parametrize("delay_s", [0.5, 0.6, 3.0])
def test_delayed_reward_comes_late_and_the_next_trial_waits_for_it(delay_s: float) -> None:
    animal = animal_of({"kind": "delayed_reward", "delay_s": delay_s})
    animal.until(S.RUN)
    hit_id = animal.until(S.HIT, activity=3.0).frame_id
    animal.until(S.GREY)
    (paid,) = rewards(animal.decisions)
    assert paid == (hit_id + round(10 * delay_s), 1)
    black_ends = max(paid[0], hit_id + 6)
    assert animal.decisions[-1].frame_id == black_ends


def test_delayed_reward_is_paid_at_once_on_a_pause() -> None:
    animal = animal_of({"kind": "delayed_reward", "delay_s": 30.0})
    animal.until(S.RUN)
    animal.until(S.BLACK, activity=3.0)
    assert animal.hears(Pause()).reward is not None


def test_random_rewards_come_without_a_hit_and_hits_pay_nothing() -> None:
    kind = {"kind": "random_reward", "rewards_per_min": 20.0, "min_interval_s": 1.0}
    decisions = play(animal_of(kind), 3000, active_every=37)
    assert Outcome.HIT in outcomes(decisions)
    given = rewards(decisions)
    assert {trial for _, trial in given} == {0}
    in_trials = sum(d.state in (S.GREY, S.RUN, S.HIT, S.BLACK, S.MISS) for d in decisions)
    assert 0.6 * in_trials / 30 < len(given) < 1.4 * in_trials / 30
    assert min(np.diff([frame_id for frame_id, _ in given])) >= 10
    again = play(animal_of(kind), 3000, active_every=37)
    assert rewards(again) == given
    other = play(animal_of(kind | {"seed": 2}), 3000, active_every=37)
    assert rewards(other) != given


def test_random_rewards_wait_in_a_pause() -> None:
    kind = {"kind": "random_reward", "rewards_per_min": 20.0, "min_interval_s": 1.0}
    straight, paused = animal_of(kind), animal_of(kind)
    straight.until(S.RUN)
    paused.until(S.RUN)
    paused.hears(Pause())
    play(paused, 300)
    assert rewards(paused.decisions) == []
    paused.hears(Resume())
    play(paused, 300)
    assert len(rewards(paused.decisions)) >= 5


def test_no_random_reward_comes_once_the_end_was_asked_for() -> None:
    kind = {"kind": "random_reward", "rewards_per_min": 59.0, "min_interval_s": 1.0}
    animal = animal_of(kind, task={"trial_s": 30.0})
    animal.until(S.RUN)
    play(animal, 60)
    n = len(rewards(animal.decisions))
    assert n >= 5
    animal.hears(Finish("cap"))
    play(animal, 100)
    assert animal.loop.state is S.RUN
    assert len(rewards(animal.decisions)) == n


def test_random_rewards_have_the_rate_that_was_asked_for() -> None:
    settings = RandomRewardType(kind="random_reward", min_interval_s=2.0, seed=5)
    schedule = RandomRewards(settings, 6.0)
    n = sum(schedule.due(k / 10) for k in range(600_000))
    assert n == pytest.approx(6.0 * 1000, rel=0.05)


def test_random_rewards_that_fell_into_a_gap_do_not_come_all_at_once() -> None:
    settings = RandomRewardType(kind="random_reward", min_interval_s=2.0)
    schedule = RandomRewards(settings, 20.0)
    times_s = [k / 10 for k in range(100)] + [k / 10 for k in range(1000, 1400)]
    given = [t for t in times_s if schedule.due(t)]
    assert len(given) > 8
    assert min(np.diff(given)) >= 2.0


def test_random_reward_takes_the_rate_of_a_recorded_session() -> None:
    kind = {"kind": "random_reward", "same_rate_as": "somewhere"}
    animal = animal_of(kind)
    play(animal, 50)
    assert animal.loop.state is S.WAITING, "no trial starts before the rate is known"
    animal.hears(RECORDED)
    play(animal, 1200)
    assert 12 < len(rewards(animal.decisions)) < 36


def test_open_loop_follows_its_course_and_pays_at_its_target() -> None:
    course = {"angles_deg": [0.0, 30.0, 90.0], "step_s": 0.3}
    animal = animal_of({"kind": "open_loop", "course": course})
    animal.until(S.RUN)
    animal.until(S.GREY)
    assert shown(animal.decisions, state=S.RUN) == [0.0] * 3 + [30.0] * 3
    assert outcomes(animal.decisions) == [Outcome.HIT]
    assert [trial for _, trial in rewards(animal.decisions)] == [1]


def test_neurons_have_no_part_in_an_open_loop() -> None:
    kind = {"kind": "open_loop", "course": {"step_s": 0.1}}
    at_rest = play(animal_of(kind), 400)
    active = play(animal_of(kind), 400, active_every=5)
    assert {d.angle_deg for d in at_rest} != {d.angle_deg for d in active}
    assert [(d.state, d.command, d.trial_end, d.reward) for d in at_rest] == [
        (d.state, d.command, d.trial_end, d.reward) for d in active
    ]
    assert set(outcomes(active)) == {Outcome.HIT, Outcome.MISS}


def test_walk_goes_by_one_step_from_zero_and_ends_at_the_target() -> None:
    walk = make_course(Course(step_s=1.0, seed=3), 1.0)
    for trial in range(1, 20):
        angles = [walk.at(trial, float(k))[0] for k in range(400)]
        reached = angles.index(90.0)
        assert angles[0] == 0.0
        assert set(np.abs(np.diff(angles[: reached + 1]))) == {15.0}
        assert set(angles[reached:]) == {90.0}
        assert angles == [walk.at(trial, k + 0.999)[0] for k in range(400)]


def test_half_of_the_walks_reach_the_target_in_a_trial_of_the_paper() -> None:
    walk = make_course(Course(), 1.0)
    hits = [walk.at(trial, 27.99)[1] for trial in range(1, 2001)]
    # 0.495 by the walk's transition matrix
    assert np.mean(hits) == pytest.approx(0.495, abs=0.035)


def test_declared_course_begins_again() -> None:
    course = make_course(Course(angles_deg=(0.0, 45.0), step_s=0.5), None)
    angles = [course.at(1, t)[0] for t in (0.0, 0.4, 0.5, 0.9, 1.0, 1.6)]
    assert angles == [0.0, 0.0, 45.0, 45.0, 0.0, 45.0]


def test_yoked_session_shows_hits_and_pays_what_was_recorded() -> None:
    animal = animal_of({"kind": "yoked", "recording": "somewhere"})
    play(animal, 50, active_every=3)
    assert animal.loop.state is S.WAITING, "no trial starts before the recording is there"
    animal.hears(RECORDED)
    play(animal, 100, active_every=3)
    decisions = animal.decisions
    assert shown(decisions, state=S.RUN) == [15.0] * 2 + [45.0] * 3 + [30.0] * 10
    assert outcomes(decisions) == [Outcome.HIT, Outcome.MISS]
    (end,) = [d.trial_end for d in decisions if d.trial_end and d.trial_end.trial == 1]
    assert end.time_to_hit_s == 0.5
    assert rewards(decisions) == [(end.stop_frame_id + 3, 1)]
    assert animal.loop.state is S.DONE, "the recorded trials are used up"


def test_hit_at_the_first_frame_is_played_back() -> None:
    played = Playback(PlaybackSet("m", "0", (PlayedTrial((0.0,), (90.0,), 0.0, None),), 0.0))
    assert played.at(1, 0.0) == (90.0, True)


@pytest.mark.parametrize("kind", ["closed_loop", "yoked"])
def test_playback_that_nothing_waits_for_is_refused(kind: str) -> None:
    session_type = {"kind": kind} | ({"recording": "x"} if kind == "yoked" else {})
    animal = animal_of(session_type)
    if kind == "yoked":
        assert kinds(animal.hears(RECORDED).ledger) == []
    decision = animal.hears(RECORDED)
    assert kinds(decision.ledger) == [LedgerKind.REFUSED]


def test_passive_session_shows_gratings_without_grey_and_without_hits() -> None:
    animal = animal_of({"kind": "passive"}, task={"session_s": 20.0})
    play(animal, 260, active_every=3)
    decisions = animal.decisions
    first = next(k for k, d in enumerate(decisions) if d.state is S.RUN)
    last = next(k for k, d in enumerate(decisions) if d.state is S.DONE)
    seen = [d.command for d in decisions[first:last] if d.command is not None]
    assert {command.screen for command in seen} == {ScreenKind.GRATING}
    assert 10 <= len(seen) <= 40, "each lasts 1 ± 0.5 s"
    assert len({command.orientation_deg for command in seen}) >= 5
    assert set(outcomes(decisions)) == {Outcome.NONE}
    assert rewards(decisions) == []


def test_passive_gratings_depend_on_the_seed_alone() -> None:
    def seen(seed: int, active_every: int) -> list[float]:
        animal = animal_of({"kind": "passive", "seed": seed}, task={"session_s": 20.0})
        return shown(play(animal, 200, active_every=active_every), state=S.RUN)

    assert seen(2, 0) == seen(2, 5)
    assert seen(2, 0) != seen(3, 0)
