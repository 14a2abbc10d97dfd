"""A window whose line to the session broke says so."""

from datetime import datetime
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.config import load_session
from bci.gui import client
from bci.gui.day import Day
from bci.recording.manifest import make_manifest, write_manifest


def test_line_that_an_error_ended_is_reported_once(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("broken")

    monkeypatch.setattr(client._History, "read", broken)
    folder = tmp_path / "demo" / "20261130T200000"
    folder.mkdir(parents=True)
    now = datetime.now().astimezone()
    write_manifest(folder, make_manifest("demo", load_session(DEMO), now, []))
    day, said = Day(root=tmp_path), []
    day.said.connect(said.append)
    day.attach(folder)
    try:
        qtbot.waitUntil(lambda: bool(said))
        ticks = []
        day.ticked.connect(lambda: ticks.append(1))
        qtbot.waitUntil(lambda: len(ticks) > 3)
        assert len(said) == 1
        assert "KeyError" in said[0]
    finally:
        day.close()
