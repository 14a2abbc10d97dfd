"""What the subject was given is known, though control was killed. More: `make campaign`."""

import time
from pathlib import Path

from campaign.sessions import OVERRIDES, written_to
from running_session import ENDLESS, PATIENT_BOARD, RunningSession, sets
from support.command_line import run_here
from valve import openings
from waiting import LOOK_EVERY_S, until

from bci.recording.reward_log import read_reward_log, unsettled

# so long that the third is still under way when it has been seen
LONG_DROP = (
    "rig.board.valve.ms_per_ul=240",
    "rig.board.valve.max_open_ms=1000",
    "rig.board.valve.max_duty=1",
    "experiment.task.hit_s=1.5",
)


def test_rewards_of_a_killed_control_are_in_the_subjects_ledger(tmp_path: Path) -> None:
    out = tmp_path / "sessions"
    overrides = (*OVERRIDES, *LONG_DROP, *PATIENT_BOARD, ENDLESS)
    with RunningSession("run", written_to(tmp_path), *sets(overrides), out=out) as session:
        control = session.pid_of("control")
        until(lambda: openings(session.folder) >= 3, every_s=LOOK_EVERY_S)
        session.kill(control)
        t_killed_ns = time.perf_counter_ns()
        code, output = session.end()
        assert code == 1, output
        opened = [e["request_id"] for e in session.valve_edges() if e["level"]]
        # unless the kill came so late that the drop was over
        was_cut = session.valve_edges()[-1]["t_perf_ns"] > t_killed_ns
        recovered = run_here("recover", session.folder)
        assert recovered.code == 0, recovered.err
    lines = read_reward_log(out / "demo" / "rewards.csv")
    states = {line.request_id: line.state for line in lines}
    assert sorted(line.request_id for line in lines) == sorted([*states, *states])
    assert unsettled(lines) == []
    assert [states[i] for i in opened[:-1]] == ["done"] * (len(opened) - 1)
    # the pulse that was cut is unknown; no drop that was opened is in no record
    assert states[opened[-1]] == "unknown" or not was_cut
    # a kill may come between the record and the valve
    assert len(set(states) - set(opened)) <= 1
