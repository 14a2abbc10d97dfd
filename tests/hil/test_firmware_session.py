"""A whole closed-loop session with the compiled firmware in simavr as its board."""

import time
from pathlib import Path

import pytest
from pynwb import NWBHDF5IO
from running_session import DEMO, ENDLESS, SHORT, RunningSession, sets, write_files
from support.machine_time import machine_time
from valve import openings
from waiting import LOOK_EVERY_S, until

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import Outcome
from bci.recording.verify import VerdictKind, verify

WITHIN_US = 50
CHIP = (*SHORT, "rig.board.kind=chip", "rig.screen.backend=null")
LONG_DROP = ("rig.board.valve.ms_per_ul=240", "rig.board.valve.max_open_ms=1000")
"""Nearly the longest pulse that there is: what is done in it comes before its end."""
LONG_DROP_US = 960_000
PATIENT = ("rig.board.watchdog_ms=5000",)
"""A computer that stands still for a moment is no silent host."""
SOME_HITS = (
    "experiment.baseline.duration_s=8",
    "experiment.task.session_s=12",
    "experiment.task.trial_s=4",
)


@pytest.mark.usefixtures("chip")
def test_rewards_in_journal_and_nwb_equal_the_edges_of_the_chip_one_for_one(
    tmp_path: Path,
) -> None:
    overrides = (*CHIP, *PATIENT, *SOME_HITS)
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        code, output = session.end()
        assert code == 0, output
        until(lambda: not session.left_running())
        record, edges, folder = session.record(), session.valve_edges(), session.folder
    opened = [edge for edge in edges if edge["level"]]
    done = [event for event in record.board if event.kind is BoardEventKind.REWARD_DONE]
    hits = [trial for trial in record.trials if trial.outcome is Outcome.HIT]
    assert len(hits) == len(done) >= 1
    assert [event.request_id for event in done] == [edge["request_id"] for edge in opened]
    assert [event.t_device_us for event in done] == pytest.approx(
        [edge["t_device_us"] for edge in opened], abs=WITHIN_US
    )
    widths = [
        (down["cycle"] - up["cycle"]) / 16 for up, down in zip(opened, edges[1::2], strict=True)
    ]
    assert widths == pytest.approx([event.value for event in done], abs=20)
    assert verify(folder).kind is VerdictKind.IDENTICAL
    write_files(folder)
    with NWBHDF5IO(folder / "session.nwb", "r") as io:
        table = io.read().get_events_table("events").to_dataframe()
    stored = table[table["kind"] == "reward_done"]
    assert list(stored["t_device_us"]) == [event.t_device_us for event in done]


@pytest.mark.usefixtures("chip")
def test_killed_board_comes_back_with_its_eeprom_and_repeats_no_reward(tmp_path: Path) -> None:
    overrides = (*CHIP, *PATIENT, *LONG_DROP, *SOME_HITS, ENDLESS)
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        board = session.pid_of("board")
        until(lambda: openings(session.folder), every_s=LOOK_EVERY_S)
        session.kill(board)
        session.pid_of("board", other_than=board)
        before = openings(session.folder)
        until(lambda: openings(session.folder) > before, every_s=LOOK_EVERY_S)
        session.interrupt()
        code, output = session.end()
        assert code == 0, output
        # a board that takes long to end is killed, and its chip goes after it
        until(lambda: not session.left_running())
        record, edges = session.record(), session.valve_edges()
    kinds = [event.kind for event in record.board if event.request_id == 1]
    up, down = edges[:2]
    # unless the kill came so late that the drop was over
    was_cut = down["cycle"] - up["cycle"] < 16 * LONG_DROP_US - 16 * 50_000
    assert kinds[-1] is BoardEventKind.REWARD_UNKNOWN or not was_cut
    opened = [edge["request_id"] for edge in edges if edge["level"]]
    assert opened == sorted(set(opened))
    greetings = [e.detail for e in record.board if e.kind is BoardEventKind.CONNECTED]
    # a line that a busy computer lost is greeted once more, at the same boot
    boots = [detail.rpartition(" ")[2] for detail in greetings]
    assert list(dict.fromkeys(boots)) == ["1", "2"]


@pytest.mark.long
@pytest.mark.usefixtures("chip")
def test_killed_control_leaves_the_chip_with_a_shut_valve(tmp_path: Path) -> None:
    with RunningSession("run", DEMO, *sets((*CHIP, *LONG_DROP)), out=tmp_path) as session:
        session.wait_for_state("HIT")
        control = session.pid_of("control")
        until(lambda: any(edge["level"] for edge in session.valve_edges()))
        with machine_time(*session.family()) as machine:
            t_killed_ns = time.perf_counter_ns()
            session.kill(control)
            code, output = session.end()
            taken_s = machine.taken_s()
        assert code == 1, output
        until(lambda: not session.left_running())
        *_, last = session.valve_edges()
        assert last["level"] == 0
        assert (last["t_perf_ns"] - t_killed_ns) / 1e9 < 0.5 + taken_s
