"""Anything killed at any moment: the valve shut, the journal whole, nothing left running."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from held_port import held_port
from running_session import DEMO, ENDLESS, SHORT, RunningSession, sets
from support.command_line import run_here
from support.machine_time import machine_time
from valve import openings
from waiting import LOOK_EVERY_S, WAIT_S, until

from bci.core.loop_types import LedgerKind
from bci.core.stimulus_types import FlipKind, FlipReport, ScreenHello, ScreenReport
from bci.recording.session_record import SessionRecord, Timed
from bci.recording.verify import VerdictKind, verify

ENDED_WITHIN_S = 3.0
VALVE_SHUT_S = 0.5
NULL_SCREEN = "rig.screen.backend=null"
SMALL_SCREEN = ("rig.screen.width_px=400", "rig.screen.height_px=300")
"""Less to draw."""
CAN_HANG = sys.platform != "win32"
"""No process can be held there."""
LONG_DROP = ("rig.board.valve.ms_per_ul=100", "rig.board.valve.max_open_ms=500")


@pytest.mark.timed
def test_killed_control_leaves_valve_shut_and_journal_whole(tmp_path: Path) -> None:
    """The board's own log tells when the valve was shut; recovery loses at most 0.1 s."""
    overrides = (*SHORT, NULL_SCREEN, *LONG_DROP)
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        # seconds before the kill, so that there is something to be kept
        told = [session.wait_for_state("BASELINE")]

        def valve_opened() -> bool:
            if (newest := session.telemetry()) is not None and newest is not told[-1]:
                told.append(newest)
            return any(edge["level"] for edge in session.valve_edges())

        until(valve_opened)
        control = session.pid_of("control")
        with machine_time(session.pid_of("board")) as machine:
            t_killed_ns = time.perf_counter_ns()
            session.kill(control)
            until(lambda: not session.valve_edges()[-1]["level"])
            taken_s = machine.taken_s()
        code, output = session.end()
        assert code == 1, output
        assert "bci recover" in output
        assert not session.left_running()
        *_, opened, shut = session.valve_edges()
        assert (opened["level"], shut["level"]) == (1, 0)
        # on the board's clock, which other programs of this machine do not hold up
        open_s = (shut["t_device_us"] - opened["t_device_us"]) / 1e6
        assert open_s - (t_killed_ns - opened["t_perf_ns"]) / 1e9 < VALVE_SHUT_S + taken_s
        recovered = run_here("recover", session.folder)
        assert recovered.code == 0, recovered.err
        record = session.record()
        ids = record.frames["frame_id"]
        kept_s = (ids[-1] - ids[0]) / record.info.rate_hz
        # control had them, as it told, a tenth of a second before or earlier
        assert kept_s >= max(t.session_s for t in told if t_killed_ns - t.t_ns > 1e8) - 1e-6
        assert verify(session.folder).kind is VerdictKind.IDENTICAL


def test_killed_screen_comes_back_with_the_current_command(tmp_path: Path) -> None:
    overrides = (*SHORT, *SMALL_SCREEN, ENDLESS)
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        session.wait_for_state("RUN")
        stimulus = session.pid_of("stimulus")
        session.kill(stimulus)
        session.pid_of("stimulus", other_than=stimulus)
        session.wait_for_ledger(LedgerKind.SCREEN_BACK)
        until(lambda: _shown_after_return(session.record()), every_s=0.4)
        session.interrupt()
        code, output = session.end()
        assert code == 0, output
        # a window that takes long to close is killed, and its X server goes after it
        until(lambda: not session.left_running())
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
        # one that is sent while the screen connects may come before its hello is read
        [started] = [e for e in record.ledger if e.value.kind is LedgerKind.PROCESS_RESTARTED]
        sent = max(sent.command_id for sent in record.sent if sent.t_sent_ns < started.perf_ns)
        assert _shown_after_return(record)[0] >= sent


def _hellos(record: SessionRecord) -> list[Timed[ScreenReport]]:
    return [timed for timed in record.screen if isinstance(timed.value, ScreenHello)]


def _shown_after_return(record: SessionRecord) -> list[int]:
    """Commands that the new screen has shown, in order."""
    *_, hello = _hellos(record)
    return [
        timed.value.command_id
        for timed in record.screen
        if timed.perf_ns > hello.perf_ns
        and isinstance(timed.value, FlipReport)
        and timed.value.kind is FlipKind.SHOWN
    ]


