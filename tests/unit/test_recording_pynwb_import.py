"""A cache folder that cannot be used keeps nobody from checking, reading or exporting."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from running_session import DEMO, ENDED_S

pytestmark = pytest.mark.slow

IMPORTS = """
import bci.recording.readers.nwb
from bci.recording.nwb import export_nwb
"""
HOMES = (
    "HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "PYTHONPYCACHEPREFIX",
)


def run_with(places: dict[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        timeout=ENDED_S,
        check=False,
    )


@pytest.fixture
def unusable(tmp_path: Path) -> dict[str, str]:
    """A file in place of each folder: not even root can make one there."""
    occupied = tmp_path / "occupied"
    occupied.touch()
    return dict.fromkeys(HOMES, str(occupied))


def test_check_needs_no_home_and_no_cache(unusable: dict[str, str], tmp_path: Path) -> None:
    done = run_with(unusable, "-m", "bci.cli", "check", DEMO, "--out", tmp_path / "sessions")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="another variable names the folder there")
@pytest.mark.parametrize("damaged", [pytest.param(False, marks=pytest.mark.long), True])
def test_pynwb_is_imported_whatever_became_of_its_cache(
    damaged: bool, unusable: dict[str, str], tmp_path: Path
) -> None:
    places = unusable
    if damaged:
        folder = tmp_path / "cache" / "pynwb-hdmf" / f"{version('pynwb')}-{version('hdmf')}"
        folder.mkdir(parents=True)
        (folder / "pynwb_core_typemap.pkl").touch()
        places = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = run_with(places, "-c", IMPORTS)
    assert done.returncode == 0, done.stderr
