"""A process of a session takes its task, and its token out of its environment."""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recorded_session import record_session

from bci.program import PARENT_RUNS
from bci.session import child_main
from bci.session.child_main import WRONG_INPUT, Task
from bci.stream.access import TOKEN_VARIABLE


def run(monkeypatch: pytest.MonkeyPatch, task: str) -> tuple[int, list[Any]]:
    """Exit code, and what was to be run."""
    ran: list[Any] = []

    def keep(*what: Any) -> int:
        ran.extend(what)
        return 0

    monkeypatch.setattr(child_main, "run_child", keep)
    monkeypatch.setattr(sys, "argv", ["child_main", task])
    return child_main.main(), ran


def task_in(folder: Path) -> str:
    return msgspec.json.encode(Task("control", str(folder), "tcp://127.0.0.1:1")).decode()


def test_child_takes_the_token_out_of_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record_session(tmp_path)
    monkeypatch.setenv(TOKEN_VARIABLE, "given")
    code, (task, *_, token) = run(monkeypatch, task_in(tmp_path))
    assert (code, task.name, token) == (0, "control", "given")
    assert TOKEN_VARIABLE not in os.environ


@pytest.mark.parametrize(
    "task", ["", "{}", '{"name":"other","folder":"."}', '{"name":"control","folder":".","x":1}']
)
def test_task_that_is_none_is_wrong_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    assert run(monkeypatch, task) == (WRONG_INPUT, [])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_folder_without_a_manifest_and_another_program_are_wrong_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, task_in(tmp_path)) == (WRONG_INPUT, [])
    assert str(tmp_path) in capsys.readouterr().err
    record_session(tmp_path)
    monkeypatch.setenv(PARENT_RUNS, "0.0.1+0123456789abcdef")
    assert run(monkeypatch, task_in(tmp_path)) == (WRONG_INPUT, [])
    assert "0.0.1+0123456789abcdef" in capsys.readouterr().err
