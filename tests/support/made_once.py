"""What is expensive to make and only read: made once for all workers of a run of the tests."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bci.recording.exclusive import take

FINISHED = "finished"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """Path that `make` returns for a new folder; the first worker makes it, the others wait.

    Each test only reads it: one that changes something changes a copy.
    """
    base = factory.getbasetemp()
    # each worker has a folder of its own, beside those of the others
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"made-{name}"
    root.mkdir(exist_ok=True)
    folder, finished = root / "content", root / FINISHED
    with (root / "lock").open("w") as lock:
        # the lock ends with the file
        take(lock.fileno(), wait=True)
        if not finished.exists():
            # what a worker left that failed, or was killed
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            made = make(folder)
            finished.write_text(str(made), "utf-8")
        return Path(finished.read_text("utf-8"))
