"""Ten hours of session, as fast as it goes: the window keeps its size."""

import json
import logging
import os
import subprocess
import sys
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


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_hours_of_session_let_the_window_grow_by_less_than_50_mb(tmp_path: Path) -> None:
    hours = float(os.environ.get("BCI_WINDOW_HOURS", HOURS))
    duration_s = 3600 * hours
    root, state_file = tmp_path / "sessions", tmp_path / "window.json"
    arguments = ("run", DEMO, f"--duration={duration_s}", *sets(SETTINGS))
    with RunningSession(*arguments, out=root) as session:
        folder = session.folder
        window = subprocess.Popen(
            [sys.executable, str(CHILD), str(state_file), "attach", str(folder)],
            cwd=ROOT,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        )
        try:
            memory = psutil.Process(window.pid)

            def told(what: str) -> int:
                assert window.poll() is None
                try:
                    return int(json.loads(state_file.read_text())[what])
                except FileNotFoundError:
                    return 0

            # every ring is full by then: 40,000 decisions
            early = until(
                lambda: memory.memory_info().rss if told("decisions") > 60_000 else 0, 600
            )
            n_frames = duration_s * RATE_HZ
            until(lambda: told("decisions") > 0.98 * n_frames, 3000)
            growth = memory.memory_info().rss - early
            words = f"{hours:g} h: {early / 1e6:.0f} MB at first, {growth / 1e6:+.1f} MB since"
            logging.getLogger(__name__).info(words)
            assert growth < MOST_GROWTH_BYTES, words
            assert told("trials") > 0.9 * duration_s / LONGEST_TRIAL_S, "it stood still"
        finally:
            window.kill()
            window.wait(10)
        # NWB of ten hours is not what is tried here
        session.kill(session.process.pid)
