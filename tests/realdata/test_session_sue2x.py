"""Replay of a real recording through the real processes."""

import shutil
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from running_session import PATIENT_BOARD, REPLAY, RunningSession, sets
from support.made_once import made_once

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import Decision, Outcome
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, verify

pytestmark = pytest.mark.realdata


def replay(recording: Path, out: Path, *options: str) -> SessionRecord:
    with RunningSession("replay", recording, REPLAY, *options, out=out) as session:
        code, output = session.end()
        assert code == 0, output
        assert verify(session.folder).kind is VerdictKind.IDENTICAL
        return session.record()


def what_was_decided(record: SessionRecord) -> list[bytes]:
    """Decisions without their place among events: when control heard of those does not count."""
    return [
        msgspec.msgpack.encode(msgspec.structs.replace(decision, sequence=0))
        for decision in record.decisions
        if decision.decoded
    ]


def rewards(record: SessionRecord, kind: BoardEventKind) -> list[int]:
    return [event.request_id for event in record.board if event.kind is kind]


def earned(decisions: list[Decision]) -> list[int]:
    return [d.reward.request_id for d in decisions if d.reward is not None]


@pytest.fixture(scope="module")
def fast(bci_data: Path, tmp_path_factory: pytest.TempPathFactory) -> SessionRecord:
    """The recording played as fast as possible."""

    def make(folder: Path) -> Path:
        return replay(bci_data / "sue2x" / "traces.npy", folder, "--as-fast-as-possible").folder

    return SessionRecord.read(made_once(tmp_path_factory, "sue2x", make))


def test_live_and_lossless_replay_decide_the_same(
    bci_data: Path, tmp_path: Path, fast: SessionRecord
) -> None:
    """Trials, hits, misses and acknowledged rewards; as fast as possible bit for bit the same."""
    traces = bci_data / "sue2x" / "traces.npy"
    # a machine that is at other things for a moment must not pause the task
    patient = sets((*PATIENT_BOARD, "experiment.faults.stall_s=60", "rig.screen.backend=null"))
    live = replay(traces, tmp_path / "live", "--speed=4", *patient)
    outcomes = Counter(trial.outcome for trial in live.trials)
    assert outcomes[Outcome.HIT] >= 3
    assert outcomes[Outcome.MISS] >= 3
    assert len(live.frames) == 3000
    for kind in (BoardEventKind.REWARD_ACKNOWLEDGED, BoardEventKind.REWARD_DONE):
        assert rewards(live, kind) == earned(live.decisions)
    assert what_was_decided(fast) == what_was_decided(live)
    assert rewards(fast, BoardEventKind.REWARD_DONE) == earned(fast.decisions)


def test_a_replayed_session_replays_the_same(tmp_path: Path, fast: SessionRecord) -> None:
    """The session folder of a replay is a recording itself."""
    again = replay(
        fast.folder, tmp_path / "again", "--as-fast-as-possible",
        "--set=rig.source.background_counts=0",
    )  # fmt: skip
    assert what_was_decided(again) == what_was_decided(fast)


def test_verify_names_the_record_of_a_changed_byte(tmp_path: Path, fast: SessionRecord) -> None:
    journal = (fast.folder / "journal.mcap").read_bytes()
    for place in (0, 30, len(journal) // 3, len(journal) // 2, len(journal) - 40, len(journal) - 1):
        damaged = tmp_path / f"damaged-{place}"
        shutil.copytree(fast.folder, damaged)
        changed = bytearray(journal)
        changed[place] ^= 0x20
        (damaged / "journal.mcap").write_bytes(changed)
        assert verify(damaged).kind is VerdictKind.DAMAGED, place
