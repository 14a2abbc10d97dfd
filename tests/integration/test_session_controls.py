"""Control experiments through the real processes: what they leave, and that they verify."""

import re
from math import isnan
from pathlib import Path

import pytest
from pynwb import NWBHDF5IO
from running_session import DEMO, ROOT, SHORT, RunningSession, sets, write_files
from support.command_line import run_here

from bci.config.load import load_session
from bci.core.board_types import BoardEventKind
from bci.core.chance_of_trials import MEANS_NOTHING
from bci.core.loop_types import PlaybackSet
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, verify

FAST = ("rig.stream.delivery=lossless", "rig.screen.backend=null")
SIMULATED = sorted(
    path.stem
    for path in (ROOT / "configs").glob("*.toml")
    if load_session(path).rig.source.kind == "simulated"
)


def run(file: Path, out: Path, *overrides: str) -> tuple[SessionRecord, str]:
    """A session as fast as possible, to its end, verified."""
    with RunningSession("run", file, *sets((*FAST, *overrides)), out=out) as session:
        code, output = session.end(timeout_s=800.0)
        assert code == 0, output
        assert verify(session.folder).kind is VerdictKind.IDENTICAL
        return session.record(), output


def test_yoked_session_repeats_a_recorded_one_for_another_animal(tmp_path: Path) -> None:
    minute = ("experiment.task.session_s=60",)
    first, output = run(DEMO, tmp_path / "first", *SHORT, *minute)
    assert "(closed loop)" in output
    # the clock of the terminal is frame time, also where frames come faster than real time
    clock_s = [float(s) for s in re.findall(r"^ *(\d+\.\d) s  ", output, re.MULTILINE)]
    ids = first.decision_table["frame_id"]
    assert 60.0 < clock_s[-1] <= (ids[-1] - ids[0]) / first.info.rate_hz + 0.05
    kind = (
        "experiment.session_type.kind=yoked",
        f"experiment.session_type.recording={first.folder}",
        "experiment.light.trials=fraction",
        "experiment.light.blanked_rows=0",
        "rig.source.seed=8",
    )
    second, output = run(DEMO, tmp_path / "second", *SHORT, *minute, *kind)
    assert ": yoked" in output
    assert f"(yoked to {first.folder.name}, light in 50 % of trials)" in output
    n = len(first.trials)
    assert n >= 8
    assert len(second.trials) == n
    for one, other in zip(first.trials, second.trials, strict=True):
        assert one.outcome == other.outcome
        assert one.time_to_hit_s == other.time_to_hit_s or isnan(one.time_to_hit_s)
    done = [sum(e.kind is BoardEventKind.REWARD_DONE for e in r.board) for r in (first, second)]
    assert done[0] == done[1] > 0
    (playback,) = [e.value.event for e in second.events if isinstance(e.value.event, PlaybackSet)]
    assert playback.source == first.info.session
    lit = [e.value for e in second.board if e.kind is BoardEventKind.LIGHT]
    assert {0.0, 1.0} <= set(lit)
    write_files(second.folder)
    with NWBHDF5IO(second.folder / "session.nwb", "r") as io:
        trials = io.read().trials.to_dataframe()
    assert set(trials["session_type"]) == {"yoked"}
    assert set(trials["light"]) == {"none", "trial"}
    assert MEANS_NOTHING in (second.folder / "report.html").read_text("utf-8")
    assert trials["chance"].isna().all()


def test_recording_that_does_not_serve_ends_before_anything_starts(tmp_path: Path) -> None:
    yoked = (
        "experiment.session_type.kind=yoked",
        f"experiment.session_type.recording={tmp_path}",
    )
    refused = run_here("run", DEMO, *sets(yoked), "--headless", f"--out={tmp_path / 'out'}")
    assert refused.code == 2
    assert "experiment.session_type.recording" in refused.out + refused.err
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SIMULATED)
def test_configuration_runs_to_its_end_and_verifies(name: str, tmp_path: Path) -> None:
    record, _ = run(ROOT / "configs" / f"{name}.toml", tmp_path, "rig.sound.backend=null")
    assert record.end is not None
    assert record.end.reason == "task over"
    assert len(record.trials) >= 2
