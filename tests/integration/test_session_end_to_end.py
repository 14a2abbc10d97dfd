"""A whole session with a real window, and what it leaves: pictures, valve edges, files."""

import math
import re
import time
from bisect import bisect_left
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from measure_grating import angle_between, find_wave, orientation_deg, phase_cycles
from picture_screen import photographed
from pynwb import NWBHDF5IO
from running_session import DEMO, PATIENT_BOARD, SHORT, RunningSession, sets
from support.command_line import run_here
from waiting import until

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import Outcome
from bci.core.passive_gratings import ANGLES_DEG
from bci.core.stimulus_types import (
    FlipKind,
    FlipReport,
    ScreenHello,
    ScreenKind,
    StimulusCommand,
)
from bci.recording.session_record import SessionRecord

Picture = tuple[int, int, np.ndarray]
Shown = list[tuple[int, int, StimulusCommand]]
SEEN_DEG = 1.0
MARGIN_S = 0.08
DRIFT_HZ = 0.5
FAR_CYCLES = 0.15
ENOUGH = 4
SMALL = ("rig.screen.width_px=400", "rig.screen.height_px=300")
"""As good to measure, and less to draw."""
GRATINGS = (
    f"experiment.stimulus.temporal_freq_hz={DRIFT_HZ}",
    f"experiment.baseline.temporal_freq_hz={DRIFT_HZ}",
    "experiment.baseline.duration_s=11",
    "experiment.baseline.stimulus=gratings",
    "experiment.baseline.grating_jitter_s=0",
    "experiment.baseline.seed=15",
)
"""Every angle stands for a second in the baseline block."""


def test_session_turns_the_grating_pays_and_leaves_files_that_agree(tmp_path: Path) -> None:
    overrides = (
        *SHORT,
        *GRATINGS,
        *SMALL,
        *PATIENT_BOARD,
        "experiment.task.session_s=11",
        # a machine that is at other things for a moment must not pause the task
        "experiment.faults.stall_s=60",
    )
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path, files=True) as session:
        session.wait_for_state("BASELINE")
        pictures = _pictures(session)
        code, output = session.end()
        assert code == 0, output
        until(lambda: not session.left_running())
        record = session.record()
        folder = session.folder
        assert f"journal  {folder / 'journal.mcap'}" in output
        assert "session.nwb" in output
        assert "report.html" in output

        outcomes = Counter(trial.outcome for trial in record.trials)
        assert outcomes[Outcome.HIT] >= 1
        assert outcomes[Outcome.MISS] >= 1
        done = [e.request_id for e in record.board if e.kind is BoardEventKind.REWARD_DONE]
        assert len(done) == outcomes[Outcome.HIT]
        opened = [edge["request_id"] for edge in session.valve_edges() if edge["level"] == 1]
        assert opened == done

    shown = _shown(record)
    seen = _compare_pictures(shown, pictures)
    assert len(seen) >= 10
    assert set(seen) == set(ANGLES_DEG)
    _assert_drift(shown, pictures)
    assert "identical" in run_here("verify", folder).out
    _assert_nwb_equals_journal(folder, record)
    html = (folder / "report.html").read_text("utf-8")
    assert "<html" in html
    assert not re.search(r"<script[^>]+src=", html)
    without_scripts = re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", without_scripts)


def _pictures(session: RunningSession) -> list[Picture]:
    """What the screen shows until it closes, and between which times it was seen."""
    display = _display(session)
    pictures: list[Picture] = []
    while (newest := session.telemetry()) is not None and newest.state != "DONE":
        try:
            before_ns, after_ns, image = photographed(display)
        except OSError:
            break
        pictures.append((before_ns, after_ns, image))
        time.sleep(0.15)
    return pictures


def _display(session: RunningSession) -> str:
    def hello() -> ScreenHello | None:
        told = (timed.value for timed in session.record().screen)
        return next((value for value in told if isinstance(value, ScreenHello)), None)

    return until(hello).display


