"""A whole session as its user starts it: `bci` in a process of its own, and what it leaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import psutil
from waiting import until

from bci.recording.folder import read_endpoints
from bci.recording.session_record import SessionRecord
from bci.stream.telemetry import Telemetry, TelemetrySubscriber

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "configs" / "demo.toml"
REPLAY = ROOT / "configs" / "replay.toml"

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


def sets(overrides: Sequence[str]) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


def bci(*arguments: object, timeout_s: float = 100.0) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bci.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


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
    """

    def __init__(
        self, *arguments: object, out: Path, program: Sequence[str] = ("-m", "bci.cli")
    ) -> None:
        self._out = out
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
        self.process.wait(10)
        for member in self._family.values():
            if member.is_running():
                member.kill()
        if self._telemetry is not None:
            self._telemetry.close()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def folder(self) -> Path:
        return until(lambda: next(self._out.glob("*/[0-9]*/"), None), 60.0)

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

        log = self.folder / "log.jsonl"

        def started() -> int:
            for line in reversed(log.read_text("utf-8").splitlines() if log.exists() else []):
                message = str(json.loads(line).get("message", ""))
                if message.startswith(f"{name} (") and message.endswith(" started"):
                    pid = int(message.split("(")[1].split(")")[0])
                    return pid if pid != other_than else 0
            return 0

        return until(started)

    def telemetry(self) -> Telemetry | None:
        """Newest snapshot of control; None before the first."""
        if self._telemetry is None:
            try:
                endpoints = read_endpoints(self.folder)
            except FileNotFoundError:
                return None
            if "telemetry" not in endpoints:
                return None
            self._telemetry = TelemetrySubscriber(endpoints["telemetry"])
        self._newest = self._telemetry.receive() or self._newest
        return self._newest

    def wait_for_state(self, *states: str, timeout_s: float = 60.0) -> Telemetry:
        self.family()

        def reached() -> Telemetry | None:
            assert self.process.poll() is None, self.output()
            newest = self.telemetry()
            return newest if newest is not None and newest.state in states else None

        return until(reached, timeout_s)

    def kill(self, pid: int) -> None:
        self.family()
        os.kill(pid, signal.SIGKILL)

    def end(self, timeout_s: float = 100.0) -> tuple[int, str]:
        """Wait for the end; exit code and what was printed."""
        self.family()
        output, _ = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, output

    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def left_running(self) -> list[psutil.Process]:
        return [
            member
            for member in self._family.values()
            if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
        ]

    def record(self) -> SessionRecord:
        return SessionRecord.read(self.folder)

    def valve_edges(self) -> list[dict[str, int]]:
        lines = (self.folder / "board-edges.jsonl").read_text("utf-8").splitlines()
        return [edge for line in lines if (edge := json.loads(line))["pin"] == "valve"]
