"""The subject's drops on file: nothing lost, nothing counted twice, readable by people."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_session import NAME, record_session
from waiting import until

from bci.config.experiment import Task
from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.rewards import BoardReward, Reward, RewardFate
from bci.recording.daily_cap import DailyCap
from bci.recording.journal import Journal
from bci.recording.records import JournalStart, Topic
from bci.recording.reward_log import (
    FIELDS,
    REWARDS,
    RewardLine,
    RewardLog,
    RewardLogReader,
    board_session,
    read_reward_log,
    reward_log_path,
    unsettled,
)
from bci.recording.settled_rewards import settle_from_board, settle_from_journal

K, F = BoardEventKind, RewardFate
SESSION = "m1-20261122T081500"
AT = datetime.fromisoformat("2026-11-22T08:15:00.000+01:00")
OLD_LOG = (
    "time,session,request_id,origin,trial,volume_ul,state,board\n"
    "2026-11-22T08:15:00.000+01:00,m1-20261122T081500,1,task,1,4.0,done,serial\n"
    "2026-11-22T08:16:00.000+01:00,m1-20261122T081500,2,task,2,4.0,failed,serial\n"
    "2026-11-22T09:00:00.000+01:00,bci reward give,1,operator,0,3.0,done,serial\n"
    "2026-11-22T09:10:00.000+01:00,bci reward give,1,operator,0,3.0,unknown,serial\n"
)
"""As program version 0.1.0 wrote it."""


def log_at(path: Path, session: str = SESSION) -> RewardLog:
    return RewardLog(path, session, "serial", lambda: AT)


def write(path: Path, *lines: RewardLine) -> None:
    with log_at(path, "whoever writes") as log:
        log.settle(lines)


def drop(request_id: int, fate: RewardFate = F.DONE) -> Reward:
    return Reward(request_id, "task", request_id, 4.0, fate)


def line(request_id: int, fate: RewardFate = F.DONE, session: str = SESSION) -> RewardLine:
    time = AT.isoformat(timespec="milliseconds")
    return RewardLine(time, session, request_id, "task", request_id, 4.0, fate, "serial")


@cache
def bytes_of(*lines: RewardLine) -> bytes:
    with TemporaryDirectory() as folder:
        write(Path(folder) / REWARDS, *lines)
        return (Path(folder) / REWARDS).read_bytes()


def given_ul(path: Path) -> float:
    cap = DailyCap(Task(), "serial", clock=lambda: AT)
    cap.read(read_reward_log(path))
    return cap.given().volume_ul


def test_drop_has_a_line_before_it_is_sent_and_one_when_it_has_ended(tmp_path: Path) -> None:
    path = tmp_path / REWARDS
    log = log_at(path)
    log.intend(RewardRequest(1, 4.0, 1))
    # on file at once, and counted: nobody knows yet what becomes of it
    assert read_reward_log(path) == [line(1, F.SENT)]
    assert given_ul(path) == 4.0
    log.end(drop(1, F.FAILED), AT)
    log.close()
    assert read_reward_log(path) == [line(1, F.SENT), line(1, F.FAILED)]
    assert path.read_text().splitlines()[0].split(",") == list(FIELDS)
    assert given_ul(path) == 0.0


def test_line_of_a_drop_survives_the_kill_of_its_process(tmp_path: Path) -> None:
    path = tmp_path / REWARDS
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "from bci.core.board_types import RewardRequest\n"
            "from bci.recording.reward_log import RewardLog\n"
            "log = RewardLog(Path(sys.argv[1]), 's', 'serial')\n"
            "log.intend(RewardRequest(1, 4.0, 1))\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n",
            str(path),
        ],
        check=False,
    )
    assert killed.returncode < 0
    assert [one.state for one in read_reward_log(path)] == [F.SENT]


def test_drop_of_which_no_line_can_be_written_raises(tmp_path: Path) -> None:
    log = log_at(tmp_path / "missing" / REWARDS)
    with pytest.raises(OSError, match="missing"):
        log.intend(RewardRequest(1, 4.0, 1))
    assert log.fault is not None


def test_ends_that_cannot_be_written_wait_for_the_next_flush(tmp_path: Path) -> None:
    path = tmp_path / "later" / REWARDS
    log = log_at(path)
    log.end(drop(1), AT)
    log.flush()
    assert log.fault is not None
    path.parent.mkdir()
    log.close()
    assert read_reward_log(path) == [line(1)]


def test_journal_brings_the_log_to_the_disk_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []

    def sync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))

    monkeypatch.setattr("bci.recording.reward_log.sync_data", sync)
    path = tmp_path / REWARDS
    log = log_at(path)
    with Journal(tmp_path / "journal.mcap", JournalStart("s", "hash", 1, 1)) as journal:
        journal.every_second(log.flush)
        log.intend(RewardRequest(1, 4.0, 1))
        log.end(drop(1), AT)
        until(lambda: len(read_reward_log(path)) == 2 and bool(synced))
        until(lambda: synced[-1] == (path.stat().st_ino, path.stat().st_size))
        news: list[RewardLine] = []
        until(lambda: news.extend(log.news()) or len(news) == 2)
        assert news == [line(1, F.SENT), line(1)]
    log.close()


def test_log_of_the_first_version_is_read_and_added_to(tmp_path: Path) -> None:
    path = tmp_path / REWARDS
    path.write_text(OLD_LOG)
    # two drops by hand had one name and number then
    assert given_ul(path) == 10.0
    assert unsettled(read_reward_log(path)) == []
    with log_at(path, "later") as log:
        log.intend(RewardRequest(1, 4.0, 1))
    assert path.read_text().startswith(OLD_LOG)
    assert given_ul(path) == 14.0


@given(cut=st.integers(1, 140))
def test_line_cut_short_by_a_crash_costs_itself_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("log") / REWARDS
    whole = bytes_of(line(1), line(2))
    path.write_bytes(whole[: -min(cut, len(whole) - len(whole.split(b"\n")[0]) - 90)])
    write(path, line(3))
    found = read_reward_log(path)
    assert found[0] == line(1)
    assert found[-1] == line(3)


@given(
    damage=st.one_of(
        st.binary(min_size=1, max_size=200),
        st.text('",\n\r\0x1nan', min_size=1, max_size=40).map(str.encode),
        st.just(b'"' + b"x" * 200_000),
        st.just(b"2026-11-22T08:15:00+01:00,s,1,task,1,nan,done,serial"),
        st.just(b"2026-11-22T08:15:00+01:00,s,1,task,1,-4.0,done,serial"),
        st.just(b"2026-11-22T08:15:00+01:00,s,1,task,1,4.0,eaten,serial"),
    ),
    place=st.integers(0, 2),
)
def test_damaged_line_costs_nothing_but_itself(
    tmp_path_factory: pytest.TempPathFactory, damage: bytes, place: int
) -> None:
    path = tmp_path_factory.mktemp("log") / REWARDS
    rows = bytes_of(line(1, F.SENT), line(1), line(2, F.SENT)).splitlines(keepends=True)
    rows.insert(1 + place, damage + b"\n")
    path.write_bytes(b"".join(rows))
    found = read_reward_log(path)
    assert [one for one in found if one.session == SESSION] == [
        line(1, F.SENT), line(1), line(2, F.SENT)
    ]  # fmt: skip
    assert all(one.volume_ul >= 0 for one in found)


@given(st.lists(st.integers(1, 200), max_size=12))
def test_reader_that_follows_gives_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / REWARDS
    whole, reader, found = bytes_of(line(1), line(2), line(3)), RewardLogReader(path), []
    path.write_bytes(b"")
    for n_bytes in (*pieces, len(whole)):
        with path.open("ab") as file:
            file.write(whole[path.stat().st_size :][:n_bytes])
        found += reader.read()
    assert found == [line(1), line(2), line(3)]


def test_log_of_a_session_lies_beside_the_sessions_of_its_subject(tmp_path: Path) -> None:
    assert reward_log_path(tmp_path / "m1" / NAME, "m1") == tmp_path / "m1" / REWARDS
    assert reward_log_path(tmp_path / "elsewhere", "m1") == tmp_path / "elsewhere" / REWARDS


def test_number_of_a_session_at_the_board_follows_from_its_name() -> None:
    assert board_session("m1-20261122T081500") == board_session("m1-20261122T081500") > 0
    assert board_session("m1-20261122T081500") != board_session("m1-20261122T081501")


def test_drop_without_an_end_is_settled_by_what_the_board_remembers(tmp_path: Path) -> None:
    log = log_at(tmp_path / REWARDS, "the next session")
    sent = [line(number, F.SENT) for number in (1, 2, 3)]
    log.settle(sent)
    here, elsewhere = board_session(SESSION), board_session("another")
    remembered = [
        BoardReward(here, 1, F.DONE),
        BoardReward(here, 2, F.UNKNOWN),
        BoardReward(elsewhere, 3, F.DONE),
    ]
    settle_from_board(log, unsettled(read_reward_log(log.path)), remembered)
    log.close()
    lines = read_reward_log(log.path)
    assert lines == [*sent, line(1), line(2, F.UNKNOWN), line(3, F.UNKNOWN)]
    assert unsettled(lines) == []
    assert given_ul(log.path) == 12.0


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
        (1_000_003, K.REWARD_REQUESTED, 3.0),
        (1_000_003, K.REWARD_SENT, 0.0),
    ]
    for request_id, kind, value in told:
        journal.append(Topic.BOARD, BoardEvent(request_id, kind, None, 5, value))
    journal.close("killed")
    path = folder.parent / REWARDS
    log = RewardLog(path, NAME, "simulated")
    for request_id in (1_000_001, 1_000_002, 1_000_003):
        log.intend(RewardRequest(request_id, 3.0, 0, "operator"))
    log.end(Reward(1_000_001, "operator", 0, 3.0, F.DONE), datetime.now(UTC))
    log.close()
    _, sent = settle_from_journal(folder)
    by_id = {one.request_id: one for one in read_reward_log(path)}
    # from the journal alone, from both, and of which only the board may know
    assert (by_id[1_000_000].state, by_id[1_000_000].volume_ul) == (F.UNKNOWN, 2.5)
    assert (by_id[1_000_001].state, by_id[1_000_002].state) == (F.DONE, F.DONE)
    assert by_id[1_000_002].origin == "operator"
    assert [one.request_id for one in sent] == [1_000_003]
    before = path.read_bytes()
    assert settle_from_journal(folder) == (0, sent)
    assert path.read_bytes() == before
