"""The X server of our own ends with us, however we end."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from picture_screen import screenshot
from waiting import lives, until

from bci.stimuli.backend import ScreenError
from bci.stimuli.xvfb import Xvfb, needs_xvfb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Xvfb is for Linux")

START_AND_WAIT = """
import sys
from bci.stimuli.xvfb import Xvfb
print(Xvfb(320, 240).pid, flush=True)
sys.stdin.read()
"""


def test_server_ends_when_stopped() -> None:
    server = Xvfb(320, 240)
    process = psutil.Process(server.pid)
    # Ctrl-C on the terminal reaches its foreground group alone
    assert os.getpgid(server.pid) != os.getpgrp()
    server.stop()
    server.stop()
    assert not process.is_running()


def test_server_has_the_size_of_the_window_and_ends_with_it() -> None:
    server = Xvfb(320, 240)
    try:
        assert server.display.startswith(":")
        assert screenshot(server.display).shape == (240, 320)
        # the screenshot was its only client
        process = psutil.Process(server.pid)
        until(lambda: not lives(process))
    finally:
        server.stop()


def test_server_without_a_window_ends_when_its_owner_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        assert server.name() == "Xvfb"
        owner.kill()
    until(lambda: not lives(server))


def test_xvfb_is_only_for_a_machine_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert needs_xvfb(None)
    assert not needs_xvfb(":0")
    monkeypatch.setenv("DISPLAY", ":0")
    assert not needs_xvfb(None)


def test_server_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "Xvfb"
    broken.write_text("#!/bin/sh\necho no such font >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScreenError, match="no such font"):
        Xvfb(320, 240)
