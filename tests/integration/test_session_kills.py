"""A random process of a session killed at a random moment, again and again."""

import json
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from running_session import ENDLESS, PATIENT_BOARD, ROOT, RunningSession, bci, sets
from support.machine_time import machine_time
from valve import openings
from waiting import until

from bci.recording.reward_log import read_reward_log, unsettled

N_KILLS = 30
SEED = 2026
VICTIMS = ("acquisition", "control", "stimulus", "board", "supervisor")
SESSION = f"""
subject = "demo"
rig = "{ROOT}/configs/rigs/simulated.toml"
experiment = "experiment.toml"
"""
# every trial is hit at once, and drops take long, so that kills meet an open valve
EXPERIMENT = """
name = "hits alone"
[decoder]
p_plus = ["roi0000", "roi0002", "roi0004", "roi0006"]
p_minus = ["roi0008", "roi0010", "roi0012", "roi0014"]
f0_window_s = 1.0
[threshold]
t = -0.9
lo = -1.0
[task]
trial_s = 0.5
grey_s = 0.2
reward_delay_s = 0.1
hit_s = 0.6
black_s = 0.1
session_s = 9.0
"""
OVERRIDES = (
    "rig.screen.backend=null",
    "rig.board.valve.ms_per_ul=80",
    "rig.board.valve.max_open_ms=500",
)

# so long that the third is still under way when it has been seen
LONG_DROP = (
    "rig.board.valve.ms_per_ul=240",
    "rig.board.valve.max_open_ms=1000",
    "rig.board.valve.max_duty=1",
    "experiment.task.hit_s=1.5",
)


def written_to(folder: Path) -> Path:
    (folder / "experiment.toml").write_text(EXPERIMENT, "utf-8")
    session = folder / "session.toml"
    session.write_text(SESSION, "utf-8")
    return session


def open_after(edges: list[dict[str, int]], t_killed_ns: int, *, no_more: bool) -> float:
    """How long after the kill the valve that was open then was shut, s; 0 where none was.

    With `no_more` every later opening counts as well: a session whose supervisor is gone goes on
    for up to 2 s, one whose control is gone does not.
    """
    opened_before = [e for e in edges if e["t_perf_ns"] <= t_killed_ns]
    after = [e for e in edges if e["t_perf_ns"] > t_killed_ns]
    if not no_more:
        after = after[:1] if opened_before and opened_before[-1]["level"] else []
    return max(((e["t_perf_ns"] - t_killed_ns) / 1e9 for e in after), default=0.0)


def test_rewards_of_a_killed_control_are_in_the_subjects_ledger(tmp_path: Path) -> None:
    out = tmp_path / "sessions"
    overrides = (*OVERRIDES, *LONG_DROP, *PATIENT_BOARD, ENDLESS)
    with RunningSession("run", written_to(tmp_path), *sets(overrides), out=out) as session:
        control = session.pid_of("control")
        until(lambda: openings(session.folder) >= 3)
        session.kill(control)
        t_killed_ns = time.perf_counter_ns()
        code, output = session.end()
        assert code == 1, output
        opened = [e["request_id"] for e in session.valve_edges() if e["level"]]
        # unless the kill came so late that the drop was over
        was_cut = session.valve_edges()[-1]["t_perf_ns"] > t_killed_ns
        recovered = bci("recover", session.folder)
        assert recovered.returncode == 0, recovered.stderr
    lines = read_reward_log(out / "demo" / "rewards.csv")
    states = {line.request_id: line.state for line in lines}
    assert sorted(line.request_id for line in lines) == sorted([*states, *states])
    assert unsettled(lines) == []
    assert [states[i] for i in opened[:-1]] == ["done"] * (len(opened) - 1)
    # the pulse that was cut is unknown; no drop that was opened is in no record
    assert states[opened[-1]] == "unknown" or not was_cut
    # a kill may come between the record and the valve
    assert len(set(states) - set(opened)) <= 1


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_anything_killed_at_any_moment(tmp_path: Path) -> None:
    """Valve shut in 0.5 s, journal recoverable and verified, nothing left running."""
    rng = random.Random(SEED)
    figures = tmp_path / "kills.jsonl"
    for number in range(N_KILLS):
        victim, after_s = rng.choice(VICTIMS), rng.uniform(0.0, 10.0)
        figure = kill_once(tmp_path / str(number), victim, after_s)
        with figures.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figure) + "\n")


def kill_once(out: Path, victim: str, after_s: float) -> dict[str, object]:
    out.mkdir()
    with RunningSession("run", written_to(out), *sets(OVERRIDES), out=out / "sessions") as session:
        pid = session.process.pid if victim == "supervisor" else session.pid_of(victim)
        session.pid_of("control")
        deadline, running = time.monotonic() + after_s, None
        while time.monotonic() < deadline and session.process.poll() is None:
            session.family()
            running = session.telemetry() or running
            time.sleep(0.05)
        # it may have ended by itself while NWB is written
        with machine_time(*session.family()) as machine:
            with suppress(ProcessLookupError):
                session.kill(pid)
            t_killed_ns = time.perf_counter_ns()
            code, output = session.end()
            t_ended_s = time.monotonic()
            until(lambda: not session.left_running())
            assert time.monotonic() - t_ended_s - machine.taken_s() < 3.0
        edges = session.valve_edges()
        shut_s = open_after(edges, t_killed_ns, no_more=victim == "control")
        if victim != "board":
            assert shut_s - machine.taken_s() < 0.5, (victim, after_s)
        if victim == "supervisor":
            assert code in (0, -signal.SIGKILL), output
        else:
            assert output.splitlines()[-1].startswith(("ended: ", "FAILED: ")), output
        assert "Traceback" not in output, output
        if edges and victim != "board":
            assert edges[-1]["level"] == 0, (victim, after_s)
        lost_s = 0.0
        if (session.folder / "journal.mcap").exists():
            recovered = bci("recover", session.folder)
            assert recovered.returncode == 0, recovered.stdout + recovered.stderr
            record = session.record()
            if record.infos and len(record.frames):
                verified = bci("verify", session.folder)
                assert "identical" in verified.stdout, verified.stdout + verified.stderr
                if victim == "control" and code == 1:
                    last_ns = int(record.frames["t_received_ns"][-1])
                    lost_s = (t_killed_ns - last_ns) / 1e9
        return {
            "victim": victim,
            "after_s": round(after_s, 2),
            "state": running.state if running else "",
            "code": code,
            "last": output.splitlines()[-1][:160] if output else "",
            "last_frame_before_kill_s": round(lost_s, 3),
            "valve_shut_after_s": round(shut_s, 3),
        }
