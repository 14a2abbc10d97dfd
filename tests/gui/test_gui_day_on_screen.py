"""A day by hand with the animal's own screen beside the window, both seen at once."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from measure_grating import angle_between, orientation_deg
from PIL import Image, ImageGrab
from running_session import DEMO, SHORT, sets
from test_gui_day import Hands, session_process
from waiting import until

from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.session_record import SessionRecord
from bci.recording.verify import verify
from bci.stimuli.xvfb import Xvfb

WIDTH_PX, HEIGHT_PX = 3200, 800
SCREEN_PX = (500, 380)
"""In the middle of the monitor it lies right of the window, which is 1280 wide."""
SETTINGS = (
    *SHORT,
    *("experiment.task.trial_s=6", "experiment.baseline.duration_s=10"),
    "experiment.task.session_s=6000",
    *(f"rig.screen.width_px={SCREEN_PX[0]}", f"rig.screen.height_px={SCREEN_PX[1]}"),
)
OBLIQUE_DEG = (10, 80)
"""Between them no grating looks like its mirror image."""


@pytest.fixture
def display() -> Iterator[str]:
    server = Xvfb(WIDTH_PX, HEIGHT_PX)
    # the server ends with its last client
    keeper = subprocess.Popen(
        ["xdotool", "behave_screen_edge", "bottom-left", "exec", "true"],
        env={**os.environ, "DISPLAY": server.display},
    )
    yield server.display
    keeper.kill()
    keeper.wait()
    server.stop()


def luminance(picture: Image.Image, place: list[int]) -> np.ndarray:
    """Middle of a region that is told by its centre and its size."""
    x, y, width, height = place
    half = min(width, height) // 3
    box = (x - half, y - half, x + half, y + half)
    return np.asarray(picture.crop(box).convert("L"), dtype=np.float64)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_dial_turns_with_the_grating_that_the_animal_sees(display: str, tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    hands = Hands(display, tmp_path / "w.json", "run", DEMO, f"--out={root}", *sets(SETTINGS))
    supervisor = None
    try:
        hands.press("F5", "Try everything")
        hands.wait(lambda state: {"stream", "board", "screen"} <= set(state["tried"]))
        # each time the animal's screen opens it takes the keyboard, and the window takes it back
        hands.wait(lambda state: state["active"])
        hands.press("ctrl+Return", "Start session")
        hands.wait(lambda state: state["phase"] == "running")
        supervisor = session_process(root)
        hands.press("ctrl+5")
        hands.wait(lambda state: state["trials"] >= 1 and state["page"] == "Session")
        on_screen = [WIDTH_PX // 2, HEIGHT_PX // 2, *SCREEN_PX]
        seen: set[int] = set()

        def agree_on_two_oblique_gratings() -> bool:
            picture = ImageGrab.grab(xdisplay=display)
            both = [luminance(picture, each) for each in (on_screen, hands.state()["grating"])]
            if min(np.ptp(each) for each in both) < 60:
                return False
            screen_deg, window_deg = map(orientation_deg, both)
            # the window follows within a frame of its own, or two
            if not OBLIQUE_DEG[0] < screen_deg < OBLIQUE_DEG[1]:
                return False
            if angle_between(screen_deg, window_deg, 180) < 3:
                seen.add(round(screen_deg / 15))
                picture.save(tmp_path / "both.png")
            return len(seen) >= 2

        until(agree_on_two_oblique_gratings, 120)
        assert hands.state()["active"]
        hands.stop_weigh_and_close(root)
    finally:
        if hands.process.poll() is None:
            hands.kill()
        if supervisor is not None and supervisor.is_running():
            supervisor.terminate()
            supervisor.wait(40)
    folder = next(root.glob("demo/2*"))
    record = SessionRecord.read(folder)
    shown = [r.value for r in record.screen if isinstance(r.value, FlipReport)]
    # one a command: the grating's turns, and the screens between
    assert sum(report.kind is FlipKind.SHOWN for report in shown) > 10
    assert verify(folder).ok
