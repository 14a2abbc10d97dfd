"""The session's log: one JSON object a line, whatever the processes print and the disk does."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bci.session.logs import LogBook


def test_every_line_is_a_record_whatever_was_printed(tmp_path: Path) -> None:
    book = LogBook(tmp_path / "log.jsonl", None)
    for line in (
        "plain",
        '{"json": "of others"}',
        "[1, 2]",
        "NaN",
        "[" * 100_000,
        '{"t": "x", "level": "ERROR"}',
    ):
        book.write("stimulus", line)
    book.tell("WARNING", "ours")
    book.close()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["process"] for r in records] == ["stimulus"] * 6 + ["supervisor"]
    assert all({"t", "process", "level", "message"} <= r.keys() for r in records)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_disk_is_told_once_and_stops_nobody() -> None:
    told = io.StringIO()
    book = LogBook(Path("/dev/full"), Console(file=told, width=200))
    for _ in range(3):
        book.tell("INFO", "a line")
    book.tell("ERROR", "seen all the same")
    book.close()
    assert told.getvalue().count("lines are missing from here on") == 1
    assert "seen all the same" in told.getvalue()
