"""The subject's daily cap, over two sessions and an operator's reward."""

import csv
from pathlib import Path

import pytest
from microscope import endpoint_of
from pynwb import NWBHDF5IO
from running_session import DEMO, PATIENT_BOARD, SHORT, RunningSession, sets, write_files
from support.command_line import run_here
from waiting import WAIT_S, until

from bci.core.loop_types import BlockBegun, BlockKind, Finish, Outcome, TaskState
from bci.recording.verify import VerdictKind, verify
from bci.stream.operator import OperatorClient

EASY = (
    *SHORT,
    *PATIENT_BOARD,
    "rig.screen.backend=null",
    "experiment.calibration.target_fraction=0.9",
)


pytestmark = pytest.mark.usefixtures("noon")


def begin(session: RunningSession, block: BlockKind) -> None:
    """Let the next block begin, as soon as the one before is over."""

    def is_next() -> bool:
        told = session.telemetry()
        return told is not None and (told.waits_for, told.next_block) == ("operator", block)

    until(is_next)
    operator = OperatorClient(endpoint_of(session, "operator"), session.access)
    assert operator.ask(BlockBegun(block), WAIT_S).accepted
    operator.close()


def test_session_ends_after_the_trial_that_used_the_cap_up_and_the_next_is_refused(
    tmp_path: Path,
) -> None:
    # held, so that the operator's reward comes before those of the task
    capped = sets((*EASY, "experiment.task.daily_cap_ul=11", "experiment.hold=true"))
    with RunningSession("run", DEMO, *capped, out=tmp_path) as session:
        session.wait_for_state("WAITING")
        too_much = run_here("reward", "give", session.folder, "--ul=12")
        given = run_here("reward", "give", session.folder, "--ul=3")
        begin(session, BlockKind.BASELINE)
        begin(session, BlockKind.CLOSED_LOOP)
        code, output = session.end()
        assert code == 0, output
        record, edges, folder = session.record(), session.valve_edges(), session.folder
    assert too_much.code == 1
    assert "cap of 11 µl" in too_much.out
    assert (given.code, given.out.strip()) == (0, "3 µl asked for")
    assert "daily cap" in output
    assert "11 µl today" in output

    hits = [trial for trial in record.trials if trial.outcome is Outcome.HIT]
    assert len(hits) == 2
    [finish] = [e.value.event for e in record.events if isinstance(e.value.event, Finish)]
    assert "11 µl" in finish.reason
    last = record.decisions[-1]
    assert last.state is TaskState.DONE
    assert record.trials[-1].outcome is Outcome.HIT
    assert last.trial == record.trials[-1].trial
    assert verify(folder).kind is VerdictKind.IDENTICAL

    with (folder.parent / "rewards.csv").open() as file:
        rows = list(csv.DictReader(file))
    sent = [row for row in rows if row["state"] == "sent"]
    ended = [row for row in rows if row["state"] != "sent"]
    assert [row["request_id"] for row in sent] == [
        str(edge["request_id"]) for edge in edges if edge["level"]
    ]
    assert [row["request_id"] for row in ended] == [row["request_id"] for row in sent]
    assert sorted((row["origin"], row["volume_ul"], row["state"]) for row in ended) == [
        ("operator", "3.0", "done"),
        ("task", "4.0", "done"),
        ("task", "4.0", "done"),
    ]
    write_files(folder)
    with NWBHDF5IO(folder / "session.nwb", "r") as io:
        told = str(io.read().get_scratch("rewards"))
    assert '"day_ul":11.0' in told

    again = run_here("run", DEMO, *capped, "--headless", f"--out={tmp_path}")
    assert again.code == 2
    assert "had 11 µl today of at most 11 µl" in again.err.replace("\n", " ")
    assert len(list(folder.parent.glob("2*"))) == 1
