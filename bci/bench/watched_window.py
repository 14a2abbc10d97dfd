"""An operator window beside a session under a benchmark."""

import os
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import psutil

from bci.bench.sessions import BenchFailed
from bci.program import child_environment, python_command
from bci.stimuli.xvfb import Xvfb

WINDOW_PX = (1280, 800)
SAMPLE_S = 0.25
BEGIN_S = 4.0
"""What the window takes to open is not counted."""


class WatchedWindow:
    """An operator window in a process of its own, attached to a session; a context.

    Parameters
    ----------
    folder
        Of the session.

    Attributes
    ----------
    cpu_percent
        Of one core, mean over the time from `BEGIN_S` after its start to its end; NaN where it
        did not live so long.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self.cpu_percent = float("nan")

    def __enter__(self) -> "WatchedWindow":
        self._server = Xvfb(*WINDOW_PX) if "DISPLAY" not in os.environ else None
        environment = child_environment()
        if self._server is not None:
            environment["DISPLAY"] = self._server.display
        environment.pop("QT_QPA_PLATFORM", None)
        self._process = subprocess.Popen(
            python_command("bci.cli", "attach", str(self._folder)),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        died = self._process.poll() is not None
        self._process.kill()
        _, said = self._process.communicate()
        if self._server is not None:
            self._server.stop()
        if died and error is None:
            raise BenchFailed(f"the window ended by itself: {said.decode(errors='replace')[-500:]}")
        if len(self._samples) > 1:
            (t0, cpu0), (t1, cpu1) = self._samples[0], self._samples[-1]
            self.cpu_percent = 100 * (cpu1 - cpu0) / (t1 - t0)

    def _sample(self) -> None:
        started = time.monotonic()
        while not self._over.wait(SAMPLE_S):
            now = time.monotonic()
            if now - started < BEGIN_S:
                continue
            try:
                times = psutil.Process(self._process.pid).cpu_times()
            except psutil.NoSuchProcess:
                return
            self._samples.append((now, times.user + times.system))
