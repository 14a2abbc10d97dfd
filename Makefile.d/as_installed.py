"""Lay the source folders out as they are installed: `hardware` and `stimuli` inside `bci`.

mypy and import-linter read files and know nothing of the install's mapping, so `make lint` gives
them this folder of links, `.venv/as_installed`. If links are not permitted (Windows without
developer mode), the folders are copied.
"""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAID_OUT = ROOT / ".venv" / "as_installed"
MAPPED = ("hardware", "stimuli")


def lay_out() -> None:
    """Replace `.venv/as_installed/bci` by a new one."""
    shutil.rmtree(LAID_OUT, ignore_errors=True)
    package = LAID_OUT / "bci"
    package.mkdir(parents=True)
    for source in (*(ROOT / "bci").iterdir(), *(ROOT / name for name in MAPPED)):
        if source.name != "__pycache__":
            show(source, package / source.name)


def show(source: Path, target: Path) -> None:
    """Link `target` to `source`, or copy it if links are not permitted."""
    try:
        os.symlink(source, target, target_is_directory=source.is_dir())
    except OSError:
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)


if __name__ == "__main__":
    lay_out()