@pytest.mark.timed
def test_killed_supervisor_takes_all_children_with_it(tmp_path: Path) -> None:
    with RunningSession("run", DEMO, *sets((*SHORT, *SMALL_SCREEN)), out=tmp_path) as session:
        session.wait_for_state("RUN")
        assert len(session.family()) >= 4
        with machine_time(*session.family()) as machine:
            session.process.kill()
            session.process.wait(WAIT_S)
            t_gone_s = time.monotonic()
            until(lambda: not session.left_running())
            ended_s = time.monotonic() - t_gone_s
        assert ended_s - machine.taken_s() < ENDED_WITHIN_S
        *_, last = session.valve_edges() or [{"level": 0}]
        assert last["level"] == 0
        assert run_here("recover", session.folder).code == 0
        assert verify(session.folder).kind is VerdictKind.IDENTICAL


@pytest.fixture
def ports() -> Iterator[tuple[str, ...]]:
    """Two that are set, and not whatever is free."""
    with held_port() as frames, held_port() as channel:
        yield f"rig.stream.frames_port={frames}", f"rig.stream.channel_port={channel}"


def test_acquisition_and_board_come_back_and_an_interrupt_ends_the_session_in_order(
    ports: tuple[str, ...], tmp_path: Path
) -> None:
    """Killed and hanging, at the ports it had; ids go on by the time that passed: the gap shows."""
    overrides = (*SHORT, NULL_SCREEN, ENDLESS, *ports)
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        session.wait_for_state("RUN")
        t_killed_ns = time.perf_counter_ns()
        acquisition = session.pid_of("acquisition")
        session.kill(acquisition)
        until(lambda: (session.record().frames["epoch"] == 1).any(), every_s=0.4)
        if CAN_HANG:
            again = session.pid_of("acquisition", other_than=acquisition)
            os.kill(again, signal.SIGSTOP)
            until(lambda: (session.record().frames["epoch"] == 2).any(), every_s=0.4)
        session.wait_for_state("RUN")
        session.kill(session.pid_of("board"))
        session.wait_for_ledger(LedgerKind.BOARD_BACK)
        n_opened = openings(session.folder)
        until(lambda: openings(session.folder) > n_opened, every_s=LOOK_EVERY_S)
        session.interrupt()
        code, output = session.end()
        assert code == 0, output
        assert not session.left_running()
        record = session.record()
        assert record.end is not None
        assert [info.epoch for info in record.infos] == ([0, 1, 2] if CAN_HANG else [0, 1])
        frames = record.frames
        due_s = frames["frame_id"] / record.info.rate_hz
        received_s = frames["t_received_ns"] / 1e9
        # the frame that was least late shows when frame 0 was due, by this clock
        origin_s = (received_s - due_s)[frames["epoch"] == 0].min()
        first = np.flatnonzero(frames["epoch"] == 1)[0]
        assert t_killed_ns / 1e9 < origin_s + due_s[first] < received_s[first] + 0.1
        kinds = Counter(entry.value.kind for entry in record.ledger)
        n_ended = 1 + CAN_HANG
        assert kinds[LedgerKind.EPOCH] == n_ended
        assert kinds[LedgerKind.GAP] >= n_ended
        # the board, too
        for kind in (LedgerKind.PROCESS_DIED, LedgerKind.PROCESS_RESTARTED):
            assert kinds[kind] == n_ended + 1
        assert LedgerKind.STALL in kinds or not CAN_HANG
        assert {LedgerKind.BOARD_LOST, LedgerKind.BOARD_BACK} <= kinds.keys()
        assert verify(session.folder).kind is VerdictKind.IDENTICAL


@pytest.mark.long
def test_terminated_session_ends_in_order(tmp_path: Path) -> None:
    with RunningSession("run", DEMO, *sets((*SHORT, NULL_SCREEN)), out=tmp_path) as session:
        session.wait_for_state("RUN")
        session.process.terminate()
        code, output = session.end()
        assert code == 0, output
        assert not session.left_running()
        record = session.record()
        assert record.end is not None
        assert verify(session.folder).kind is VerdictKind.IDENTICAL
