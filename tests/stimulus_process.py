"""A real stimulus process and the control that speaks to it, for tests."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil
from waiting import WAIT_S, until

from bci.core.stimulus_types import FlipKind, FlipReport, ScreenHello, ScreenReport, StimulusCommand
from bci.stream.access import TOKEN_VARIABLE, Access, Guard, new_token
from bci.stream.commands import CommandPublisher
from bci.stream.reports import ReportReceiver

TOKEN = new_token()


def session_settings(backend: str, **screen: object) -> dict[str, object]:
    return {
        "rig": {
            "name": "test",
            "source": {"kind": "simulated"},
            "board": {"kind": "simulated"},
            "screen": {"backend": backend, "refresh_hz": 60.0, **screen},
        },
        "experiment": {
            "name": "test",
            "decoder": {"p_plus": ["roi0000"], "p_minus": ["roi0001"]},
            "threshold": {"t": 1.0, "lo": 0.0},
        },
    }


class Control:
    """Control's two sockets, and every report that came."""

    def __init__(self, before: "Control | None" = None) -> None:
        # a process has one guard
        self.guard = before.guard if before else Guard(Access(TOKEN))
        self._has_own = before is None
        self.commands = CommandPublisher(guard=self.guard)
        self.reports_in = ReportReceiver(guard=self.guard)
        self.reports: list[ScreenReport] = []

    @property
    def peers(self) -> dict[str, str]:
        return {"commands": self.commands.endpoint, "flips": self.reports_in.endpoint}

    def await_hello(self) -> ScreenHello:
        def hello() -> ScreenHello | None:
            self.read()
            return next((item for item in self.reports if isinstance(item, ScreenHello)), None)

        return until(hello)

    def await_shown(self, command_id: int) -> FlipReport:
        """Wait until it is shown, sending it again as control does."""

        def shown() -> FlipReport | None:
            self.commands.resend_if_due(time.perf_counter_ns())
            self.read()
            return next((item for item in self.shown if item.command_id == command_id), None)

        return until(shown)

    def show(self, command: StimulusCommand) -> FlipReport:
        self.commands.send(command)
        return self.await_shown(command.command_id)

    def read(self) -> None:
        while (report := self.reports_in.receive()) is not None:
            self.reports.append(report)

    @property
    def flips(self) -> list[FlipReport]:
        return [report for report in self.reports if isinstance(report, FlipReport)]

    @property
    def shown(self) -> list[FlipReport]:
        return [report for report in self.flips if report.kind is FlipKind.SHOWN]

    def close(self) -> None:
        self.commands.close()
        self.reports_in.close()
        if self._has_own:
            self.guard.close()


class StimulusProcess:
    """`run_stimulus` in a process of its own, without a DISPLAY."""

    def __init__(
        self,
        settings: Mapping[str, object],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        kept = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("stimulus_child.py")),
                json.dumps(settings),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**kept, TOKEN_VARIABLE: TOKEN, **(environment or {})},
            cwd=cwd,
        )
        self.told: list[dict[str, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def meet(self, peers: Mapping[str, str]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(peers) + "\n")
        self.process.stdin.flush()

    def await_told(self, kind: str) -> str:
        """Detail of the first report of this kind to the supervisor; '-' where it has none."""
        return until(
            lambda: next((item["detail"] or "-" for item in self.told if item["kind"] == kind), "")
        )

    def x_servers(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            # what else was started may end by itself just now
            with suppress(psutil.NoSuchProcess):
                if child.name() == "Xvfb":
                    found.append(child)
        return found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT_S)

    def stop(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(WAIT_S)
        # its last words are in the pipe
        self._reader.join(WAIT_S)
        return code

    def __enter__(self) -> "StimulusProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
