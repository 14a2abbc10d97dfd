"""One finished session for the pages that show one; its baseline is long enough to choose from."""

from pathlib import Path

import msgspec
from running_session import DEMO, bci, sets

from bci.session.check import Check, Status

QUICK = (
    "experiment.decoder.f0_window_s=3",
    "experiment.baseline.duration_s=63",
    "experiment.task.trial_s=2",
    "experiment.task.session_s=40",
    "rig.stream.speed=8",
    "rig.screen.backend=null",
)
"""Overrides that make a session of 103 s of frame time in an eighth of it."""
TRIED = Check("light leak", Status.WARN, "found in a test", "shield it")


def make_session(root: Path) -> Path:
    """Run a session to its end; its folder."""
    checks = root / "checks.json"
    root.mkdir(parents=True, exist_ok=True)
    checks.write_bytes(msgspec.json.encode([TRIED]))
    command = ("run", DEMO, "--headless", "--out", root, "--preflight", checks, *sets(QUICK))
    done = bci(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(root.glob("demo/2*"))
