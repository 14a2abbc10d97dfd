"""What the animal sees in the baseline block."""

from typing import Any

import numpy as np
import pytest
from core_session import Animal, frame_of, info_of, session_of, started

from bci.config.experiment import Baseline
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Decision, Pause, Resume, Start, TaskState
from bci.core.passive_gratings import ANGLES_DEG, PassiveGratings
from bci.core.stimulus_types import ScreenKind


def animal_before(gratings: dict[str, Any], rate_hz: float = 20.0, first_id: int = 0) -> Animal:
    session = session_of(baseline_s=40.0, baseline={"stimulus": "gratings"} | gratings)
    info = info_of(rate_hz=rate_hz)
    animal = Animal(started(session, info), info)
    animal.next_id = first_id
    return animal


def shown(decisions: list[Decision]) -> list[tuple[int, float]]:
    """Frame and angle of every change of the grating."""
    return [
        (d.frame_id, d.command.orientation_deg)
        for d in decisions
        if d.command is not None and d.command.screen is ScreenKind.GRATING
    ]


def expected(seed: int, rate_hz: float, n_frames: int) -> list[float]:
    """Angle at every frame, read from the description."""
    rng = np.random.default_rng(seed)
    angles = 15.0 * rng.integers(0, 7, size=81)
    ends = np.cumsum(rng.uniform(0.5, 1.5, size=81))
    return [float(angles[int(np.sum(ends <= k / rate_hz))]) for k in range(n_frames)]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("first_id", [0, 123_456])
def test_gratings_are_those_of_the_seed_at_their_frame_times(seed: int, first_id: int) -> None:
    animal = animal_before({"seed": seed}, first_id=first_id)
    animal.rests(790)
    # an id far ahead is believed once three more have followed
    begins = first_id + 3 if first_id else 0
    angles = expected(seed, 20.0, 790 - (begins - first_id))
    changes = [
        (begins + k, angle) for k, angle in enumerate(angles) if k == 0 or angle != angles[k - 1]
    ]
    # the first is shown from the start on, before the first frame
    assert shown(animal.decisions)[-len(changes) + 1 :] == changes[1:]
    assert animal.decisions[-1].state is TaskState.BASELINE


def test_first_grating_is_shown_from_the_start_on() -> None:
    session = session_of(baseline_s=40.0, baseline={"stimulus": "gratings", "seed": 3})
    loop = ClosedLoop(session, info_of())
    command = loop.apply(Start()).command
    assert command is not None
    assert command.screen is ScreenKind.GRATING
    assert command.orientation_deg == expected(3, 10.0, 1)[0]
    assert loop.step(frame_of(info_of(), 0, [1.0, 2.0, 3.0, 4.0])).command is None


def test_lost_frames_use_up_the_time_of_gratings() -> None:
    whole, lossy = animal_before({}), animal_before({})
    whole.rests(700)
    lossy.rests(100)
    lossy.loses(50)
    lossy.rests(550)
    late = [change for change in shown(whole.decisions) if change[0] > 200]
    assert [change for change in shown(lossy.decisions) if change[0] > 200] == late
    assert late


def test_pause_is_grey_and_the_gratings_go_on_where_they_were() -> None:
    whole, paused = animal_before({}), animal_before({})
    whole.rests(700)
    paused.rests(301)
    told = paused.hears(Pause()).command
    assert told is not None
    assert told.screen is ScreenKind.GREY
    paused.rests(60)
    paused.hears(Resume())
    paused.rests(300)
    after = [(frame, angle) for frame, angle in shown(whole.decisions) if 305 < frame < 590]
    later = [(frame - 60, angle) for frame, angle in shown(paused.decisions)]
    assert after
    assert set(after) <= set(later)


def test_static_unless_a_drift_is_asked_for_and_no_drift_of_the_task() -> None:
    for freq_hz in (0.0, 2.0):
        session = session_of(
            baseline_s=40.0,
            baseline={"stimulus": "gratings", "temporal_freq_hz": freq_hz},
            stimulus={"temporal_freq_hz": 5.0},
        )
        animal = Animal(started(session, info_of()), info_of())
        animal.rests(300)
        found = {d.command.temporal_freq_hz for d in animal.decisions if d.command is not None}
        assert found == {freq_hz}


def test_grey_baseline_shows_no_grating() -> None:
    session = session_of(baseline_s=40.0)
    animal = Animal(started(session, info_of()), info_of())
    animal.rests(300)
    assert not shown(animal.decisions)


def test_unreadable_frames_do_not_stop_the_gratings() -> None:
    info = info_of(rate_hz=20.0)
    whole, spoilt = animal_before({}), animal_before({})
    whole.rests(500)
    for frame_id in range(500):
        values = spoilt.values(frame_id, 0.0)
        if 100 <= frame_id < 110:
            values = [np.nan] * 4
        spoilt.take(frame_of(info, frame_id, values))
    assert shown(whole.decisions) == shown(spoilt.decisions)


def test_every_angle_comes_about_as_often_as_any_other() -> None:
    gratings = PassiveGratings(Baseline(duration_s=7000.0, stimulus="gratings"))
    seen = [gratings.angle_deg(t) for t in np.arange(0.0, 7000.0, 0.1).tolist()]
    shares = [seen.count(angle) / len(seen) for angle in ANGLES_DEG]
    assert shares == pytest.approx([1 / 7] * 7, abs=0.02)


def test_grey_is_shown_after_the_block() -> None:
    animal = animal_before({})
    animal.rests(801)
    assert animal.loop.state is TaskState.WAITING
    told = [d.command for d in animal.decisions if d.command is not None]
    assert told[-1].screen is ScreenKind.GREY
