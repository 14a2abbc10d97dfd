"""Widgets without a screen; nothing of a window may be left behind."""

import gc
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

# read when the first QApplication is made
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PyQt6")

import pytest
from PyQt6.QtCore import QCoreApplication, QEvent
from PyQt6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot
from support.made_once import made_once
from waiting import WAIT_MS, until
from window_session import make_session

from bci.gui.day import Day

WAITS = ("waitUntil", "waitSignal", "waitSignals", "waitActive", "waitExposed")


def settle() -> None:
    """Let every widget that was given up be deleted."""
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QCoreApplication.processEvents()


@pytest.fixture(scope="session", autouse=True)
def preferences_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Windows neither read nor change what the user of this computer likes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def nothing_left_open(qapp: QApplication) -> Iterator[None]:
    """Fails where a test leaves a top-level widget behind."""
    settle()
    # kept: what is known again must not have been thrown away meanwhile
    before = QApplication.topLevelWidgets()
    yield
    settle()
    left = [
        widget
        for widget in QApplication.topLevelWidgets()
        # pyqtgraph makes menus that have no parent and go with their plot
        if widget not in before and not isinstance(widget, QMenu)
    ]
    assert not left, f"left open: {left}"


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """Waits for everything as long as a busy computer may take, and not for five seconds."""
    bot = QtBot(request)
    for name in WAITS:
        setattr(bot, name, partial(getattr(bot, name), timeout=WAIT_MS))
    return bot


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    """A day of no session yet; one that it starts is over when the test is."""
    day = Day(root=tmp_path)
    yield day
    launch = day.launch
    if launch is not None and launch.exit_code() is None:
        os.kill(launch.pid, signal.SIGTERM)
    day.close()
    until(lambda: all(launch.exit_code() is not None for launch in day.ending))


@pytest.fixture(scope="session")
def finished_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a session that is over; to be read alone."""
    return made_once(tmp_path_factory, "session", make_session)