def _shown(record: SessionRecord) -> Shown:
    """When each command began to be drawn, and when it was flipped to the screen."""
    commands = {d.command.command_id: d.command for d in record.decisions if d.command is not None}
    return [
        (timed.value.t_draw_ns, timed.value.t_flip_ns, commands[timed.value.command_id])
        for timed in record.screen
        if isinstance(timed.value, FlipReport) and timed.value.kind is FlipKind.SHOWN
    ]


def _compare_pictures(shown: Shown, pictures: list[Picture]) -> list[float]:
    """Compare every picture taken while one grating stood; the angle commanded at each."""
    flips = np.array([flip_ns for _, flip_ns, _ in shown])
    margin_ns = int(MARGIN_S * 1e9)
    compared = []
    for before_ns, after_ns, image in pictures:
        last = int(np.searchsorted(flips, before_ns - margin_ns)) - 1
        # the next one may be seen before its flip is stamped, never before it is drawn
        stands = last >= 0 and (last + 1 == len(flips) or shown[last + 1][0] > after_ns)
        if not stands or shown[last][2].screen not in (ScreenKind.GRATING, ScreenKind.FROZEN):
            continue
        commanded = shown[last][2].orientation_deg
        if compared.count(commanded) == ENOUGH:
            continue
        off_deg = angle_between(orientation_deg(image), commanded, 180)
        assert off_deg < SEEN_DEG, f"{commanded} commanded, {off_deg:.2f} degrees off"
        compared.append(commanded)
    return compared


def _assert_drift(shown: Shown, pictures: list[Picture]) -> None:
    """From one picture to a later one the bars went as far as the commanded speed says, that way.

    The phase at the centre goes on through turns, so the two need not be of one orientation. How
    fast pictures follow each other is the machine's: the later one is the first in which the bars
    went far enough to be measured.
    """
    flips = np.array([flip_ns for _, flip_ns, _ in shown])
    margin_ns = int(MARGIN_S * 1e9)
    moved_cycles, passed_s = [], []
    seen_s = [(before_ns + after_ns) / 2e9 for before_ns, after_ns, _ in pictures]
    for index, first in enumerate(pictures):
        later = bisect_left(seen_s, seen_s[index] + FAR_CYCLES / DRIFT_HZ)
        if later == len(pictures):
            break
        second = pictures[later]
        begin_ns, end_ns = first[0] - margin_ns, second[1] + margin_ns
        first_flip, last_flip = np.searchsorted(flips, (begin_ns, end_ns))
        between = [command for _, _, command in shown[max(first_flip - 1, 0) : last_flip]]
        drifting = first_flip > 0 and all(one.screen is ScreenKind.GRATING for one in between)
        seconds = seen_s[later] - seen_s[index]
        # from half a cycle on, the other direction would look the same
        if not drifting or seconds * DRIFT_HZ > 0.45:
            continue
        images = [image[::2, ::2] for _, _, image in (first, second)]
        phases = [phase_cycles(image, find_wave(image)) for image in images]
        moved_cycles.append((phases[0] - phases[1]) % 1.0)
        passed_s.append(seconds)
    assert len(moved_cycles) >= 10
    # bars that move the other way, or stand, are far from this
    assert sum(moved_cycles) / sum(passed_s) == pytest.approx(DRIFT_HZ, rel=0.1)


def _assert_nwb_equals_journal(folder: Path, record: SessionRecord) -> None:
    table = record.decision_table[record.decision_table["decoded"]]
    with h5py.File(folder / "session.nwb") as plain:
        for name in ("s", "s3", "angle_deg", "frame_id"):
            stored = plain[f"processing/bci/{name}/data"][:]
            np.testing.assert_array_equal(stored, table[name], err_msg=name)
    with NWBHDF5IO(folder / "session.nwb", "r") as io:
        trials = io.read().trials.to_dataframe()
    assert list(trials["outcome"]) == [trial.outcome.value for trial in record.trials]
    for stored, trial in zip(trials["time_to_hit_s"], record.trials, strict=True):
        assert stored == trial.time_to_hit_s or math.isnan(stored + trial.time_to_hit_s)
