"""What tests of every room share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# how long an example takes is the machine's affair: no test asserts a time
settings.register_profile("ours", print_blob=True, deadline=None)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def bci_data() -> Path:
    """Folder of the recordings; the test is skipped where there is none."""
    root = Path(__file__).resolve().parents[1]
    folder = (root / os.environ.get("BCI_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: set BCI_DATA")
    return folder
