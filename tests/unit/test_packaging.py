"""The wheel puts nothing but `bci` on top of site-packages; other packages stay apart."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from waiting import WAIT_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("bci", "hardware", "stimuli")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


def test_wheel_holds_every_module_below_bci_and_nothing_else(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__", "build")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
            *("--no-index", "--wheel-dir", tmp_path, copy),
        ],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bci"}
    modules = {path.relative_to(copy) for name in SOURCES for path in (copy / name).rglob("*.py")}
    installed = {
        str(module if module.parts[0] == "bci" else Path("bci") / module) for module in modules
    }
    assert installed == {name for name in names if name.endswith(".py")}


def test_other_packages_named_hardware_and_stimuli_are_not_ours(tmp_path: Path) -> None:
    for name in ("hardware", "stimuli"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    code = "import bci.hardware.board.link, bci.stimuli.process, bci.session.supervisor"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
        timeout=WAIT_S,
    )
