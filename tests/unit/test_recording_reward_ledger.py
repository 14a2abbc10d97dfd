"""The subject's rewards on file: nothing lost, nothing counted twice, readable by people."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_session import NAME, record_session

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.recording.records import Topic
from bci.recording.reward_ledger import (
    REWARDS,
    RewardLedger,
    RewardLine,
    append_lines,
    ledger_path,
    read_ledger,
    volume_on,
)
from bci.recording.settled_rewards import settle_rewards

DAY = date(2026, 11, 22)
K = BoardEventKind


def line(request_id: int, state: str = "done", **changes: object) -> RewardLine:
    values = {
        "time": "2026-11-22T08:15:00.000+01:00",
        "session": "m1-20261122T081500",
        "request_id": request_id,
        "origin": "task",
        "trial": request_id,
        "volume_ul": 4.0,
        "state": state,
        "board": "serial",
    }
    return RewardLine(**(values | changes))  # type: ignore[arg-type]


def test_what_is_appended_is_read_again_and_nothing_before_it_changes(tmp_path: Path) -> None:
    path = tmp_path / REWARDS
    append_lines(path, [line(1), line(2, "failed")])
    before = path.read_bytes()
    append_lines(path, [line(3, "unknown")])
    assert path.read_bytes().startswith(before)
    assert read_ledger(path) == [line(1), line(2, "failed"), line(3, "unknown")]
    assert before.decode().splitlines()[0].startswith("time,session,request_id,origin")


@given(cut=st.integers(1, 70))
def test_line_cut_short_by_a_crash_costs_itself_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / REWARDS
    append_lines(path, [line(1), line(2)])
    path.write_bytes(path.read_bytes()[:-cut])
    append_lines(path, [line(3)])
    found = read_ledger(path)
    assert found[0] == line(1)
    assert found[-1] == line(3)


def test_day_counts_unknown_as_given_and_rehearsals_apart() -> None:
    lines = [
        line(1),
        line(2, "unknown"),
        line(3, "failed"),
        line(4, time="2026-11-21T23:59:59.999+01:00"),
        line(5, board="simulated"),
    ]
    assert volume_on(lines, DAY, "serial") == 8.0
    assert volume_on(lines, DAY, "chip") == 4.0


def test_ledger_of_a_session_lies_beside_the_sessions_of_its_subject(tmp_path: Path) -> None:
    assert ledger_path(tmp_path / "m1" / NAME, "m1") == tmp_path / "m1" / REWARDS
    assert ledger_path(tmp_path / "elsewhere", "m1") == tmp_path / "elsewhere" / REWARDS


def test_ledger_that_cannot_be_written_is_a_fault_and_no_wait(tmp_path: Path) -> None:
    ledger = RewardLedger(tmp_path / "missing" / REWARDS)
    ledger.add(line(1))
    ledger.close()
    assert ledger.fault is not None


def test_rewards_of_a_session_that_broke_off_are_settled_once(tmp_path: Path) -> None:
    folder = tmp_path / "nobody" / NAME
    journal = record_session(folder, close=False)
    told = [
        (1_000_000, K.REWARD_REQUESTED, 2.5),
        (1_000_000, K.REWARD_SENT, 0.0),
        (1_000_001, K.REWARD_REQUESTED, 3.0),
        (1_000_001, K.REWARD_DONE, 30_000.0),
        (1_000_002, K.REWARD_REQUESTED, 3.0),
        (1_000_002, K.REWARD_DONE, 30_000.0),
    ]
    for request_id, kind, value in told:
        journal.append(Topic.BOARD, BoardEvent(request_id, kind, None, 5, value))
    journal.close("killed")
    path = folder.parent / REWARDS
    append_lines(path, [line(1_000_001, session=NAME, origin="operator")])
    n_task = settle_rewards(folder) - 2
    by_id = {one.request_id: one for one in read_ledger(path)}
    assert (by_id[1_000_000].state, by_id[1_000_000].volume_ul) == ("unknown", 2.5)
    assert (by_id[1_000_002].state, by_id[1_000_002].origin) == ("done", "operator")
    assert len(by_id) == 3 + n_task
    before = path.read_bytes()
    assert settle_rewards(folder) == 0
    assert path.read_bytes() == before
