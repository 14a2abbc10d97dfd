"""Wrong settings end in one clear message before anything starts, with exit code 2."""

from pathlib import Path

import pytest
from running_session import DEMO, ROOT, bci, sets
from support.command_line import run_here

WRONG_SETS = {
    "wrong type": (["experiment.task.trial_s=long"], ["experiment.task.trial_s", "'long'"]),
    "unknown key": (["experiment.task.trail_s=3"], ["experiment.task.trail_s", "trial_s"]),
    "negative": (["experiment.task.trial_s=-1"], ["experiment.task.trial_s", "-1"]),
    "unknown kind": (['rig.board.kind="teensy"'], ["rig.board.kind", "serial"]),
    "ROI that is not there": (
        ['experiment.decoder.p_plus=["roi9999"]'],
        ["experiment.decoder.p_plus", "roi9999", "roi0000"],
    ),
    "ROI in the other plane": (
        ['experiment.decoder.p_minus=["roi0001"]'],
        ["experiment.decoder.p_minus", "roi0001", "plane 1"],
    ),
    "overlap": (
        ['experiment.decoder.p_minus=["roi0000"]'],
        ["experiment.decoder.p_plus", "roi0000", "share"],
    ),
    "T below lo": (
        ["experiment.threshold.t=0.1", "experiment.threshold.lo=0.2"],
        ["experiment.threshold.t", "0.1", "0.2"],
    ),
    "port that is not there": (
        ['rig.board.kind="serial"', 'rig.board.port="/dev/ttyNOWHERE"'],
        ["rig.board.port", "/dev/ttyNOWHERE", "Found", "simulated"],
    ),
    "no port": (['rig.board.kind="serial"'], ["rig.board.port"]),
    "baseline too short": (
        ["experiment.baseline.duration_s=5"],
        ["experiment.baseline.duration_s", "f0_window_s"],
    ),
    "recording that is not there": (
        ['rig.source={kind="recording", path="nowhere.npy"}'],
        ["rig.source.path", "nowhere.npy"],
    ),
    "KEY without VALUE": (["experiment.task.trial_s"], ["KEY=VALUE"]),
}


def assert_refused(*arguments: object, says: list[str], out: Path) -> None:
    done = run_here("run", *arguments, "--headless", f"--out={out}")
    told = done.out + done.err
    assert done.code == 2, told
    assert "Traceback" not in told
    for words in says:
        assert words in told, told
    assert not out.exists(), "something was started"


@pytest.mark.parametrize("wrong", WRONG_SETS)
def test_wrong_setting_is_told_before_anything_starts(wrong: str, tmp_path: Path) -> None:
    overrides, says = WRONG_SETS[wrong]
    assert_refused(DEMO, *sets(overrides), says=says, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["rig", "experiment"]),
        ("rig = [", ["TOML"]),
        ('rig = "nowhere.toml"\nexperiment = "nowhere.toml"', ["nowhere.toml"]),
        ("rig = 3\nexperiment = 4", ["rig", "experiment"]),
    ],
    ids=["empty", "not TOML", "names no file", "numbers"],
)
def test_wrong_file_is_told_before_anything_starts(
    text: str, says: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, "utf-8")
    assert_refused(path, says=says, out=tmp_path / "out")


def test_missing_file_and_folder_are_told(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere.toml", says=["nowhere.toml"], out=tmp_path / "out")
    assert_refused(ROOT / "configs", says=["configs", "folder"], out=tmp_path / "out")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    every = ["wrong type", "unknown key", "overlap", "port that is not there"]
    overrides = [override for wrong in every for override in WRONG_SETS[wrong][0]]
    keys = [WRONG_SETS[wrong][1][0] for wrong in every]
    assert_refused(DEMO, *sets(overrides), says=keys, out=tmp_path / "out")


@pytest.mark.parametrize("verb", ["verify", "recover", "export", "report"])
def test_verbs_that_want_a_session_folder_say_so(verb: str, tmp_path: Path) -> None:
    done = run_here(verb, tmp_path)
    assert done.code == 2, done
    assert "journal.mcap" in done.out + done.err


def test_a_process_ends_with_that_code(tmp_path: Path) -> None:
    """The others run in this process, through the same entry point."""
    done = bci("run", DEMO, *sets(WRONG_SETS["wrong type"][0]), f"--out={tmp_path / 'out'}")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
