"""A whole session as its user starts it: `bci` in a process of its own, and what it leaves."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import valve
from waiting import LOOK_EVERY_S, WAIT_S, lives, until
from whole_lines import whole_lines

from bci.analysis.report import write_report
from bci.core.loop_types import LedgerKind
from bci.recording.folder import read_endpoints, read_token
from bci.recording.nwb import export_nwb
from bci.recording.session_record import SessionRecord
from bci.stream.access import Access
from bci.stream.telemetry import Telemetry, TelemetrySubscriber

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "configs" / "demo.toml"
REPLAY = ROOT / "configs" / "replay.toml"

ENDED_S = 200.0
"""By then every session of the tests has ended, and its files are written, on any machine."""

SHORT = (
    "experiment.decoder.f0_window_s=3",
    "experiment.baseline.duration_s=7",
    "experiment.task.trial_s=2",
    "experiment.task.hit_s=1",
    "experiment.task.reward_delay_s=0.5",
    "experiment.task.black_s=0.5",
    "experiment.task.miss_s=0.5",
)
"""Overrides that make a session of some seconds."""


ENDLESS = "experiment.task.session_s=600"
"""For a session that the test ends itself, long before, when it has seen what it waits for."""

PATIENT_BOARD = ("rig.board.watchdog_ms=5000", "rig.board.ack_timeout_ms=5000")
"""Where rewards are counted: a computer that is at other things for a moment must cut none."""

HELD = """
import os, signal
from bci.session import supervisor
class Child(supervisor.Child):
    def __init__(self, task, *others):
        super().__init__(task, *others)
        if task.name == "{name}":
            os.kill(self.pid, signal.SIGSTOP)
supervisor.Child = Child
from bci.cli import main
main()
"""


def held(name: str) -> tuple[str, str]:
    """A program one of whose processes takes for ever to start, so that the session does."""
    return "-c", HELD.format(name=name)


def sets(overrides: Sequence[str]) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


def bci(*arguments: object, timeout_s: float = ENDED_S) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bci.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def write_files(folder: Path) -> None:
    """NWB and report, here: cheaper than in the session for a test of what is in them."""
    export_nwb(folder)
    write_report(folder)


class RunningSession:
    """`bci run` or `bci replay`, watched and disturbed from outside.

    Whatever the test does, nothing of it is left running.

    Parameters
    ----------
    arguments
        Verb and what follows it.
    out
        Folder of all subjects.
    program
        What Python runs.
    files
        Write NWB and report at the end, for tests of that: `write_files` is cheaper.
    """

    def __init__(
        self,
        *arguments: object,
        out: Path,
        program: Sequence[str] = ("-m", "bci.cli"),
        files: bool = False,
    ) -> None:
        self._out = out
        if not files:
            arguments = (*arguments, *sets(("rig.files_at_end=false",)))
        self.process = subprocess.Popen(
            [sys.executable, *program, *map(str, arguments), "--headless", f"--out={out}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        self._telemetry: TelemetrySubscriber | None = None
        self._newest: Telemetry | None = None
        self._family: dict[int, psutil.Process] = {}

    def __enter__(self) -> "RunningSession":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.family()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_S)
        for member in self._family.values():
            # it may end by itself just now
            with suppress(psutil.NoSuchProcess):
                member.kill()
        if self._telemetry is not None:
            self._telemetry.close()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def folder(self) -> Path:
        return until(lambda: next(self._out.glob("*/[0-9]*/"), None), every_s=LOOK_EVERY_S)

    def family(self) -> dict[int, psutil.Process]:
        """Every process of the session that was ever seen, grandchildren included."""
        try:
            for member in psutil.Process(self.process.pid).children(recursive=True):
                self._family.setdefault(member.pid, member)
        except psutil.NoSuchProcess:
            pass
        return self._family

    def pid_of(self, name: str, other_than: int = 0) -> int:
        """Process id of a child, as the log tells it."""

        def started() -> int:
            for line in reversed(self.log()):
                message = str(line.get("message", ""))
                if message.startswith(f"{name} (") and message.endswith(" started"):
                    pid = int(message.split("(")[1].split(")")[0])
                    return pid if pid != other_than else 0
            return 0

        return until(started, every_s=LOOK_EVERY_S)

    @property
    def access(self) -> Access:
        """What its own processes show each other."""
        return Access(read_token(self.folder))

    def telemetry(self) -> Telemetry | None:
        """Newest snapshot of control; None before the first."""
        if self._telemetry is None:
            try:
                endpoints = read_endpoints(self.folder)
            except FileNotFoundError:
                return None
            if "telemetry" not in endpoints:
                return None
            self._telemetry = TelemetrySubscriber(endpoints["telemetry"], self.access)
        self._newest = self._telemetry.receive() or self._newest
        return self._newest

    def wait_for_state(self, *states: str, timeout_s: float = WAIT_S) -> Telemetry:
        self.family()

        def reached() -> Telemetry | None:
            assert self.process.poll() is None, self.output()
            newest = self.telemetry()
            return newest if newest is not None and newest.state in states else None

        return until(reached, timeout_s, LOOK_EVERY_S)

    def wait_for_ledger(self, kind: LedgerKind) -> None:
        """Until the journal holds an entry of this kind: it stays there, as no state does."""

        def told() -> bool:
            self.family()
            over = self.process.poll() is not None
            found = kind in {entry.value.kind for entry in self.record().ledger}
            assert found or not over, self.output()
            return found

        until(told, every_s=0.4)

    def kill(self, pid: int) -> None:
        self.family()
        os.kill(pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Let it end in order, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def end(self, timeout_s: float = ENDED_S) -> tuple[int, str]:
        """Wait for the end; exit code and what was printed."""
        self.family()
        output, _ = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, output

    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def left_running(self) -> list[psutil.Process]:
        return [member for member in self._family.values() if lives(member)]

    def log(self) -> list[dict[str, Any]]:
        return whole_lines(self.folder / "log.jsonl")

    def record(self) -> SessionRecord:
        return SessionRecord.read(self.folder)

    def valve_edges(self) -> list[dict[str, int]]:
        return valve.edges(self.folder)
