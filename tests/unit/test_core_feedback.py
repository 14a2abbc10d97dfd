"""What the animal sees and hears of the read-out: grating, tone, both, or nothing."""

from typing import Any

import numpy as np
import pytest
from core_session import Animal, animal_in, info_of, session_of, started
from hypothesis import given
from hypothesis import strategies as st

from bci.config import validate_session
from bci.config.feedback import Feedback
from bci.core.loop_types import TaskState
from bci.core.stimulus_types import ScreenKind, StimulusCommand
from bci.core.tone import ToneRule

S = TaskState
CONTINUOUS = {"angle_map": "continuous"}


def shown_in(kind: str, **tables: Any) -> dict[TaskState, set[tuple[ScreenKind, bool]]]:
    """Screen, and whether there was a tone, in every state of a session."""
    session, info = session_of(feedback={"kind": kind}, **tables), info_of()
    animal = Animal(started(session, info), info)
    newest: StimulusCommand | None = None
    found: dict[TaskState, set[tuple[ScreenKind, bool]]] = {}
    for k in range(200):
        decision = animal.acts(3.0 if k % 23 == 0 else 0.05 * (k % 5))
        newest = decision.command or newest
        if newest is not None:
            found.setdefault(decision.state, set()).add((newest.screen, newest.tone_hz > 0))
    return found


@pytest.mark.parametrize(
    ("kind", "run", "hit"),
    [
        ("visual", (ScreenKind.GRATING, False), (ScreenKind.FROZEN, False)),
        ("both", (ScreenKind.GRATING, True), (ScreenKind.FROZEN, True)),
        ("auditory", (ScreenKind.GREY, True), (ScreenKind.GREY, True)),
        ("off", (ScreenKind.GREY, False), (ScreenKind.GREY, False)),
    ],
)
def test_feedback_is_seen_and_heard_in_run_and_hit_alone(
    kind: str, run: tuple[ScreenKind, bool], hit: tuple[ScreenKind, bool]
) -> None:
    found = shown_in(kind)
    assert found[S.RUN] == {run}
    assert found[S.HIT] == {hit}
    assert found[S.GREY] == {(ScreenKind.GREY, False)}
    assert found[S.BLACK] == found[S.MISS] == {(ScreenKind.BLACK, False)}


def test_task_goes_on_without_feedback_as_with_it() -> None:
    def trials(kind: str) -> list[Any]:
        session, info = session_of(feedback={"kind": kind}), info_of()
        animal = Animal(started(session, info), info)
        for k in range(300):
            animal.acts(3.0 if k % 23 == 0 else 0.0)
        return [(d.state, d.s3, d.reward, d.trial_end) for d in animal.decisions]

    assert trials("off") == trials("visual") == trials("auditory")


def test_tone_follows_the_angle_and_stays_at_the_target_after_a_hit() -> None:
    animal = animal_in(S.RUN, session_of(feedback={"kind": "both"}, decoder=CONTINUOUS))
    rule = ToneRule(Feedback())
    tones = []
    for k in range(8):
        command = animal.acts(0.05 + 0.03 * k).command
        assert command is not None
        assert command.tone_hz == rule.tone_hz(command.orientation_deg)
        tones.append(command.tone_hz)
    assert tones == sorted(tones, reverse=True)
    assert tones[0] > tones[-1]
    hit = animal.until(S.HIT, activity=3.0).command
    assert hit is not None
    assert hit.tone_hz == pytest.approx(6000.0)


@pytest.mark.parametrize(("target", "at_0", "at_90"), [("low", 19000, 6000), ("high", 6000, 19000)])
def test_ends_of_the_range_are_0_degrees_and_the_target(
    target: Any, at_0: float, at_90: float
) -> None:
    rule = ToneRule(Feedback(target=target))
    assert rule.tone_hz(0.0) == pytest.approx(at_0)
    assert rule.tone_hz(90.0) == pytest.approx(at_90)
    assert rule.tone_hz(45.0) == pytest.approx(np.sqrt(6000.0 * 19000.0))


@given(st.floats(0, 90), st.floats(0, 90), st.sampled_from(["low", "high"]))
def test_equal_turns_are_equal_intervals_of_pitch(a: float, b: float, target: Any) -> None:
    rule = ToneRule(Feedback(target=target))
    octaves = np.log2(rule.tone_hz(a) / rule.tone_hz(b))
    whole = np.log2(rule.tone_hz(90.0) / rule.tone_hz(0.0))
    assert octaves == pytest.approx(whole * (a - b) / 90.0, abs=1e-9)


def test_course_of_an_open_loop_is_heard() -> None:
    course = {"angles_deg": [0.0, 45.0, 90.0], "step_s": 0.3}
    session = session_of(
        feedback={"kind": "auditory"}, session_type={"kind": "open_loop", "course": course}
    )
    info = info_of()
    animal = Animal(started(session, info), info)
    animal.rests()
    animal.until(S.HIT)
    rule = ToneRule(Feedback())
    tones = [d.command.tone_hz for d in animal.decisions if d.command and d.command.tone_hz]
    assert tones == [rule.tone_hz(angle) for angle in (0.0, 45.0, 90.0)]


@pytest.mark.parametrize(
    ("feedback", "rate_hz", "keys"),
    [
        ({"kind": "auditory"}, 44100.0, []),
        ({"kind": "auditory"}, 30000.0, ["experiment.feedback.highest_hz"]),
        ({"kind": "both", "lowest_hz": 20000.0}, 48000.0, ["experiment.feedback.lowest_hz"]),
        ({"kind": "visual", "lowest_hz": 20000.0}, 48000.0, []),
    ],
)
def test_tone_that_cannot_be_played_is_refused(
    feedback: dict[str, Any], rate_hz: float, keys: list[str]
) -> None:
    session = session_of(feedback={"kind": "visual"}).model_dump(mode="json", exclude_none=True)
    session["experiment"]["feedback"] = feedback
    session["rig"]["sound"]["sample_rate_hz"] = rate_hz
    _, faults = validate_session(session)
    assert [fault.key for fault in faults] == keys
