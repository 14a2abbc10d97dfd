"""What keeps a session from being begun is told, and leaves nothing behind."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console
from running_session import DEMO

from bci.config import SettingsError, load_session
from bci.session.run import run_session


def refused(root: Path) -> str:
    with pytest.raises(SettingsError) as error:
        run_session(load_session(DEMO), root, Console(file=io.StringIO()))
    (fault,) = error.value.faults
    return str(fault)


@pytest.mark.skipif(os.name == "nt", reason="paths are Unicode there")
def test_folder_whose_name_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    told = refused(root)
    assert "--out" in told
    assert "UTF-8" in told
    assert "\\udcff" in told
    assert not root.exists()


def test_full_disk_leaves_no_folder_of_a_session_that_never_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        told = refused(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "--out" in told
    assert "make room" in told.lower()
    assert list((tmp_path / "demo").iterdir()) == []
