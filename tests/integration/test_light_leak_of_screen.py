"""A microscope whose PMT sees the animal's screen, the real one."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from held_port import held_port
from microscope import DOOR, Microscope
from picture_screen import screenshot

from bci.config import Override, load_session
from bci.session.light_leak import try_light_leak

DEMO = Path(__file__).parents[2] / "configs" / "demo.toml"
COUNTS_OF_WHITE = 40.0


@pytest.fixture
def display() -> Iterator[str]:
    """An X server that outlives its clients and takes new ones at any time.

    Those of sessions do not, and without -noreset one refuses clients for a moment after its last.
    """
    size = ("-screen", "0", "320x240x24")
    server = ["Xvfb", "-displayfd", "1", *size, "-nolisten", "tcp", "-noreset"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield f":{int(process.stdout.readline())}"
        process.terminate()


@contextmanager
def scanning(microscope: Microscope, display: str) -> Iterator[None]:
    """A microscope that sends what its PMT sees of the display, 50 frames a second."""
    done = threading.Event()

    def scan() -> None:
        while not done.wait(0.02):
            light = float(screenshot(display).mean())
            microscope.send(values=microscope.values() + COUNTS_OF_WHITE * light)

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        microscope.close()


@pytest.mark.skipif(sys.platform != "linux", reason="Xvfb is for Linux")
def test_light_of_the_screen_in_the_fluorescence_is_found(display: str) -> None:
    with held_port() as port:
        small = (f'rig.screen.display="{display}"', "rig.screen.width_px=320")
        sets = (*DOOR, f"rig.source.port={port}", 'rig.screen.backend="psychopy"', *small)
        session = load_session(DEMO, [Override.parse(text) for text in sets])
        with scanning(Microscope(f"tcp://127.0.0.1:{port}"), display):
            leak = try_light_leak(session)
    assert leak.found
    assert leak.difference_counts == pytest.approx(COUNTS_OF_WHITE, rel=0.3)
    assert leak.level_counts == pytest.approx(500.0, rel=0.05)
