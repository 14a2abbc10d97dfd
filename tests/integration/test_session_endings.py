"""However a session ends: everything gone, a clear last line, the right exit code, files that
agree with it."""

import os
import pty
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from microscope import DOOR, endpoint_of
from running_session import (
    DEMO,
    ENDED_S,
    ENDLESS,
    ROOT,
    SHORT,
    RunningSession,
    bci,
    held,
    sets,
)
from support.command_line import run_here
from waiting import LOOK_EVERY_S, until
from whole_lines import whole_lines

from bci.recording.folder import read_endpoints
from bci.recording.history import HistoryRequest
from bci.recording.manifest import read_manifest
from bci.recording.verify import VerdictKind, verify
from bci.session.history import HistoryClient

NULL_SCREEN = "rig.screen.backend=null"
QUICK = (*SHORT, NULL_SCREEN)
NO_FILES = "rig.files_at_end=false"


@pytest.mark.parametrize("late", ["stimulus", "board"])
def test_interrupt_while_starting_ends_at_once_and_in_order(tmp_path: Path, late: str) -> None:
    with RunningSession("run", DEMO, *sets(QUICK), out=tmp_path, program=held(late)) as session:
        # control has begun, and waits for it
        endpoint_of(session, "operator")
        session.interrupt()
        session.interrupt()
        code, output = session.end()
        assert code == 0, output
        assert output.splitlines()[-1] == "ended: stopped by hand before the start"
        assert not session.left_running()
        assert read_manifest(session.folder).outcome["ok"] is True
        killed = [line["message"] for line in session.log() if "killed" in line["message"]]
        assert not [message for message in killed if message.startswith("control")]


def test_second_interrupt_leaves_nwb_unwritten_and_says_what_to_do(tmp_path: Path) -> None:
    program = ("-c", SLOW_WRITING)
    with RunningSession(
        "run", DEMO, *sets(QUICK), out=tmp_path, program=program, files=True
    ) as session:
        session.wait_for_state("BASELINE")
        session.interrupt()
        until(
            lambda: "writing NWB and report" in {line["message"] for line in session.log()},
            every_s=LOOK_EVERY_S,
        )
        # a window that looks on does not take it for over yet
        history = HistoryClient(read_endpoints(session.folder)["history"], session.access)
        assert history.ask(HistoryRequest(0, 0), 30.0).position > 0
        history.close()
        session.process.send_signal(signal.SIGTERM)
        code, output = session.end()
        assert code == 1, output
        last = output.splitlines()[-1]
        assert last.startswith("FAILED: stopped by hand; interrupted while NWB")
        assert f"bci export {session.folder}" in last
        assert not list(session.folder.glob("*session.nwb"))
        assert read_manifest(session.folder).outcome["ok"] is False
        for line in session.log():
            assert {"t", "process", "level", "message"} <= line.keys()
        assert verify(session.folder).kind is VerdictKind.IDENTICAL


SLOW_WRITING = """
import time
import bci.recording.nwb
export_nwb = bci.recording.nwb.export_nwb
def on_a_slow_disk(folder):
    time.sleep(60)
    return export_nwb(folder)
bci.recording.nwb.export_nwb = on_a_slow_disk
from bci.cli import main
main()
"""
"""Without it the files of a short session are there before a second signal can be sent."""


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals that hang up")
def test_terminal_that_is_closed_ends_the_session_in_order(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", TAKE_TERMINAL),
            *("run", str(DEMO), *sets((*QUICK, NO_FILES)), "--headless", f"--out={tmp_path}"),
        ],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:

        def ready() -> Path | None:
            # the terminal is read along: a full one would hold the session up
            while select.select([ours], [], [], 0)[0]:
                os.read(ours, 65536)
            logs = [*tmp_path.glob("*/*/log.jsonl")]
            started = [line for log in logs for line in whole_lines(log) if is_ready(line)]
            return logs[0] if started else None

        log = until(ready, every_s=LOOK_EVERY_S)
        os.close(ours)
        assert process.wait(ENDED_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    outcome = read_manifest(log.parent).outcome
    assert outcome["ok"] is True
    assert outcome["reason"].startswith("stopped by hand")


@pytest.mark.skipif(sys.platform == "win32", reason="consoles are written to otherwise there")
def test_terminal_that_stands_still_holds_up_no_session(tmp_path: Path) -> None:
    """As by Ctrl-S, or over a connection that froze."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bci.cli"),
            *(
                "run",
                str(DEMO),
                *sets((*QUICK, ENDLESS, NO_FILES)),
                "--headless",
                f"--out={tmp_path}",
            ),
        ],
        cwd=ROOT,
        stdout=writing,
        stderr=writing,
    )
    os.close(writing)
    try:

        def ready() -> Path | None:
            logs = [*tmp_path.glob("*/*/log.jsonl")]
            started = [line for log in logs for line in whole_lines(log) if is_ready(line)]
            return logs[0] if started else None

        log = until(ready, every_s=LOOK_EVERY_S)
        process.send_signal(signal.SIGINT)
        assert process.wait(ENDED_S) == 0
    finally:
        os.close(reading)
        if process.poll() is None:
            process.kill()
            process.wait()
    assert read_manifest(log.parent).outcome["reason"].startswith("stopped by hand")


def is_ready(line: dict[str, object]) -> bool:
    message = str(line["message"])
    return message.startswith("control (") and " ready " in message


TAKE_TERMINAL = """
import fcntl, signal, sys, termios
# whoever runs the tests may have it ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from bci.cli import main
main()
"""


def test_duration_ends_a_session_whose_microscope_never_sends(tmp_path: Path) -> None:
    overrides = sets((*DOOR, NO_FILES))
    done = bci("run", DEMO, *overrides, "--headless", "--duration=1.5", f"--out={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "acquisition waiting for the first frame" in done.stdout
    assert "ended: duration over, no frames at its end" in done.stdout


def test_duration_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = run_here("run", DEMO, "--headless", "--duration=nan", f"--out={tmp_path}")
    assert done.code == 2
    assert "--duration" in done.out + done.err
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    occupied = tmp_path / "a file"
    occupied.touch()
    done = run_here("run", DEMO, "--headless", f"--out={occupied}")
    assert done.code == 2
    assert "--out" in done.err


def test_screen_that_does_not_open_is_the_reason_that_is_told(tmp_path: Path) -> None:
    """Not what followed from it."""
    nowhere = 'rig.screen.display=":4711"'
    done = bci("run", DEMO, *sets((*SHORT, nowhere, NO_FILES)), "--headless", f"--out={tmp_path}")
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("FAILED: stimulus did not start")
    assert "4711" in last
    assert "bci recover" not in last


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="no limits to set here")
def test_full_disk_ends_the_session_with_a_message_and_loses_nothing_written(
    tmp_path: Path,
) -> None:
    with RunningSession("run", DEMO, *sets(QUICK), out=tmp_path) as session:
        session.wait_for_state("BASELINE")
        control = psutil.Process(session.pid_of("control"))
        size = (session.folder / "journal.mcap").stat().st_size + 30_000
        control.rlimit(psutil.RLIMIT_FSIZE, (size, size))
        code, output = session.end()
        assert code == 1, output
        last = output.splitlines()[-1]
        assert last.startswith("FAILED: journal: ")
        assert "bci recover" in last
        assert not session.left_running()
        assert run_here("recover", session.folder).code == 0
        assert verify(session.folder).kind is VerdictKind.IDENTICAL
