"""Sessions that version 0.1.0 recorded are recomputed bit for bit by this version."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from played_session import made_session, played

from bci.core.loop_types import Outcome
from bci.core.task import TaskMachine
from bci.recording.folder import JOURNAL, MANIFEST
from bci.recording.manifest import read_manifest
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import step_again
from bci.recording.verify import VerdictKind, verify

OLD = Path(__file__).parents[1] / "data"
N_INPUTS = {
    # a baseline, 13 trials, and between them gaps, pauses, duplicates, NaN and a malformed frame
    "session-0.1.0": 2093,
    # six trials of passive viewing, which version 0.1.0 called misses
    "passive-0.1.0": 161,
}


def old_session(name: str, folder: Path) -> Path:
    (folder / MANIFEST).write_bytes((OLD / name / MANIFEST).read_bytes())
    (folder / JOURNAL).write_bytes(gzip.decompress((OLD / name / f"{JOURNAL}.gz").read_bytes()))
    return folder


@pytest.mark.parametrize("name", N_INPUTS)
def test_session_of_version_0_1_0_verifies(name: str, tmp_path: Path) -> None:
    verdict = verify(old_session(name, tmp_path))
    assert verdict.ok, verdict
    assert verdict.n_compared == verdict.n_inputs == N_INPUTS[name]
    # s and s3 are exact sums: they do not depend on the computer
    assert verdict.max_ulp == 0


def test_passive_trials_of_version_0_1_0_are_read_as_neither_hits_nor_misses(
    tmp_path: Path,
) -> None:
    record = SessionRecord.read(old_session("passive-0.1.0", tmp_path))
    outcomes = {trial.outcome for trial in record.trials}
    assert outcomes == {Outcome.NONE}
    found = step_again(record).performance
    assert (found.hits, found.misses, found.unscored) == (0, 0, len(record.trials))


def test_a_passive_miss_in_a_journal_of_today_is_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the old loop made it, beside settings that only this version writes."""

    def scored(*args: Any, **kwargs: Any) -> TaskMachine:
        return TaskMachine(*args, **{**kwargs, "is_scored": True})

    monkeypatch.setattr("bci.core.loop.TaskMachine", scored)
    played(tmp_path, 160, session=made_session(experiment={"session_type": {"kind": "passive"}}))
    monkeypatch.undo()
    assert not read_manifest(tmp_path).counts_passive_as_misses
    verdict = verify(tmp_path)
    assert verdict.kind is VerdictKind.DIFFERENT
    assert verdict.difference is not None
    assert verdict.difference.field == "trial_end"
