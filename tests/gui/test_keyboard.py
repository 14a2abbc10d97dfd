"""Space pauses and Esc stops although the animal's screen took the keyboard."""

from pathlib import Path

from msgspec.structs import replace
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.core.stimulus_types import ScreenHello
from bci.gui.day import Day, Phase
from bci.gui.pages import make_window
from bci.gui.steps.rig import RigStep

SCREEN = ScreenHello("psychopy", "llvmpipe", ":0", 800, 600, 60.0, False)


def test_the_window_takes_the_keyboard_back_from_a_screen_that_has_opened(
    qtbot: QtBot, tmp_path: Path
) -> None:
    window = make_window(Day(DEMO, root=tmp_path))
    qtbot.addWidget(window)
    other = QWidget()
    qtbot.addWidget(other)
    day = window.day
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    # what opens no screen takes no keyboard from anybody: the quick checks of the rig are over
    (rig,) = (page for page in window.pages if isinstance(page, RigStep))
    qtbot.waitUntil(rig.try_button.isEnabled)
    day.phase = Phase.RUNNING
    for hello in (SCREEN, replace(SCREEN)):
        with qtbot.waitActive(other):
            other.show()
            other.activateWindow()
        # what else the operator does on this computer is left alone
        window._look_around()
        # asked for, it would be given by then
        with qtbot.waitSignals([day.ticked] * 3):
            pass
        assert other.isActiveWindow()
        day.model.screen = hello
        qtbot.waitUntil(window.isActiveWindow)
        window.keyboard._until_s = 0.0
    day.phase = Phase.SETTING_UP
    window.close()
