"""A session whose files other programs remove, move or cut ends, and says where its data are."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running_session import DEMO, ENDLESS, SHORT, RunningSession, sets
from waiting import until

from bci.core.loop_types import LedgerKind
from bci.gui.client import SessionClient
from bci.gui.model import SessionModel
from bci.recording.folder import JOURNAL
from bci.recording.manifest import read_manifest
from bci.recording.recover import recover
from bci.recording.session_record import SessionRecord

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="nobody moves or cuts a file there that is open"
)


def removed(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def moved(folder: Path) -> Path:
    return folder.rename(folder.parents[1] / "elsewhere")


def cut(folder: Path) -> Path:
    os.truncate(folder / JOURNAL, (folder / JOURNAL).stat().st_size - 1000)
    return folder


def _shown(window: SessionClient, model: SessionModel, kind: LedgerKind) -> bool:
    for chunk in window.take():
        model.take(chunk)
    assert not window.fault
    return kind in model.ledger_counts


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param(removed, LedgerKind.FOLDER_LOST, marks=pytest.mark.long),
        (moved, LedgerKind.FOLDER_LOST),
        (cut, LedgerKind.JOURNAL),
    ],
)
def test_session_whose_files_are_changed_ends_in_order_and_says_where_its_data_are(
    change: Callable[[Path], Path], kind: LedgerKind, tmp_path: Path
) -> None:
    overrides = (*SHORT, "rig.screen.backend=null", ENDLESS)
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path / "out", files=True) as session:
        session.wait_for_state("BASELINE")
        folder = session.folder
        window = SessionClient(folder)
        try:
            until(lambda: window.caught_up)
            place = change(folder)
            shown = SessionModel(None)
            until(lambda: _shown(window, shown, kind))
            code, output = session.end()
        finally:
            window.close()
        assert code == 1, output
        assert not session.left_running()
    last = output.splitlines()[-1]
    assert last.startswith("FAILED: ")
    assert str(place) in last
    whole = change is not cut
    assert (recover(place).damaged is None) is whole
    record = SessionRecord.read(place)
    # the alarm that a window raises
    assert kind in {entry.value.kind for entry in record.ledger}
    assert len(record.frames) > 0
    assert read_manifest(place).outcome["ok"] is False
    assert (place / "session.nwb").exists() is whole
    assert (place / "report.html").exists() is whole
