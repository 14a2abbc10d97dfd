"""Whether the animal's screen and the operator's window lie on each other."""

import os
from collections.abc import Sequence

from PyQt6.QtCore import QRect
from PyQt6.QtGui import QGuiApplication, QScreen
from PyQt6.QtWidgets import QWidget

from bci.config.rig import Screen
from bci.session.check import Check, Status

NAME = "monitors"
NOT_SHOWN = Check(NAME, Status.OK, "known once this window is shown")


def look_at_monitors(screen: Screen, window: QWidget) -> Check:
    """The check of this window, where it is now."""
    own = window.screen()
    if own is None or not window.isVisible():
        return NOT_SHOWN
    if screen.backend == "null":
        return Check(NAME, Status.OK, "no screen is opened for the animal")
    if screen.display not in (None, os.environ.get("DISPLAY")):
        return Check(NAME, Status.OK, f"the animal's screen is on {screen.display}, this is not")
    monitors = [_in_pixels(each.geometry(), each) for each in QGuiApplication.screens()]
    return check_monitors(screen, _in_pixels(window.frameGeometry(), own), monitors)


def check_monitors(screen: Screen, window: QRect, monitors: Sequence[QRect]) -> Check:
    """Compare what the animal's screen will cover with the operator's window.

    Parameters
    ----------
    screen
        Settings of the animal's screen.
    window, monitors
        In pixels of the desktop; monitors in the order of `screen_index`.
    """
    if screen.screen_index >= len(monitors):
        return Check(
            NAME,
            Status.FAIL,
            f"rig.screen.screen_index = {screen.screen_index}, monitors: {len(monitors)}, counted "
            "from 0",
            "connect the animal's screen, or set rig.screen.screen_index",
        )
    on = monitors[screen.screen_index]
    grating = _covered(screen, on)
    where = f"{grating.width()} × {grating.height()} at {grating.x()}, {grating.y()}"
    if not grating.intersects(window):
        return Check(NAME, Status.OK, f"the animal's screen ({where}) and this window lie apart")
    others = [index for index, each in enumerate(monitors) if index != screen.screen_index]
    if not others:
        return Check(
            NAME,
            Status.WARN,
            f"there is one monitor: the animal's screen ({where}) and this window lie on each "
            "other",
            "connect a second monitor and set rig.screen.screen_index = 1; for a trial without an "
            "animal move this window beside it",
        )
    free = [index for index in others if not monitors[index].intersects(window)]
    other = f"set rig.screen.screen_index = {free[0]}, or " if free else ""
    return Check(
        NAME,
        Status.WARN,
        f"the animal's screen (monitor {screen.screen_index}, {where}) and this window lie on "
        "each other",
        f"{other}move this window to monitor {others[0]}: the animal sees one, you the other",
    )


def _covered(screen: Screen, monitor: QRect) -> QRect:
    """What the animal's screen covers: it opens in the middle of its monitor."""
    if screen.fullscreen:
        return monitor
    covered = QRect(0, 0, screen.width_px, screen.height_px)
    covered.moveCenter(monitor.center())
    return covered


def _in_pixels(rect: QRect, screen: QScreen) -> QRect:
    """A rectangle on a screen in its pixels; Qt tells sizes in points where a desktop is scaled."""
    origin, ratio = screen.geometry().topLeft(), screen.devicePixelRatio()
    inside = rect.topLeft() - origin
    return QRect(
        origin.x() + round(inside.x() * ratio),
        origin.y() + round(inside.y() * ratio),
        round(rect.width() * ratio),
        round(rect.height() * ratio),
    )
