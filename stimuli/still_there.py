"""Whether a window still exists: one that was closed from outside takes pictures and shows none.

Drivers tell of it or do not, by chance.
"""

import ctypes
import importlib
import sys
from collections.abc import Callable
from typing import Any

PERIOD_NS = 1_000_000_000


class StillThere:
    """Asks now and then.

    Parameters
    ----------
    exists
        Asks the window's owner; `window_exists` knows how.
    """

    def __init__(self, exists: Callable[[], bool]) -> None:
        self._exists = exists
        self._next_ns = 0

    def turn(self, now_ns: int) -> bool:
        """To be called at every flip, with `time.perf_counter_ns`; asks once a second."""
        if now_ns < self._next_ns:
            return True
        self._next_ns = now_ns + PERIOD_NS
        return self._exists()


def window_exists(window: Any) -> Callable[[], bool]:
    """How to ask whether a window exists, on the system that this is; X servers alone are asked.

    Parameters
    ----------
    window
        pyglet's, which lets errors of the X server pass.
    """
    if sys.platform in ("win32", "darwin"):
        return lambda: True
    xlib: Any = importlib.import_module("pyglet.libs.x11.xlib")
    attributes = xlib.XWindowAttributes()
    connection, number = window._x_display, window._window

    def exists() -> bool:
        found = xlib.XGetWindowAttributes(connection, number, ctypes.byref(attributes))
        return bool(found)

    return exists
