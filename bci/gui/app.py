"""The process of the operator window."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtWidgets import QApplication

from bci.gui.day import Day, Phase
from bci.gui.pages import make_window
from bci.gui.preferences import (
    preferences_file,
    read_preferences,
    remember,
    restore,
    write_preferences,
)
from bci.program import identity
from bci.session.day import DayOptions
from bci.session.interrupts import on_interrupt

NICE = 5
"""The loop, the screen and the journal go first."""

log = logging.getLogger("bci.gui")


def screen_missing() -> bool:
    """Whether there is no screen that a window could open on."""
    if sys.platform in ("win32", "darwin") or os.environ.get("QT_QPA_PLATFORM"):
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def application() -> QApplication:
    """The one Qt application of this process."""
    known = QApplication.instance()
    if isinstance(known, QApplication):
        return known
    app = QApplication(sys.argv[:1])
    app.setApplicationName("two-photon-bci")
    app.setStyle("Fusion")
    return app


def run_session_window(
    session_file: Path,
    sets: Sequence[str],
    root: Path,
    duration_s: float | None = None,
    verb: Sequence[str] = ("run",),
    options: DayOptions | None = None,
) -> Day:
    """Set up, start and watch sessions until the window is closed.

    Parameters
    ----------
    session_file, sets, root, duration_s, verb, options
        As in `Day`.

    Returns
    -------
    Day
        As it stood when the window was closed.
    """
    app = application()
    return _run(app, Day(session_file, sets, root, duration_s, verb, options))


def run_attached_window(folder: Path) -> Day:
    """Watch the session of a folder, running or over, until the window is closed.

    Raises
    ------
    NoManifest
        Where the folder holds no session.
    """
    app = application()
    day = Day(root=folder.resolve().parent.parent)
    day.attach(folder)
    return _run(app, day)


def _run(app: QApplication, day: Day) -> Day:
    if hasattr(os, "nice"):
        os.nice(NICE)
    # now: the sessions that this window starts are to run the code that it runs
    identity()
    window, file = make_window(day), preferences_file()
    preferences = read_preferences(file)
    restore(window, preferences)
    window.show()
    if day.phase is Phase.RUNNING:
        window.show_session()
    elif day.phase is Phase.ENDED:
        window.show_page([page.title for page in window.pages].index("Replay"))
    with on_interrupt(app.quit):
        app.exec()
    write_preferences(file, remember(window, preferences))
    day.close()
    return day
