"""Ten hours of session, as fast as it goes: the window keeps its size."""

import json
import logging
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from running_session import DEMO, ROOT, RunningSession, sets
from waiting import until

HOURS = 10.0
RATE_HZ = 30.92
MOST_GROWTH_BYTES = 50_000_000
SETTINGS = (
    "experiment.decoder.f0_window_s=3",
    "experiment.baseline.duration_s=10",
    "experiment.task.session_s=100000",
    "rig.stream.delivery=lossless",
    "rig.screen.backend=null",
    # ten hours of bleaching would end in darkness, and the session in a pause
    "rig.source.bleaching_tau_s=1e6",
)
LONGEST_TRIAL_S = 20.0
CHILD = Path(__file__).with_name("window_child.py")


class Attached:
    """A window on a session, in a process of its own, that tells what it knows; a context."""

    def __init__(self, folder: Path, state_file: Path) -> None:
        self._state_file = state_file
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), str(state_file), "attach", str(folder)],
            cwd=ROOT,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        )
        self._memory = psutil.Process(self._process.pid)

    def __enter__(self) -> "Attached":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)

    @property
    def n_bytes(self) -> int:
        return self._memory.memory_info().rss

    def told(self, what: str) -> int:
        assert self._process.poll() is None
        try:
            return int(json.loads(self._state_file.read_text())[what])
        except FileNotFoundError:
            return 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_hours_of_session_let_the_window_grow_by_less_than_50_mb(tmp_path: Path) -> None:
    hours = float(os.environ.get("BCI_WINDOW_HOURS", HOURS))
    duration_s = 3600 * hours
    n_frames = duration_s * RATE_HZ
    least_trials = 0.9 * duration_s / LONGEST_TRIAL_S
    arguments = ("run", DEMO, f"--duration={duration_s}", *sets(SETTINGS))
    with RunningSession(*arguments, out=tmp_path / "sessions") as session, ExitStack() as windows:

        def attach(name: str) -> Attached:
            return windows.enter_context(Attached(session.folder, tmp_path / name))

        window = attach("window.json")
        # every ring is full by then: 40,000 decisions
        early = until(lambda: window.n_bytes if window.told("decisions") > 60_000 else 0, 600)
        until(lambda: window.told("decisions") > 0.3 * n_frames, 3000)
        late = attach("late.json")
        until(lambda: window.told("decisions") > 0.98 * n_frames, 3000)
        growth = window.n_bytes - early
        words = f"{hours:g} h: {early / 1e6:.0f} MB at first, {growth / 1e6:+.1f} MB since"
        logging.getLogger(__name__).info(words)
        assert growth < MOST_GROWTH_BYTES, words
        assert window.told("trials") > least_trials, "it stood still"
        # one that is opened on a session of hours knows all of it, and is no larger
        until(lambda: late.told("decisions") > 0.98 * n_frames, 600)
        assert late.told("trials") > least_trials
        assert late.n_bytes - early < MOST_GROWTH_BYTES
        # NWB of ten hours is not what is tried here
        session.kill(session.process.pid)
