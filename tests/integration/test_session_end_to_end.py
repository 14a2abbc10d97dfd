"""A whole session with a real window, and what it leaves: pictures, valve edges, files."""

import math
import re
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from measure_grating import angle_between, orientation_deg
from picture_screen import screenshot
from pynwb import NWBHDF5IO
from running_session import DEMO, SHORT, RunningSession, bci, sets

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import Outcome
from bci.core.stimulus_types import FlipKind, FlipReport, ScreenHello, ScreenKind
from bci.recording.session_record import SessionRecord

SEEN_DEG = 1.0
MARGIN_S = 0.08


@pytest.mark.timeout(180)
def test_session_turns_the_grating_pays_and_leaves_files_that_agree(tmp_path: Path) -> None:
    overrides = (*SHORT, "experiment.task.session_s=22", "experiment.task.trial_s=4")
    pictures = []
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        session.wait_for_state("RUN")
        display = _display(session)
        while (newest := session.telemetry()) is not None and newest.state != "DONE":
            before_ns = time.perf_counter_ns()
            image = screenshot(display)
            pictures.append((before_ns, time.perf_counter_ns(), image))
            if session.process.poll() is not None or len(pictures) > 60:
                break
            time.sleep(0.25)
        code, output = session.end()
        assert code == 0, output
        assert not session.left_running()
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

    assert _compare_pictures(record, pictures) >= 3
    assert "identical" in bci("verify", folder).stdout
    _assert_nwb_equals_journal(folder, record)
    html = (folder / "report.html").read_text("utf-8")
    assert "<html" in html
    assert not re.search(r"<script[^>]+src=", html)
    without_scripts = re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", without_scripts)


def _display(session: RunningSession) -> str:
    hello = next(
        timed.value for timed in session.record().screen if isinstance(timed.value, ScreenHello)
    )
    return hello.display


def _compare_pictures(record: SessionRecord, pictures: list[tuple[int, int, np.ndarray]]) -> int:
    """Compare every picture taken while one grating stood; how many there were."""
    commands = {d.command.command_id: d.command for d in record.decisions if d.command is not None}
    shown = [
        (timed.value.t_flip_ns, commands[timed.value.command_id])
        for timed in record.screen
        if isinstance(timed.value, FlipReport) and timed.value.kind is FlipKind.SHOWN
    ]
    flips = np.array([t_ns for t_ns, _ in shown])
    margin_ns = int(MARGIN_S * 1e9)
    compared = 0
    for before_ns, after_ns, image in pictures:
        last = int(np.searchsorted(flips, before_ns - margin_ns)) - 1
        stands = last >= 0 and (last + 1 == len(flips) or flips[last + 1] > after_ns)
        if not stands or shown[last][1].screen not in (ScreenKind.GRATING, ScreenKind.FROZEN):
            continue
        commanded = shown[last][1].orientation_deg
        off_deg = angle_between(orientation_deg(image), commanded, 180)
        assert off_deg < SEEN_DEG, f"{commanded} commanded, {off_deg:.2f} degrees off"
        compared += 1
    return compared


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
