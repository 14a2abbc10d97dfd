"""`bci bench window`: what the loop notices of the operator window, pair by pair."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
import psutil
from numpy.typing import NDArray

from bci.bench.sessions import BenchFailed, bench_session, recorded
from bci.bench.table import Bench, Row, make_bench
from bci.recording.session_record import SessionRecord
from stimuli.xvfb import Xvfb

N_ROIS = 2000
RATE_HZ = 30.0
PAIRS = 5
DURATION_S = 10.0
WINDOW_PX = (1280, 800)
DECIDED_MS = {"p50": 0.2, "p99": 0.4}
MOST_DIFFERENCE_MS = 0.3
MOST_CPU_PERCENT = 40.0
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
        environment = dict(os.environ)
        if self._server is not None:
            environment["DISPLAY"] = self._server.display
        environment.pop("QT_QPA_PLATFORM", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bci.cli", "attach", str(self._folder)],
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


def bench_window(
    n_rois: int = N_ROIS,
    pairs: int = PAIRS,
    duration_s: float = DURATION_S,
    *,
    screen: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Sessions with and without a window, in turn.

    Parameters
    ----------
    n_rois
        Of the stream, all shown.
    pairs
        How many of each.
    duration_s
        Frame time of each session.
    screen
        False: without the PsychoPy window.
    tell
        Called with what runs now.
    """
    without: list[NDArray[np.float64]] = []
    beside: list[NDArray[np.float64]] = []
    cpu_percent: list[float] = []
    lost = 0
    session = bench_session(n_rois, RATE_HZ, screen=screen)
    for pair in range(pairs):
        # whatever else the computer does shall favour neither
        for shown in (False, True) if pair % 2 == 0 else (True, False):
            tell(f"pair {pair + 1} of {pairs}, {'with' if shown else 'without'} window")
            if not shown:
                with recorded(session, duration_s) as record:
                    without.append(_decided_ms(record))
                continue
            windows: list[WatchedWindow] = []

            def opened(folder: Path, windows: list[WatchedWindow] = windows) -> WatchedWindow:
                windows.append(WatchedWindow(folder))
                return windows[0]

            with recorded(session, duration_s, opened) as record:
                beside.append(_decided_ms(record))
                lost += _lost(record)
            cpu_percent.append(windows[0].cpu_percent)
    settings = {
        "n_rois": n_rois,
        "rate_hz": RATE_HZ,
        "screen": screen,
        "journal": True,
        "window": True,
        "pairs": pairs,
    }
    return make_bench("window", settings, _rows(without, beside, cpu_percent, lost))


def _decided_ms(record: SessionRecord) -> NDArray[np.float64]:
    sent = [s.t_sent_ns - s.t_received_ns for s in record.sent if s.t_frame_sent_ns]
    return np.array(sent, np.float64) * 1e-6


def _lost(record: SessionRecord) -> int:
    ids = record.frames["frame_id"]
    return int(ids[-1] - ids[0]) + 1 - len(ids)


def _rows(
    without: list[NDArray[np.float64]],
    beside: list[NDArray[np.float64]],
    cpu_percent: list[float],
    lost: int,
) -> list[Row]:
    differences = [
        float(np.percentile(b, 99) - np.percentile(a, 99))
        for a, b in zip(without, beside, strict=True)
    ]
    median = float(np.median(differences))
    return [
        Row.of("received_to_sent, without", "ms", np.concatenate(without), DECIDED_MS),
        Row.of("received_to_sent, with window", "ms", np.concatenate(beside), DECIDED_MS),
        Row.one("p99 with − without, median", "ms", median, MOST_DIFFERENCE_MS, n=len(differences)),
        Row.of("window, of one core", "%", cpu_percent, {"max": MOST_CPU_PERCENT}),
        Row.one("frames lost with window", "", float(lost), 0.0, n=sum(map(len, beside))),
    ]
