"""`bci calibrate`: from a recording to ensembles, T and a page in the animal's folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from running_session import REPLAY
from support.command_line import run_here

from bci.config.rig import SimulatedSource
from bci.simulation.field_of_view import SimulatedFieldOfView

LONG_TRIALS = (
    "--set",
    "experiment.task.trial_s=200",
    "--set",
    "experiment.baseline.duration_s=600",
)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = SimulatedFieldOfView(
        SimulatedSource(kind="simulated", n_rois=14, rate_hz=30.0, diversity=0.5, seed=2)
    )
    frames = np.stack([source.read(0.0).fluorescence for _ in range(4500)])
    path = tmp_path_factory.mktemp("baseline") / "traces.npy"
    np.save(path, frames.T)
    return path


def test_two_days_of_an_animal(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "sessions"
    options = ("--subject=m1", f"--out={out}", f"--json={tmp_path / 'first.json'}")
    first = run_here("calibrate", recording, REPLAY, *options, "--seed=3")
    assert first.code == 0, first.err
    assert "not a candidate" in first.out
    result = json.loads((tmp_path / "first.json").read_text("utf-8"))
    chosen, found = result["ensembles"], result["calibration"]
    assert len({*chosen["p_plus"], *chosen["p_minus"]}) == 8
    assert f"{found['t']:.4f} dF/F" in first.out
    for path in result["files"].values():
        assert Path(path).parent == out / "m1" / "subject"
        assert path in first.out
        assert Path(path).stat().st_size > 0

    again = run_here(
        "calibrate", recording, REPLAY, *options[:2], f"--json={tmp_path / 'again.json'}"
    )
    assert again.code == 0, again.err
    later = json.loads((tmp_path / "again.json").read_text("utf-8"))
    assert later["ensembles"] == chosen
    # the same baseline: z of day 1 carried over is T of day 1
    assert later["calibration"]["t"] == pytest.approx(found["t"])
    assert "ensembles" not in later["files"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--set", "experiment.ensembles.min_snr=1000"), "min_snr (now 1000)"),
        (("--plus=roi0001,nobody", "--minus=roi0001"), "3 faults"),
        (("--subject=a/b",), "subject"),
        (LONG_TRIALS, "record a longer baseline"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_kept(
    options: tuple[str, ...], says: str, recording: Path, tmp_path: Path
) -> None:
    done = run_here("calibrate", recording, REPLAY, f"--out={tmp_path / 'out'}", *options)
    assert done.code == 2, done.out + done.err
    assert says in done.err
    assert not (tmp_path / "out").exists()


def test_recording_without_settings_is_refused(recording: Path) -> None:
    done = run_here("calibrate", recording)
    assert done.code == 2
    assert "session file" in done.err
