"""The animal's screen is not switched off for want of a key press."""

import ctypes
import importlib
import sys
from collections.abc import Callable
from typing import Any

PERIOD_NS = 30_000_000_000
_ES_DISPLAY_REQUIRED = 0x2


class Awake:
    """Tells the system now and then that somebody is there, as a key press would.

    Screen savers and the power saving of monitors count from the last input; a session of an hour
    has none. What they are set to is left alone, and counts again once the window has gone.

    Parameters
    ----------
    reset_idle
        Starts the count again; `idle_reset` knows how.
    """

    def __init__(self, reset_idle: Callable[[], object]) -> None:
        self._reset_idle = reset_idle
        self._next_ns = 0

    def turn(self, now_ns: int) -> None:
        """To be called at every flip, with `time.perf_counter_ns`; acts twice a minute."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + PERIOD_NS
            self._reset_idle()


def idle_reset(window: Any) -> Callable[[], object]:
    """What starts the count of idle time again, on the system that this is; may be nothing.

    Parameters
    ----------
    window
        pyglet's, whose connection to an X server is used.
    """
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        return lambda: kernel.SetThreadExecutionState(_ES_DISPLAY_REQUIRED)
    if sys.platform == "darwin":
        return lambda: None
    xlib: Any = importlib.import_module("pyglet.libs.x11.xlib")
    connection = window._x_display
    return lambda: xlib.XResetScreenSaver(connection)
