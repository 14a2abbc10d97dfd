"""A thread that an error ends is reported, whoever started it."""

import logging
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.core.process import THREAD_ENDED, ProcessEvent
from bci.recording.journal import Journal
from bci.recording.records import JournalStart
from bci.session.desk import OperatorDesk
from bci.session.logs import LogBook, logged_in
from bci.session.threads import report_ended_threads
from bci.stream.operator import Client, Reply


class Broken(BaseException):
    """What no program expects."""


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), MemoryError(), Broken()])
def test_thread_that_an_error_ends_is_logged_and_reported(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    reported = []

    def fail() -> None:
        raise error

    before = threading.excepthook
    with report_ended_threads(lambda kind, detail: reported.append((kind, detail))):
        thread = threading.Thread(target=fail, name="reader")
        thread.start()
        thread.join()
    assert threading.excepthook is before
    assert reported == [(THREAD_ENDED, f"reader: {type(error).__name__}: {error}")]
    assert [r.levelno for r in caplog.records if r.name == "bci.threads"] == [logging.ERROR]


def test_warnings_of_the_supervisor_are_in_the_log_of_the_session(tmp_path: Path) -> None:
    book = LogBook(tmp_path / "log.jsonl", Console(quiet=True))
    with logged_in(book):
        logging.getLogger("bci.history").warning("within")
        logging.getLogger("bci.history").info("of no concern")
    logging.getLogger("bci.history").warning("behind")
    book.close()
    text = (tmp_path / "log.jsonl").read_text("utf-8")
    assert text.count("within") == 1
    assert "of no concern" not in text
    assert "behind" not in text


def test_control_keeps_a_thread_that_ended_in_the_ledger(tmp_path: Path) -> None:
    noted: list[LedgerEntry] = []
    replies: list[Reply] = []
    event = ProcessEvent("stimulus", THREAD_ENDED, 7, "stimulus commands: ValueError: bad")

    asked = [(Client(b"supervisor", b"supervisor", 1), event)]
    server = SimpleNamespace(
        receive=lambda: asked.pop() if asked else None, reply=lambda _, reply: replies.append(reply)
    )
    runner = SimpleNamespace(loop=SimpleNamespace(last_frame_id=5), note=noted.append)
    unused = cast(Any, None)
    with Journal(tmp_path / "journal.mcap", JournalStart("s", "hash", 1, 1)) as journal:
        OperatorDesk(
            cast(Any, server),
            cast(Any, runner),
            unused,
            journal,
            unused,
            4.0,
            10.0,
            unused,
            unused,
        ).attend()
    assert [(e.kind, e.frame_id) for e in noted] == [(LedgerKind.THREAD_ENDED, 5)]
    assert [reply.accepted for reply in replies] == [True]
