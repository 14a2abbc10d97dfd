"""What tests of every room share."""

import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# How long an example takes, or making one, is the machine's affair: no test asserts a time. The
# examples are the same ones at every run: what is found is found here, and not on another machine.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# `make test-long` looks for others
settings.register_profile(
    "explore", settings.get_profile("ours"), derandomize=False, print_blob=True
)
settings.load_profile("ours")
# Among them would be numbers and texts that stand in the program, in those modules that happen to
# be imported by then: other ones in another order of the tests, in another process, in another
# folder. Without these the examples follow from the test alone.
providers._get_local_constants = lambda: providers._local_constants

# Some machines that run tests ask every program for colours, into pipes and files too, or for lines
# of a terminal's width. Here text is compared with text, also that of processes that tests start.
_COLOURS = ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
for name in (*_COLOURS, "COLUMNS", "LINES"):
    os.environ.pop(name, None)

# What a shell runs beside itself ignores Ctrl-C, and so would every process that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the programs run it is noon: no day ends before the test does."""
    monkeypatch.setenv("TZ", f"NOON{time.gmtime().tm_hour - 12:+d}")


@pytest.fixture(scope="session")
def bci_data() -> Path:
    """Folder of the recordings; the test is skipped where there is none."""
    root = Path(__file__).resolve().parents[1]
    folder = (root / os.environ.get("BCI_DATA", "../shared/data")).resolve()
    if not (folder / "sue2x").is_dir():
        pytest.skip(f"no recordings in {folder}: set BCI_DATA")
    return folder
