from pathlib import Path
from threading import Event

import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO
from waiting import WAIT_S
from window_session import TRIED

from bci.gui.day import Day
from bci.gui.preflight_run import PreflightRun
from bci.gui.steps.rig import QUICK_ALONE, RigStep
from bci.gui.theme import Light
from bci.recording.manifest import read_manifest
from bci.session.check import Check, Status, Trial

NULL = ("rig.screen.backend=null",)


@pytest.fixture
def step(qtbot: QtBot, day: Day) -> RigStep:
    day.load(DEMO, NULL)
    step = RigStep(day)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    day.ticked.connect(step.refresh)
    step.show()
    return step


def test_quick_checks_are_made_at_once_and_all_of_them_when_asked(
    qtbot: QtBot, day: Day, step: RigStep
) -> None:
    qtbot.waitUntil(lambda: step.run.complete)
    assert step.status().light in (Light.WARN, Light.FAIL)
    assert "stream" not in step.run.found
    qtbot.waitUntil(step.try_button.isEnabled)
    step.try_button.click()
    qtbot.waitUntil(lambda: bool(day.preflight))
    found = {check.name: check for check in day.preflight}
    assert {"stream", "rate", "dark level", "board", "screen", "light leak", "disk"} <= set(found)
    assert found["rate"].status is Status.OK
    step.refresh()
    shown = step.checks.texts()
    assert "ROI hash" in shown["stream"]
    assert "weigh drops" in shown["valve"]
    assert step.status().reason != QUICK_ALONE


def test_checks_that_wait_for_a_thread_are_being_made(qtbot: QtBot, day: Day) -> None:
    free = Event()
    for _ in range(2):
        day.work(lambda: free.wait(WAIT_S), lambda _, __: None)
    day.load(DEMO, NULL)
    step = RigStep(day)
    qtbot.addWidget(step)
    day.ticked.connect(step.refresh)
    first = step.run
    assert not step.try_button.isEnabled()
    step.try_everything()
    assert step.run is first
    free.set()
    qtbot.waitUntil(step.try_button.isEnabled)
    assert first.complete


def test_faults_of_the_settings_are_told_and_nothing_is_tried(day: Day, step: RigStep) -> None:
    day.load(DEMO, ["experiment.task.trial_s=-1"])
    assert step.status().light is Light.FAIL
    assert "experiment.task.trial_s" in step.status().reason
    assert "experiment.task.trial_s" in step.about.text()
    step.refresh()
    assert not step.try_button.isEnabled()
    step.try_everything()
    assert not step.run.names


def test_a_check_that_breaks_takes_no_other_with_it() -> None:
    def broken() -> Check:
        raise RuntimeError("no such thing")

    well = Check("well", Status.OK, "fine")
    run = PreflightRun([Trial("broken", broken), Trial("well", lambda: well)])
    run.run()
    assert run.complete
    assert run.worst is Status.FAIL
    assert "no such thing" in run.found["broken"].message
    assert run.found["well"] is well


def test_a_pre_flight_is_complete_once_nothing_is_being_tried() -> None:
    well = Check("well", Status.OK, "fine")
    run = PreflightRun([Trial("well", lambda: well)])
    run.found["well"], run.current = well, "well"
    assert not run.complete
    run.run()
    assert run.complete


def test_what_was_tried_is_stored_with_the_session_and_shown_again(
    qtbot: QtBot, day: Day, step: RigStep, finished_session: Path
) -> None:
    stored = read_manifest(finished_session).preflight
    assert {"python", "disk", "light leak"} <= {check["name"] for check in stored}
    day.attach(finished_session)
    step.refresh()
    assert TRIED.message in step.checks.texts()["light leak"]
    assert step.status().light in (Light.WARN, Light.FAIL)
    assert not step.run.current
