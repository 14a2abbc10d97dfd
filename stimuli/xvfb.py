"""An X server of our own, where the machine has no screen."""

import contextlib
import logging
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from typing import IO

from bci.stimuli.backend import ScreenError

_log = logging.getLogger("bci.stimulus")

# Linux sends the signal to Xvfb when we die, kill -9 included; the parent is looked at afterwards
# because it may have died before the request.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
_START_S = 10.0
_END_S = 2.0


def needs_xvfb(display: str | None) -> bool:
    """Tell whether a window could only open on an X server of our own.

    Parameters
    ----------
    display
        `rig.screen.display`.
    """
    has_x11 = sys.platform not in ("win32", "darwin")
    return has_x11 and display is None and not os.environ.get("DISPLAY")


class Xvfb:
    """An X server without a screen; it ends with `stop`, with us, or with its last window.

    Parameters
    ----------
    width_px, height_px
        Size of its only screen.

    Raises
    ------
    ScreenError
        Where it cannot be started.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        program = shutil.which("Xvfb")
        if program is None:
            raise ScreenError(
                "rig.screen.display: there is no DISPLAY and no Xvfb to make one. "
                "Install xvfb, or set rig.screen.display."
            )
        server = [
            program,
            *("-displayfd", "1"),
            *("-screen", "0", f"{width_px}x{height_px}x24"),
            *("-nolisten", "tcp", "-terminate", "-nocursor"),
        ]
        if sys.platform == "linux":
            server = [
                *(sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())),
                *server,
            ]
        with tempfile.TemporaryFile() as errors:
            # a session of its own: Ctrl-C ends the window first, not the server under it
            self._process = subprocess.Popen(
                server,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            try:
                self.display = f":{self._read_number(errors)}"
            except BaseException:
                self.stop()
                raise
        _log.info("no DISPLAY: started Xvfb on %s", self.display)

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def stop(self) -> None:
        """End the server; a second call does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read_number(self, errors: IO[bytes]) -> int:
        """The display number that the server writes once it listens."""
        pipe = self._process.stdout
        assert pipe is not None
        text = b""
        deadline_s = time.monotonic() + _START_S
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not text.endswith(b"\n"):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not selector.select(left_s):
                    raise ScreenError(f"Xvfb did not come up within {_START_S:g} s.")
                piece = os.read(pipe.fileno(), 64)
                if not piece:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(_END_S)
                    errors.seek(0)
                    why = errors.read().decode(errors="replace").strip() or "it said nothing"
                    raise ScreenError(
                        f"Xvfb ended at once: {why}. Set rig.screen.display to an X display."
                    )
                text += piece
        return int(text)
