"""What tests of every room share."""

import gc
import importlib
import os
import pkgutil
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import bci

# How long an example takes, or making one, is the machine's affair: no test asserts a time. The
# examples are the same ones at every run: what is found is found here, and not on another machine.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# `make test-long` looks for others. Hypothesis also draws numbers and texts that stand in the
# program's modules, in those that are imported by then: `pytest_collection_finish` imports all.
settings.register_profile(
    "explore", settings.get_profile("ours"), derandomize=False, print_blob=True
)
settings.load_profile("ours")
# Some machines that run tests ask every program for colours, into pipes and files too, or for lines
# of a terminal's width. Here text is compared with text, also that of processes that tests start.
_COLOURS = ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
for name in (*_COLOURS, "COLUMNS", "LINES"):
    os.environ.pop(name, None)

# Some machines let no program keep what it compiled: then each of the hundreds of processes that
# the tests start compiles the whole program again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What a shell runs beside itself ignores Ctrl-C, and so would every process that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Import the whole program in a worker, so that its examples do not follow from the order."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        for module in pkgutil.walk_packages(bci.__path__, "bci."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    # modules stay: to look for garbage among them costs a fifth of a second, each time
    gc.collect()
    gc.freeze()


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
