"""Anything killed at any moment: the valve shut, the journal whole, nothing left running."""

import signal
import time
from pathlib import Path

import pytest
from running_session import DEMO, SHORT, RunningSession, bci, sets
from waiting import until

from bci.core.loop_types import LedgerKind
from bci.core.stimulus_types import ScreenHello
from bci.recording.session_record import SessionRecord

NULL_SCREEN = "rig.screen.backend=null"
LONG_DROP = ("rig.board.valve.ms_per_ul=100", "rig.board.valve.max_open_ms=500")


def test_killed_control_leaves_valve_shut_and_journal_whole(tmp_path: Path) -> None:
    """The board's own log tells when the valve was shut; recovery loses at most 0.1 s."""
    overrides = (*SHORT, NULL_SCREEN, *LONG_DROP)
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        session.wait_for_state("HIT")
        until(lambda: any(edge["level"] for edge in session.valve_edges()))
        control = session.pid_of("control")
        t_killed_ns = time.perf_counter_ns()
        session.kill(control)
        code, output = session.end()
        assert code == 1, output
        assert "bci recover" in output
        assert until(lambda: not session.left_running(), 3.0)
        *_, last = session.valve_edges()
        assert last["level"] == 0
        assert (last["t_perf_ns"] - t_killed_ns) / 1e9 < 0.5
        recovered = bci("recover", session.folder)
        assert recovered.returncode == 0, recovered.stderr
        record = session.record()
        last_frame_ns = record.frames["t_received_ns"][-1]
        assert (t_killed_ns - last_frame_ns) / 1e9 < 0.1 + 2 / record.info.rate_hz
        verified = bci("verify", session.folder)
        assert "identical" in verified.stdout, verified.stdout + verified.stderr


def test_killed_screen_comes_back_with_the_current_command(tmp_path: Path) -> None:
    overrides = (*SHORT, "experiment.task.session_s=20")
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        session.wait_for_state("RUN")
        stimulus = session.pid_of("stimulus")
        session.kill(stimulus)
        session.pid_of("stimulus", other_than=stimulus)
        until(lambda: (t := session.telemetry()) is not None and t.screen == "lost", 10)
        until(lambda: (t := session.telemetry()) is not None and t.screen.startswith("ok"), 30)
        code, output = session.end()
        assert code == 0, output
        assert not session.left_running()
        record = session.record()
        kinds = [entry.value.kind for entry in record.ledger]
        for kind in (
            LedgerKind.PROCESS_DIED,
            LedgerKind.SCREEN_LOST,
            LedgerKind.PROCESS_RESTARTED,
            LedgerKind.SCREEN_BACK,
        ):
            assert kinds.count(kind) == 1, kind
        frame_ids = record.decision_table["frame_id"][record.decision_table["decoded"]]
        assert (frame_ids[1:] - frame_ids[:-1] == 2).all()
        assert _first_shown_after_return(record)


def _first_shown_after_return(record: SessionRecord) -> bool:
    """The first command that the new screen shows is the newest that control had sent."""
    hellos = [timed for timed in record.screen if isinstance(timed.value, ScreenHello)]
    assert len(hellos) == 2
    shown = next(
        timed.value
        for timed in record.screen
        if timed.perf_ns > hellos[1].perf_ns and not isinstance(timed.value, ScreenHello)
    )
    current = max(sent.command_id for sent in record.sent if sent.t_sent_ns < hellos[1].perf_ns)
    return getattr(shown, "command_id", -1) >= current


def test_killed_acquisition_comes_back_as_a_new_epoch(tmp_path: Path) -> None:
    """Ids go on by the time that has passed, so that the gap shows."""
    overrides = (*SHORT, NULL_SCREEN, "experiment.task.session_s=12")
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        session.wait_for_state("RUN")
        session.kill(session.pid_of("acquisition"))
        session.wait_for_state("WAITING", "PAUSED")
        session.wait_for_state("RUN")
        code, output = session.end()
        assert code == 0, output
        record = session.record()
        assert [info.epoch for info in record.infos] == [0, 1]
        frames = record.frames
        before = frames["frame_id"][frames["epoch"] == 0]
        after = frames["frame_id"][frames["epoch"] == 1]
        gap_s = (after[0] - before[-1]) / record.info.rate_hz
        received_s = (
            frames["t_received_ns"][frames["epoch"] == 1][0]
            - frames["t_received_ns"][frames["epoch"] == 0][-1]
        ) / 1e9
        assert gap_s == pytest.approx(received_s, abs=0.3)
        kinds = {entry.value.kind for entry in record.ledger}
        assert {LedgerKind.EPOCH, LedgerKind.GAP, LedgerKind.PROCESS_RESTARTED} <= kinds
        assert "identical" in bci("verify", session.folder).stdout


def test_killed_supervisor_takes_all_children_with_it(tmp_path: Path) -> None:
    with RunningSession("run", DEMO, *sets(SHORT), out=tmp_path) as session:
        session.wait_for_state("RUN")
        assert len(session.family()) >= 4
        session.process.kill()
        session.process.wait(5)
        assert until(lambda: not session.left_running(), 3.0)
        *_, last = session.valve_edges() or [{"level": 0}]
        assert last["level"] == 0
        assert bci("recover", session.folder).returncode == 0
        assert "identical" in bci("verify", session.folder).stdout


def test_killed_board_is_started_again_and_rewards_go_on(tmp_path: Path) -> None:
    overrides = (*SHORT, NULL_SCREEN, "experiment.task.session_s=25")
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        session.wait_for_state("RUN")
        session.kill(session.pid_of("board"))
        until(lambda: (t := session.telemetry()) is not None and t.board == "lost", 10)
        until(lambda: (t := session.telemetry()) is not None and t.board == "ok", 20)
        code, output = session.end()
        assert code == 0, output
        kinds = {entry.value.kind for entry in session.record().ledger}
        assert {LedgerKind.BOARD_LOST, LedgerKind.BOARD_BACK} <= kinds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_interrupted_session_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with RunningSession("run", DEMO, *sets((*SHORT, NULL_SCREEN)), out=tmp_path) as session:
        session.wait_for_state("RUN")
        session.process.send_signal(number)
        code, output = session.end(30)
        assert code == 0, output
        assert not session.left_running()
        record = session.record()
        assert record.end is not None
        assert "identical" in bci("verify", session.folder).stdout
