"""T raised in a whole session: accuracy and chance are of the same trials wherever they stand."""

import json
from math import isnan
from pathlib import Path

import h5py
import numpy as np
import pytest
from running_session import REPLAY, SHORT, RunningSession, sets, write_files

from bci.core.loop_types import Outcome
from bci.recording.performance import chance_of
from bci.recording.verify import VerdictKind, verify

RATE_HZ, N_S = 30, 200
OVERRIDES = (
    *SHORT,
    "experiment.baseline.duration_s=130",
    "rig.source.background_counts=0",
    'experiment.decoder.p_plus=["roi0000", "roi0001", "roi0002"]',
    'experiment.decoder.p_minus=["roi0003", "roi0004", "roi0005"]',
    "experiment.adaptive.hit_rate=0.3",
    "experiment.adaptive.n_trials=3",
    "experiment.adaptive.step=0.05",
    "experiment.adaptive.max_steps=2",
)


def recorded(path: Path) -> Path:
    """Events of every cell, at different times; ROIs x frames."""
    rng = np.random.default_rng(4)
    n_frames = RATE_HZ * N_S
    events = rng.random((6, n_frames)) < 0.25 / RATE_HZ
    decay = np.exp(-np.arange(30) / (0.5 * RATE_HZ))
    traces = np.stack([np.convolve(row, decay)[:n_frames] for row in events])
    np.save(path, (500 * (1 + 0.6 * traces + rng.normal(0, 0.02, traces.shape))).astype("f4"))
    return path


def test_raised_t_has_a_chance_of_its_own_wherever_chance_stands(tmp_path: Path) -> None:
    arguments = ("replay", recorded(tmp_path / "traces.npy"), REPLAY, "--as-fast-as-possible")
    with RunningSession(*arguments, *sets(OVERRIDES), out=tmp_path / "out") as session:
        code, output = session.end()
        assert code == 0, output
        assert verify(session.folder).kind is VerdictKind.IDENTICAL
        record, folder = session.record(), session.folder
    found = record.calibrations[-1]
    decided = [trial for trial in record.trials if trial.outcome is not Outcome.ABORT]
    ladder = [found.t, *(t for t, _ in found.raised)]
    assert sorted({trial.threshold for trial in decided}) == ladder
    assert len(ladder) == 3
    of_t = dict(zip(ladder, [found.chance, *(one.chance for _, one in found.raised)], strict=True))
    assert not any(map(isnan, of_t.values()))
    assert of_t[ladder[0]] > of_t[ladder[2]]
    mean = np.mean([of_t[trial.threshold] for trial in decided])
    chance = chance_of(record)
    assert chance.now[0] == pytest.approx(mean)
    assert chance.words.endswith("mean over 3 T")

    summary = json.loads((folder / "manifest.json").read_text("utf-8"))["outcome"]["summary"]
    assert summary["chance"] == pytest.approx(chance.now)
    assert summary["chance_words"] == chance.words
    write_files(folder)
    assert chance.words in (folder / "report.html").read_text("utf-8")
    with h5py.File(folder / "session.nwb") as file:
        trials = file["intervals/trials"]
        assert trials["threshold"][:].tolist() == [trial.threshold for trial in record.trials]
        assert trials["chance"][:].tolist() == [of_t[trial.threshold] for trial in record.trials]
