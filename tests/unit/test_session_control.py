"""However control ends: valve and light first, and never in order where the journal is not."""

import sys
from pathlib import Path
from typing import Any

import pytest
from running_session import DEMO

from bci.config import load_session
from bci.recording.journal import Journal
from bci.recording.records import JournalStart
from bci.session import control
from bci.session.board_line import BoardLine
from bci.stream.supervision import LocalLink


def test_disk_that_is_full_at_the_very_end_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    limits, interval_s = resource.getrlimit(resource.RLIMIT_FSIZE), sys.getswitchinterval()

    class Over:
        """All went well, and then the disk is full."""

        failure = None

        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> "Over":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def run(self, _: Any) -> str:
            n_bytes = (tmp_path / "journal.mcap").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
            return "task over"

    monkeypatch.setattr(control, "_Control", Over)
    try:
        with pytest.raises(control.ControlFailed, match=r"journal\.mcap.*bci recover"):
            control.run_control(load_session(DEMO), LocalLink("control"), tmp_path, "demo-1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        sys.setswitchinterval(interval_s)


def test_board_is_shut_before_anything_that_may_take_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, order = load_session(DEMO), list[str]()
    with Journal(tmp_path / "journal.mcap", JournalStart("demo-1", "hash", 1, 1)) as journal:
        line = BoardLine(session, "demo-1", tmp_path, journal)
        shut = line.close

        def close() -> None:
            order.append("board")
            shut()
            raise OSError("the port is gone")

        monkeypatch.setattr(line, "close", close)
        with (
            pytest.raises(OSError, match="the port is gone"),
            control._Control(session, LocalLink("control"), journal, line) as running,
        ):
            running._open.callback(order.append, "prediction")
    assert order == ["board", "prediction"]
