from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.core.loop_types import TaskState
from bci.gui.day import Day, Phase
from bci.gui.replay.player import Player
from bci.gui.steps.baseline import NO_BLOCK, NOT_BEGUN, RECORDED, BaselineStep
from bci.gui.theme import Light
from bci.stream.telemetry import Telemetry


@pytest.fixture
def step(qtbot: QtBot, finished_session: Path) -> Iterator[BaselineStep]:
    day = Day(DEMO, root=finished_session.parent.parent)
    step = BaselineStep(day)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    day.ticked.connect(step.refresh)
    step.resize(1200, 560)
    step.show()
    yield step
    day.close()


def test_before_the_session_there_is_nothing_to_score(qtbot: QtBot, step: BaselineStep) -> None:
    with qtbot.waitSignal(step.day.ticked):
        pass
    assert step.status() == (Light.IDLE, NOT_BEGUN)
    step.score()
    assert not step.day.scoring.busy


def test_the_baseline_of_a_session_is_told_and_scored(
    qtbot: QtBot, step: BaselineStep, finished_session: Path
) -> None:
    step.day.attach(finished_session)
    qtbot.waitUntil(lambda: step.status() == (Light.OK, RECORDED))
    qtbot.waitUntil(lambda: "T 0." in step.about.text())
    qtbot.waitUntil(step.score_button.isEnabled)
    assert "frames lost" in step.about.text()
    assert not step.again_button.isEnabled()
    step.score_button.click()
    qtbot.waitUntil(lambda: step.day.scoring.scored is not None)
    # the ROIs of the decoded plane
    assert step.table.n_rows == 20
    assert not step.day.scoring.busy


def test_while_it_is_recorded_it_cannot_be_scored(
    qtbot: QtBot, step: BaselineStep, finished_session: Path
) -> None:
    day, player = step.day, Player(finished_session)
    player.index.read()
    player.go_to(player.length_s)
    rows = player.model.decisions.rows
    recorded = rows[rows["state"] == TaskState.BASELINE]
    middle_ns = recorded["t_ns"][len(recorded) // 2]
    player.go_to(1e-9 * (middle_ns - player.index.start_ns))
    assert player.model.state is TaskState.BASELINE
    day.phase, day.folder, day.model = Phase.RUNNING, finished_session, player.model
    player.model.take_telemetry(Telemetry(0, "BASELINE", progress=0.5))
    step.session_changed()
    qtbot.waitUntil(lambda: step.head.text() == "Baseline 0:10 of 0:20")
    assert step.status() == (Light.WARN, "50 % recorded")
    assert not step.score_button.isEnabled()
    assert "median F" in step.about.text()
    player.close()


def test_a_session_without_a_baseline_says_so(step: BaselineStep) -> None:
    step.day.load(DEMO.with_name("aind-velocity.toml"))
    assert not step.day.faults
    assert step.status() == (Light.IDLE, NO_BLOCK)
