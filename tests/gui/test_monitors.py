"""The operator is told where the window and the animal's screen lie on each other."""

from pathlib import Path

import pytest
from PyQt6.QtCore import QRect
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.config.rig import Screen
from bci.gui.day import Day
from bci.gui.monitors import NOT_SHOWN, check_monitors, look_at_monitors
from bci.gui.steps.rig import RigStep
from bci.session.check import Status

LEFT, RIGHT = QRect(0, 0, 1920, 1080), QRect(1920, 0, 1280, 1024)
ON_THE_LEFT, ON_THE_RIGHT = QRect(300, 100, 1280, 800), QRect(1920, 0, 1280, 800)


@pytest.mark.parametrize(
    ("index", "window", "status", "solution"),
    [
        (0, ON_THE_LEFT, Status.WARN, "rig.screen.screen_index = 1"),
        (0, ON_THE_RIGHT, Status.OK, ""),
        (1, ON_THE_LEFT, Status.OK, ""),
        (1, ON_THE_RIGHT, Status.WARN, "rig.screen.screen_index = 0, or move this window to"),
        # across both: another index would not help
        (1, QRect(1500, 0, 1280, 800), Status.WARN, "move this window to monitor 0"),
        (2, ON_THE_LEFT, Status.FAIL, "set rig.screen.screen_index"),
    ],
)
def test_of_two_monitors_the_animal_has_one(
    index: int, window: QRect, status: Status, solution: str
) -> None:
    found = check_monitors(Screen(screen_index=index), window, [LEFT, RIGHT])
    assert found.status is status
    assert solution in found.solution


def test_on_one_monitor_a_window_beside_the_grating_is_well() -> None:
    small = Screen(width_px=400, height_px=300)
    beside = QRect(0, 0, 700, 1080)
    assert check_monitors(small, beside, [LEFT]).status is Status.OK
    found = check_monitors(small.model_copy(update={"fullscreen": True}), beside, [LEFT])
    assert found.status is Status.WARN
    assert "one monitor" in found.message
    assert "connect a second monitor" in found.solution


def test_where_the_window_is_now_counts(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    own = window.screen()
    assert own is not None
    whole = own.geometry()
    small = Screen(width_px=whole.width() // 4, height_px=whole.height() // 4)
    assert look_at_monitors(small, window) == NOT_SHOWN
    window.setGeometry(whole)
    with qtbot.waitExposed(window):
        window.show()
    assert look_at_monitors(small, window).status is Status.WARN
    window.setGeometry(whole.x(), whole.y(), whole.width() // 8, whole.height() // 8)
    qtbot.waitUntil(lambda: look_at_monitors(small, window).status is Status.OK)
    past_the_last = Screen(screen_index=len(QGuiApplication.screens()))
    assert look_at_monitors(past_the_last, window).status is Status.FAIL
    assert look_at_monitors(Screen(display=":93"), window).status is Status.OK
    assert look_at_monitors(Screen(backend="null"), window).status is Status.OK


def test_the_rig_page_follows_the_window(qtbot: QtBot, tmp_path: Path) -> None:
    day = Day(DEMO, ("rig.screen.width_px=100", "rig.screen.height_px=100"), root=tmp_path)
    step = RigStep(day)
    qtbot.addWidget(step)
    day.ticked.connect(step.refresh)
    try:
        own = step.screen()
        assert own is not None
        whole = own.geometry()
        step.setGeometry(whole)
        step.show()
        qtbot.waitUntil(lambda: "lie on each other" in step.checks.texts().get("monitors", ""))
        step.move(whole.right() - 20, whole.bottom() - 20)
        qtbot.waitUntil(lambda: "lie apart" in step.checks.texts()["monitors"])
    finally:
        day.close()
