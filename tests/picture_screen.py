"""Pictures of a real PsychoPy window, taken from the X server."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np
from measure_grating import Image
from PIL import ImageGrab
from waiting import WAIT_S

from bci.config.experiment import Stimulus
from bci.config.rig import Screen
from bci.core.stimulus_types import ScreenHello, ScreenKind, StimulusCommand


def grating_command(
    angle_deg: float,
    *,
    command_id: int = 1,
    contrast: float = 1.0,
    temporal_freq_hz: float = 0.0,
    screen: ScreenKind = ScreenKind.GRATING,
) -> StimulusCommand:
    return StimulusCommand(
        command_id=command_id,
        frame_id=-1,
        screen=screen,
        orientation_deg=angle_deg,
        contrast=contrast,
        temporal_freq_hz=temporal_freq_hz,
    )


def photographed(display: str) -> tuple[int, int, Image]:
    """Luminance of an X display, and between which ns of `time.perf_counter_ns` it was seen.

    0-1, rows from the top; refuses colour.
    """
    before_ns = time.perf_counter_ns()
    grabbed = ImageGrab.grab(xdisplay=display)
    after_ns = time.perf_counter_ns()
    pixels = np.asarray(grabbed.convert("RGB"))
    assert (pixels == pixels[:, :, :1]).all()
    return before_ns, after_ns, pixels[:, :, 0] / 255


def screenshot(display: str) -> Image:
    """Luminance of an X display, 0-1, rows from the top; refuses colour."""
    return photographed(display)[2]


class PictureScreen:
    """A window in a process of its own, told picture by picture what to show."""

    def __init__(self, screen: Screen, stimulus: Stimulus) -> None:
        child = Path(__file__).with_name("picture_child.py")
        self._process = subprocess.Popen(
            [sys.executable, str(child), screen.model_dump_json(), stimulus.model_dump_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.hello = msgspec.json.decode(self._answer(), type=ScreenHello)

    def show(self, command: StimulusCommand | None, t_s: float = 0.0) -> Image:
        """Draw, flip, and take a picture of the X display."""
        assert self._process.stdin is not None
        plain = None if command is None else msgspec.to_builtins(command)
        self._process.stdin.write(json.dumps([plain, t_s]) + "\n")
        self._process.stdin.flush()
        assert self._answer() == "shown\n"
        return screenshot(self.hello.display)

    def __enter__(self) -> "PictureScreen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            assert self._process.wait(WAIT_S) == 0
        finally:
            self._process.kill()
            self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the screen's process ended; see its stderr"
        return line
