"""A block of trials has the name of its session type wherever it is named."""

from pathlib import Path

import pytest
from played_session import made_session, played
from pynwb import NWBHDF5IO

from bci.analysis.report.day import block_rows
from bci.core.blocks import block_label
from bci.core.loop_types import BlockKind, Outcome
from bci.recording.nwb import export_nwb
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import step_again
from bci.recording.time_axis import TimeAxis
from bci.recording.verify import VerdictKind, verify
from bci.session.progress import trials_ended
from bci.stream.telemetry import Telemetry


@pytest.mark.parametrize("kind", ["open_loop", "passive"])
def test_nwb_and_report_name_the_session_type_of_a_block(kind: str, tmp_path: Path) -> None:
    session = made_session(experiment={"session_type": {"kind": kind}})
    played(tmp_path, 200, session=session)
    record = SessionRecord.read(tmp_path)
    with NWBHDF5IO(export_nwb(tmp_path), "r") as io:
        file = io.read()
        assert [tuple(tags) for tags in file.epochs["tags"][:]] == [(kind,)]
        words = kind.replace("_", " ")
        assert f"({words})" in file.session_description
        assert kind in file.experiment_description
        assert words in file.keywords[:]
        assert "losed loop" not in file.session_description + " ".join(file.keywords[:])
    assert [row[1] for row in block_rows(record, TimeAxis(record))] == [words]
    assert verify(tmp_path).kind is VerdictKind.IDENTICAL


def test_baseline_keeps_its_name_in_every_session_type() -> None:
    session_type = made_session(experiment={"session_type": {"kind": "passive"}}).experiment
    assert block_label(BlockKind.BASELINE, session_type.session_type) == "baseline"
    assert block_label(BlockKind.CLOSED_LOOP, session_type.session_type) == "passive"


def test_passive_trials_are_neither_hits_nor_misses(tmp_path: Path) -> None:
    played(tmp_path, 200, session=made_session(experiment={"session_type": {"kind": "passive"}}))
    record = SessionRecord.read(tmp_path)
    found = step_again(record).performance
    n = len(record.trials)
    assert {trial.outcome for trial in record.trials} == {Outcome.NONE}
    assert (found.hits, found.misses, found.aborts, found.unscored) == (0, 0, 0, n)
    assert found.n_trials == n > 3
    assert found.accuracy != found.accuracy
    now = Telemetry(0, "RUN", n_trials=n, performance=found)
    told = trials_ended(Telemetry(0, "RUN"), now)
    assert "miss" not in told
    assert "cut off" not in told
