"""PsychoPy without its traces: no files in the user's home, no prints, no warnings."""

import contextlib
import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_log = logging.getLogger("bci.stimulus.psychopy")

# the rig's screen is described by the settings, not by a file of PsychoPy's Monitor Center
_NO_MONITOR_FILE = "Monitor specification not found"


@dataclass(frozen=True)
class PsychoPy:
    """The parts of PsychoPy and pyglet that draw the screen."""

    Window: Any
    GratingStim: Any
    Monitor: Any
    gl_info: Any
    Display: Any


def import_psychopy() -> PsychoPy:
    """Import PsychoPy; DISPLAY must be set before, because pyglet opens it at import.

    PsychoPy reads preferences and monitors from the user's home and makes folders there. A rig is
    described by our settings alone, so it is shown an empty home that is gone afterwards.
    """
    # imported by PsychoPy, it tells the log how many threads it will not use
    logging.getLogger("numexpr").setLevel(logging.WARNING)
    with _empty_home(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        psychopy_logging = importlib.import_module("psychopy.logging")
        psychopy_logging.console.stream = _ToLogging()
        psychopy_logging.console.setLevel(psychopy_logging.WARNING)
        window = importlib.import_module("psychopy.visual.window")
        canvas = importlib.import_module("pyglet.canvas")
        return PsychoPy(
            Window=window.Window,
            GratingStim=importlib.import_module("psychopy.visual.grating").GratingStim,
            Monitor=importlib.import_module("psychopy.monitors").Monitor,
            gl_info=importlib.import_module("pyglet.gl").gl_info,
            Display=canvas.Display,
        )


class _ToLogging:
    """Where PsychoPy's log goes instead of stdout."""

    def write(self, text: str) -> None:
        if text.strip() and _NO_MONITOR_FILE not in text:
            _log.warning("%s", " ".join(text.split()))

    def flush(self) -> None:
        pass


@contextlib.contextmanager
def _empty_home() -> Iterator[None]:
    variable = "APPDATA" if sys.platform == "win32" else "HOME"
    with tempfile.TemporaryDirectory(prefix="bci-psychopy-", ignore_cleanup_errors=True) as home:
        shown = {variable: home, "PSYCHOPYNOPACKAGES": "1"}
        kept = {key: os.environ.get(key) for key in shown}
        os.environ.update(shown)
        try:
            yield
        finally:
            for key, value in kept.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value
