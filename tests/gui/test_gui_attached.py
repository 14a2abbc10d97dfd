"""A window on a running session: blocks begun by hand, what dies, and the end of the supervisor."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot
from running_session import DEMO, PATIENT_BOARD, SHORT, RunningSession, sets

from bci.core.loop_types import TaskState
from bci.gui.day import Day, Phase
from bci.gui.pages import make_window
from bci.gui.theme import Light
from bci.gui.window import OperatorWindow
from bci.recording.manifest import finish_manifest

SETTINGS = (
    *SHORT,
    *PATIENT_BOARD,
    "experiment.hold=true",
    "experiment.task.session_s=600",
    "rig.screen.backend=null",
    "experiment.faults.stall_s=60",
)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RunningSession]:
    with RunningSession("run", DEMO, *sets(SETTINGS), out=tmp_path) as session:
        session.wait_for_state("WAITING")
        yield session


@pytest.fixture
def window(session: RunningSession, qtbot: QtBot) -> OperatorWindow:
    day = Day(root=session.folder.parent.parent)
    day.attach(session.folder)
    window = make_window(day)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    window.show_session()
    return window


@pytest.mark.timeout(400)
def test_blocks_begin_by_hand_and_what_dies_is_told(
    session: RunningSession, window: OperatorWindow, qtbot: QtBot
) -> None:
    day, controls, wait = window.day, window.controls, qtbot.waitUntil

    def alarms() -> dict[str, bool]:
        """Key of each alarm, and whether it is over."""
        return {alarm.key: alarm.over_ns is not None for alarm in window.alarms.alarms}

    def lamp(name: str) -> Light:
        return window.light_bar.shown[name].light

    wait(controls.begin.isVisible)
    assert "baseline" in controls.begin.text()
    QTest.keyClick(window, Qt.Key.Key_B)
    assert not controls.begin.isVisible()
    wait(controls.begin.isVisible)
    assert "trials" in controls.begin.text()
    QTest.mouseClick(controls.begin, Qt.MouseButton.LeftButton)
    wait(lambda: day.model.state is TaskState.RUN)
    # a busy computer may have kept control silent for a while
    assert not {"board_lost", "process_died", "supervisor"} & set(alarms())
    # the board's process dies, and comes back
    session.kill(session.pid_of("board"))
    wait(lambda: alarms().get("board_lost") is True)
    wait(lambda: lamp("board") is Light.OK)
    wait(lambda: "process_died" in alarms())
    while alarms():
        window.alarm_strip.refresh(day.model.start)
        QTest.mouseClick(window.alarm_strip.lines[0], Qt.MouseButton.LeftButton)
    # the supervisor dies: control ends the session in order, and the window reads how
    session.kill(session.process.pid)
    wait(lambda: day.phase is Phase.ENDED)
    assert "supervisor" in alarms()
    assert day.model.end is not None
    assert day.model.state is TaskState.DONE
    assert not controls.stop.isEnabled()
    assert controls.refused == 0
    # its files are written by hand later on
    finish_manifest(session.folder, {"ok": True, "reason": "recovered"})
    wait(lambda: day.manifest is not None and bool(day.manifest.outcome))
