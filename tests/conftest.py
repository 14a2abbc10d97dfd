"""What tests of every room share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture(scope="session")
def bci_data() -> Path:
    """Folder of the recordings; the test is skipped where there is none."""
    root = Path(__file__).resolve().parents[1]
    folder = (root / os.environ.get("BCI_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: set BCI_DATA")
    return folder
