"""A baseline is scored once, in a process that ends with the window and may die before it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO
from waiting import WAIT_S, until

from bci.gui.day import Day, Phase
from bci.gui.steps.baseline import BaselineStep
from bci.gui.steps.ensembles import EnsemblesStep
from bci.gui.work_process import WorkFailed, WorkProcess


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkProcess]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    process = WorkProcess("counting_work", "Work")
    yield process
    process.close()


def test_it_remembers_between_calls_and_hands_errors_over(process: WorkProcess) -> None:
    assert process.pid is None
    assert [process.call("count", by) for by in (1, 2, 3)] == [1, 3, 6]
    with pytest.raises(FileNotFoundError, match=r"traces\.npy"):
        process.call("refuse")
    assert process.call("count", 1) == 7


def test_a_process_that_was_killed_is_made_again(process: WorkProcess) -> None:
    process.call("count", 5)
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkFailed, match="try again"):
        process.call("count", 5)
    assert process.call("count", 5) == 5
    assert process.pid != pid


def test_a_window_that_closes_while_it_is_made_waits_for_no_work(
    process: WorkProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, made = Thread(target=process.close), subprocess.Popen

    def closed_before_it_is_there(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        closing.start()
        until(lambda: process.is_closed)
        return made(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", closed_before_it_is_there)
    with pytest.raises(WorkFailed, match="closes"):
        process.call("count", 1)
    closing.join(WAIT_S)
    assert process.pid is None


def test_amid_a_call_it_ends_with_the_window(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    window = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys\n"
            "from bci.gui.work_process import WorkProcess\n"
            "process = WorkProcess('counting_work', 'Work')\n"
            "process.call('count', 1)\n"
            "print(process.pid, flush=True)\n"
            "process.call('wait', pathlib.Path(sys.argv[1]))\n",
            str(begun),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert window.stdout is not None
        pid = int(window.stdout.readline())
        until(begun.exists)
        assert psutil.pid_exists(pid)
    finally:
        window.kill()
        window.communicate()
    until(lambda: not psutil.pid_exists(pid) or _is_dead(pid))


def _is_dead(pid: int) -> bool:
    """A process that nobody has waited for yet is over, too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_scores_asked_for_on_one_page_are_there_on_the_other(
    qtbot: QtBot, finished_session: Path
) -> None:
    day = Day(DEMO, root=finished_session.parent.parent)
    pages = baseline, ensembles = BaselineStep(day), EnsemblesStep(day)
    for page in pages:
        qtbot.addWidget(page)
        day.session_changed.connect(page.session_changed)
        day.ticked.connect(page.refresh)
    try:
        day.attach(finished_session)
        assert day.phase is Phase.ENDED
        baseline.score()
        assert day.scoring.busy
        assert "scoring" in ensembles.busy
        assert not ensembles.score_button.isEnabled()
        qtbot.waitUntil(lambda: day.scoring.scored is not None)
        assert baseline.table.n_rows == ensembles.table.n_rows == 20
        assert ensembles.scored is day.scoring.scored
        # the frames stay where they are needed
        assert not ensembles.scored.baseline.inputs
        qtbot.waitUntil(lambda: not ensembles.busy)
        scored = ensembles.scored
        day.session_changed.emit()
        assert ensembles.scored is scored
        assert ensembles.table.n_rows == 20
        # another session has none
        day.new_session()
        assert day.scoring.scored is None
        assert baseline.table.n_rows == ensembles.table.n_rows == 0
    finally:
        day.close()
