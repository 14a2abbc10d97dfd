"""Whatever is pressed, in whatever state: nothing breaks, nothing illegal reaches control."""

import random
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QAbstractButton, QApplication
from pytestqt.qtbot import QtBot
from running_session import DEMO, PATIENT_BOARD, SHORT
from valve import longest_open_s, openings
from waiting import WAIT_MS

from bci.core.loop_types import LedgerKind, Pause, Resume, Stop
from bci.gui.day import Day, Phase
from bci.gui.pages import make_window
from bci.gui.window import OperatorWindow
from bci.recording.session_record import SessionRecord
from bci.recording.verify import verify

SETS = (
    *SHORT,
    *PATIENT_BOARD,
    "rig.screen.backend=null",
    "rig.files_at_end=false",
    "experiment.task.session_s=2000",
    "rig.source.n_rois=200",
    # a busy computer is no microscope that stands still: control pauses at the monkey's word alone
    "experiment.faults.stall_s=60",
)
KEYS = (
    *(Qt.Key.Key_Space, Qt.Key.Key_R, Qt.Key.Key_L, Qt.Key.Key_N, Qt.Key.Key_B),
    *(Qt.Key.Key_Escape, Qt.Key.Key_Tab, Qt.Key.Key_X),
)
ENDING = (Qt.Key.Key_Return, Qt.Key.Key_T)
"""Keys that end the session while a stop is asked about; pressed at the end alone."""
MOST_OPEN_S = 0.5


KINDS = ("key", "key", "button", "page", "type", "resize", "alarm")


class Monkey:
    """Presses keys and buttons of a window that is shown, as chosen by a seed.

    Parameters
    ----------
    window
        The victim.
    seed
        Of what is chosen.
    inside
        How many times in ten it presses any button of the page that is shown, of whatever kind.
    """

    def __init__(self, window: OperatorWindow, seed: int, inside: int) -> None:
        self._window = window
        self._random = random.Random(seed)
        self._kinds = (*KINDS, *("inside",) * inside)
        self.n_actions = 0

    def act(self) -> None:
        """One action, and what it leads to at once."""
        self.n_actions += 1
        kind = self._random.choice(self._kinds)
        window, controls = self._window, self._window.controls
        if kind == "key":
            target = QApplication.focusWidget() or window
            QTest.keyClick(target, self._random.choice(KEYS))
        elif kind == "button":
            buttons: list[QAbstractButton] = [
                *(controls.pause, controls.reward, controls.light, controls.stop, controls.begin)
            ]
            # the mouse presses what is disabled, too
            QTest.mouseClick(self._random.choice(buttons), Qt.MouseButton.LeftButton)
        elif kind == "inside":
            found = [one for one in window.page.findChildren(QAbstractButton) if one.isVisible()]
            if found:
                QTest.mouseClick(self._random.choice(found), Qt.MouseButton.LeftButton)
        elif kind == "page":
            window.show_page(self._random.randrange(len(window.pages)))
        elif kind == "type" and not controls.is_asking:
            controls.note.setFocus()
            QTest.keyClicks(controls.note, self._random.choice(("ok", "r r r", " ")))
            controls.note.insert(self._random.choice(("", "µl é ∆")))
            QTest.keyClick(controls.note, Qt.Key.Key_Return)
        elif kind == "resize":
            size = self._random.choice(((900, 600), (1280, 800), (1920, 1080)))
            window.resize(*size)
        elif window.alarms.alarms:
            window.alarms.acknowledge(window.alarms.alarms[0])
        if controls.is_asking and self._random.random() < 0.5:
            QTest.keyClick(window, Qt.Key.Key_Escape)
        if self._random.random() < 0.2:
            self.leave_dialogs()

    def leave_dialogs(self) -> None:
        """Close what was opened on top of the window, and keeps keys and mouse from it."""
        while on_top := QApplication.activePopupWidget() or QApplication.activeModalWidget():
            on_top.close()


def run_monkey(qtbot: QtBot, day: Day, seed: int, n_actions: int, inside: int = 0) -> None:
    day.load(DEMO, SETS)
    window = make_window(day)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    monkey = Monkey(window, seed, inside)
    for _ in range(20 + 10 * inside):
        monkey.act()
        QTest.qWait(20)
    assert day.phase is Phase.SETTING_UP
    monkey.leave_dialogs()
    # whatever it made of the settings
    day.load(DEMO, SETS)
    window.show_page(0)
    window.controls.note.clearFocus()
    window.setFocus()
    assert window.controls.start.isEnabled(), window.controls.start.toolTip()
    QTest.mouseClick(window.controls.start, Qt.MouseButton.LeftButton)
    assert day.phase is Phase.STARTING
    last = None
    # how much is done in so many actions is the machine's affair: what is asserted has been done
    while last is None or monkey.n_actions < last or not has_done_enough(day):
        monkey.act()
        QTest.qWait(20)
        if last is None and day.model.is_begun:
            last = monkey.n_actions + n_actions
        assert day.phase in (Phase.STARTING, Phase.RUNNING), day.failure
    monkey.leave_dialogs()
    window.controls.note.clearFocus()
    qtbot.waitUntil(lambda: not window.controls.stop.toolTip())
    if not window.controls.is_asking:
        window.controls.stop.click()
    QTest.mouseClick(window.controls.stop_now, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: day.phase is Phase.ENDED, timeout=2 * WAIT_MS)
    # the way to another session may be among what it presses
    folder = day.folder
    for _ in range(20 + 10 * inside):
        monkey.act()
        QTest.qWait(20)
    monkey.leave_dialogs()
    refused = window.controls.refused
    window.close()
    assert folder is not None
    assert_well(folder, refused)


def has_done_enough(day: Day) -> bool:
    """Whether the session was paused and resumed, and a drop was given."""
    turns = sum(isinstance(event, Pause | Resume) for _, event in day.model.events)
    return turns >= 2 and day.folder is not None and openings(day.folder) >= 1


def assert_well(folder: Path, refused: int) -> None:
    record = SessionRecord.read(folder)
    asked = [timed.value.event for timed in record.events]
    assert sum(isinstance(event, Pause | Resume) for event in asked) >= 2
    assert sum(isinstance(event, Stop) for event in asked) == 1
    illegal = [timed.value for timed in record.ledger if timed.value.kind is LedgerKind.REFUSED]
    assert (illegal, refused) == ([], 0)
    assert record.manifest.outcome["ok"], record.manifest.outcome
    assert openings(folder) >= 1
    assert longest_open_s(folder) <= MOST_OPEN_S
    verdict = verify(folder)
    assert verdict.ok, verdict


@pytest.mark.timeout(400)
def test_random_actions_leave_the_session_well(qtbot: QtBot, day: Day) -> None:
    run_monkey(qtbot, day, seed=1, n_actions=100)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2, 5))
def test_thousands_of_random_actions_on_every_button_of_every_page(
    qtbot: QtBot, day: Day, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no file manager, no browser
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: True)
    run_monkey(qtbot, day, seed, n_actions=3000, inside=3)
