"""A session's folder that other programs remove, move or replace, while the session runs."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_session import record_session
from waiting import until

from bci.recording import journal as journal_module
from bci.recording.folder import JOURNAL, LOG
from bci.recording.records import Note, Topic
from bci.recording.recover import recover
from bci.recording.session_record import SessionRecord
from bci.session import folder_watch
from bci.session.folder_watch import FolderWatch

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="nobody moves or cuts a file there that is open"
)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "LOOK_S", 0.01)
    monkeypatch.setattr(journal_module, "SYNC_S", 0.01)


def all_written(folder: Path) -> None:
    until(lambda: len(SessionRecord.read(folder).decisions) == 43)


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def only_the_journal_removed(folder: Path) -> None:
    (folder / JOURNAL).unlink()


def replaced_by_an_older_copy(folder: Path) -> None:
    old = (folder / JOURNAL).read_bytes()[:-40]
    (folder / "copy").write_bytes(old)
    os.replace(folder / "copy", folder / JOURNAL)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (moved, "elsewhere"),
        (removed, "s"),
        (only_the_journal_removed, "s"),
        (replaced_by_an_older_copy, "s-saved"),
    ],
)
def test_folder_that_is_changed_is_reported_once_and_nothing_is_lost(
    change: Callable[[Path], None], place: str, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    journal = record_session(folder, close=False)
    (folder / LOG).write_text("{}\n")
    told: list[str] = []
    all_written(folder)
    with FolderWatch(folder, told.append) as watch:
        until(lambda: len(watch._files) == 2)
        change(folder)
        # written after it, and on file all the same
        journal.append(Topic.NOTE, Note("the last words"))
        until(lambda: told)
        journal.close("the folder is gone")
        assert journal.fault is None
        found = watch.rescue()
        assert watch.trouble == told[0]
        assert len(told) == 1
    assert found == tmp_path / place
    assert recover(found).damaged is None
    content = (found / JOURNAL).read_bytes()
    assert b"the last words" in content
    assert (found / LOG).exists()


def test_folder_that_stays_is_left_alone(tmp_path: Path) -> None:
    looks: list[str] = []

    class Counting(FolderWatch):
        def _look(self) -> str:
            looks.append(super()._look())
            return looks[-1]

    folder = tmp_path / "s"
    journal = record_session(folder, close=False)
    with Counting(folder, pytest.fail) as watch:
        until(lambda: len(looks) > 5)
        journal.close("done")
        assert watch.rescue() == folder
    assert set(looks) == {""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


def test_journal_that_is_cut_by_another_program_is_a_fault(tmp_path: Path) -> None:
    journal = record_session(tmp_path / "s", close=False)
    path = tmp_path / "s" / JOURNAL
    all_written(tmp_path / "s")
    os.truncate(path, path.stat().st_size - 7)
    # it goes on growing at once
    journal.append(Topic.NOTE, Note("the last words"))
    until(lambda: journal.fault)
    journal.close("cut")
    assert b"the last words" in path.read_bytes()
    assert recover(tmp_path / "s").n_lost == 1
    assert SessionRecord.read(tmp_path / "s").notes[-1].value == Note("the last words")
