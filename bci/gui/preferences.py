"""What the window remembers from one time to the next; nothing of it is needed to start."""

import logging
import os
from pathlib import Path

import msgspec
from PyQt6.QtCore import QRect, QStandardPaths, Qt
from PyQt6.QtGui import QGuiApplication

from bci.core.messages import NotAMessage, read_message
from bci.gui.steps.settings import SettingsPage
from bci.gui.window import OperatorWindow
from bci.recording.folder import replace_file

log = logging.getLogger("bci.gui")

FOLDER, FILE = "two-photon-bci", "window.json"
BROKEN_SUFFIX = ".broken"
FILES_KEPT = 8
DEFAULT_SIZE_PX = (1280, 800)
LEAST_SIZE_PX = (640, 400)
VISIBLE_PX = 80
"""So much of a window must lie on a screen for it to be found."""


class Preferences(msgspec.Struct, frozen=True):
    """What is remembered.

    Parameters
    ----------
    geometry
        Left, top, width, height of the window, px; None: as the desktop likes it.
    maximized
        Whether it filled the screen.
    unfolded
        Keys of the tables that stand open on the settings page.
    session_files
        Session files used last, the newest first.
    sound
        Whether a new alarm is heard.
    """

    geometry: tuple[int, int, int, int] | None = None
    maximized: bool = False
    unfolded: tuple[str, ...] = ()
    session_files: tuple[str, ...] = ()
    sound: bool = False

    def with_file(self, path: Path) -> "Preferences":
        """The same with a session file in front."""
        name = str(path.resolve())
        others = [other for other in self.session_files if other != name]
        files = (name, *others)[:FILES_KEPT]
        return msgspec.structs.replace(self, session_files=files)


_PREFERENCES = msgspec.json.Decoder(Preferences)


def preferences_file() -> Path:
    """Where they are kept: `~/.config/two-photon-bci` and the like, as the system has it."""
    place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericConfigLocation)
    return Path(place) / FOLDER / FILE


def read_preferences(path: Path) -> Preferences:
    """What was remembered; defaults where there is nothing or what there is cannot be read.

    A broken file is kept beside, under another name, and the log says so.
    """
    try:
        return read_message(_PREFERENCES, path.read_bytes())
    except FileNotFoundError:
        return Preferences()
    except (OSError, NotAMessage) as error:
        beside = path.with_name(path.name + BROKEN_SUFFIX)
        try:
            os.replace(path, beside)
            kept = f"kept as {beside}"
        except OSError as worse:
            kept = f"left where it is ({worse.strerror or worse})"
        log.warning("%s: no preferences of this program (%s), %s", path, error, kept)
        return Preferences()


def write_preferences(path: Path, preferences: Preferences) -> None:
    """Remember; where that fails, the log says so and nothing else happens."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, msgspec.json.format(msgspec.json.encode(preferences)) + b"\n")
    except OSError as error:
        log.warning("%s: preferences not written: %s", path, error)


def restore(window: OperatorWindow, preferences: Preferences) -> None:
    """Give a window, not shown yet, its place and size, where these lie on a screen of today.

    The settings page gets its open tables back, and the session files of before.
    """
    window.resize(*DEFAULT_SIZE_PX)
    if preferences.geometry is not None:
        left, top, width, height = preferences.geometry
        width, height = max(width, LEAST_SIZE_PX[0]), max(height, LEAST_SIZE_PX[1])
        wanted = QRect(left, top, width, height)
        if any(_is_seen(wanted, screen) for screen in _screens()):
            window.setGeometry(wanted)
    for page in window.pages:
        if isinstance(page, SettingsPage):
            page.form.offer([Path(name) for name in preferences.session_files])
            if preferences.unfolded:
                page.form.unfolded = preferences.unfolded
                page.form.root.unfold(preferences.unfolded)
    window.light_bar.sound.setChecked(preferences.sound)
    if preferences.maximized:
        window.setWindowState(window.windowState() | Qt.WindowState.WindowMaximized)


def remember(window: OperatorWindow, preferences: Preferences) -> Preferences:
    """Preferences as a window stands now, the other ones as they were."""
    place = window.normalGeometry() if window.isMaximized() else window.geometry()
    geometry = (place.x(), place.y(), place.width(), place.height())
    forms = [page.form for page in window.pages if isinstance(page, SettingsPage)]
    found = msgspec.structs.replace(
        preferences,
        geometry=geometry,
        maximized=window.isMaximized(),
        sound=window.light_bar.sound.isChecked(),
        unfolded=tuple(key for form in forms for key in form.root.unfolded),
    )
    file = window.day.session_file
    return found if file is None else found.with_file(file)


def _screens() -> list[QRect]:
    return [screen.availableGeometry() for screen in QGuiApplication.screens()]


def _is_seen(window: QRect, screen: QRect) -> bool:
    """Whether enough of a window lies on a screen, its title bar too."""
    shared = window.intersected(screen)
    top_is_on = screen.top() - 1 <= window.top() <= screen.bottom() - VISIBLE_PX
    return top_is_on and shared.width() >= VISIBLE_PX and shared.height() >= VISIBLE_PX
