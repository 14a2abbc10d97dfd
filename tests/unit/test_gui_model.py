"""What the window knows of a session follows from its journal, and does not grow."""

from math import nan
from pathlib import Path

import numpy as np
import pytest
from held_port import held_port
from hypothesis import given
from hypothesis import strategies as st
from played_session import Played, made_session, played
from waiting import until

from bci.core.board_types import BoardEventKind
from bci.core.calibration import CalibrationResult
from bci.core.chance import Chance
from bci.core.chance_of_trials import MEANS_NOTHING
from bci.core.loop_types import Outcome, Pause, TaskState, TrialEnd
from bci.gui.client import SessionClient
from bci.gui.model import SessionModel
from bci.gui.rings import FluorescenceRing, Ring
from bci.recording.folder import JOURNAL, write_endpoints
from bci.recording.history import DECISION_COLUMNS, HistoryChunk, HistoryReader, HistoryRequest
from bci.recording.session_record import SessionRecord
from bci.recording.tail import JournalTail


def model_of(folder: Path) -> SessionModel:
    model, position = SessionModel(made_session(), folder), 0
    with JournalTail(folder / JOURNAL) as tail:
        reader = HistoryReader(tail)
        while True:
            chunk = reader.read(HistoryRequest(position))
            model.take(chunk)
            position = chunk.position
            if chunk.at_end:
                model.now_ns = int(model.decisions.rows[-1]["t_ns"])
                return model


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 17))
def test_a_ring_holds_the_newest_rows_in_order(sizes: list[int], capacity: int) -> None:
    ring, all_rows = Ring(np.int64, capacity), np.arange(0)
    for size in sizes:
        rows = np.arange(len(all_rows), len(all_rows) + size)
        all_rows = np.append(all_rows, rows)
        ring.extend(rows)
        assert ring.rows.tolist() == all_rows[-capacity:].tolist()
    assert ring.total == len(all_rows)


def test_a_column_holds_each_plane_once() -> None:
    ring = FluorescenceRing([np.array([0, 2]), np.array([1])], 3)
    for turn in range(5):
        ring.add(0, 10 * turn, np.array([turn, turn + 0.5], np.float32))
        ring.add(1, 10 * turn + 5, np.array([100 + turn], np.float32))
    held = ring.values[:, ring.order()]
    assert held.tolist() == [[2, 3, 4], [102, 103, 104], [2.5, 3.5, 4.5]]
    # another size, or a plane that is not there: passed over
    ring.add(0, 90, np.zeros(3, np.float32))
    ring.add(7, 90, np.zeros(1, np.float32))
    assert ring.total == 5


def test_the_model_counts_what_the_record_holds(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 400)
    session.note("sits well", 20.0)
    for place in range(5):
        session.board(BoardEventKind.LICK, session.perf_ns(10 + place), value=1)
        session.board(BoardEventKind.LICK, session.perf_ns(10.1 + place), value=0)
        session.board(BoardEventKind.WHEEL, session.perf_ns(10 + place), value=place)
    session.close()
    model, record = model_of(tmp_path), SessionRecord.read(tmp_path)
    outcomes = [trial.outcome for trial in record.trials]
    assert outcomes.count(Outcome.HIT) > 1
    assert model.outcomes == {outcome: outcomes.count(outcome) for outcome in Outcome}
    done = [e for e in record.board if e.kind is BoardEventKind.REWARD_DONE]
    assert model.n_rewards == len(done) > 1
    assert (model.n_licks, len(model.wheel)) == (5, 5)
    assert [text for _, text in model.notes] == ["sits well"]
    assert model.state is record.decisions[-1].state
    assert (model.t, model.lo) == (0.3, -0.3)
    assert model.info == record.info
    assert model.end == record.end
    assert model.command is not None
    commands = [d.command for d in record.decisions if d.command is not None]
    assert model.command[1] == commands[-1]
    figures = model.latencies.figures(60.0)
    assert figures["received_to_sent"].p50 == pytest.approx(0.1, abs=0.001)
    assert figures["received_to_sent"].is_held
    assert figures["sent_to_flip"].p50 == pytest.approx(9.5, abs=0.01)


def test_a_pause_is_seen(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 60)
    session.apply(Pause(), session.time_s(60))
    session.close()
    assert model_of(tmp_path).state is TaskState.PAUSED


def test_a_journal_that_nobody_serves_is_read_from_the_disk(tmp_path: Path) -> None:
    played(tmp_path)
    model = SessionModel(made_session(), tmp_path)
    # nobody else's either: a port that was given back may be another session's by now
    with held_port() as port:
        write_endpoints(tmp_path, {"history": f"tcp://127.0.0.1:{port}"}, "token")
        client = SessionClient(tmp_path)
        try:

            def read() -> bool:
                for chunk in client.take():
                    model.take(chunk)
                return model.end is not None

            until(read)
            assert not client.supervised
        finally:
            client.close()
    assert sum(model.outcomes.values()) == len(SessionRecord.read(tmp_path).trials)


def test_who_has_the_port_of_a_session_that_is_over_is_not_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(tmp_path)
    write_endpoints(tmp_path, {"telemetry": "tcp://127.0.0.1:9"}, "token")
    listened_to: list[object] = []
    monkeypatch.setattr(
        "bci.gui.client.TelemetrySubscriber", lambda *reached: listened_to.append(reached)
    )
    client = SessionClient(tmp_path, is_over=True)
    try:
        until(lambda: client.caught_up)
    finally:
        client.close()
    assert not listened_to


def test_memory_is_bounded_by_rings_and_lists() -> None:
    model = SessionModel(made_session())
    rows = np.zeros(3000, DECISION_COLUMNS)
    for _ in range(20):
        model.take(HistoryChunk(1, False, decisions=rows.tobytes()))
    assert len(model.decisions) == 40_000
    assert model.decisions.total == 60_000


@pytest.mark.parametrize(
    ("kind", "told"),
    [("closed_loop", "40 % (25–55 %), mean over 2 T"), ("open_loop", MEANS_NOTHING)],
)
def test_chance_is_that_of_the_trials_that_accuracy_counts(kind: str, told: str) -> None:
    model = SessionModel(made_session(experiment={"session_type": {"kind": kind}}))
    found = CalibrationResult(0.3, -0.2, 0, 0.1, 3, 0.5, 6000, 433, 400, ()).with_chance(
        Chance(0.6, 0.4, 0.8, 40, ((0.4, Chance(0.2, 0.1, 0.3, 30)),))
    )
    ends = [TrialEnd(1, Outcome.HIT, 0, 9, 0.4, False, 0.3)]
    ends += [TrialEnd(2, Outcome.MISS, 20, 49, nan, False, 0.4)]
    trials = tuple((k, end) for k, end in enumerate(ends))
    model.take(HistoryChunk(0, True, trials=trials, calibrations=((5, found),)))
    assert model.chance.words == told
