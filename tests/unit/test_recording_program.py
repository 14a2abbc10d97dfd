"""A session tells which commit it ran from, and leaves the checkout as it was."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from waiting import WAIT_S

import bci
from bci.recording import manifest
from bci.recording.manifest import describe_program

GIT = ("git", "-c", "user.name=n", "-c", "user.email=n@example.org", "-C")


def checkout(folder: Path) -> Path:
    """A commit of one module, whose time of change git does not know."""
    module = folder / "bci" / "__init__.py"
    module.parent.mkdir()
    module.touch()
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run([*GIT, str(folder), *arguments], check=True)
    os.utime(module, (1, 1))
    return module


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of git on this machine, and no repository that its environment names."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    # a busy machine may take its time
    monkeypatch.setattr(manifest, "GIT_TIMEOUT_S", WAIT_S)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_commit_is_told_and_nothing_of_the_checkout_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = checkout(tmp_path)
    monkeypatch.setattr(bci, "__file__", str(module))
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()
    program = describe_program()
    assert program.commit is not None
    assert len(program.commit) == 40
    assert program.dirty is False
    assert index.read_bytes() == before
    module.write_text("changed")
    assert describe_program().dirty is True
