"""Control killed around an operator's drop: what the board opened is on record, and counts."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import valve
from drops_child import DROP_UL, SUBJECT, begun, session_at
from waiting import until

from bci.config.rig import Board
from bci.core.rewards import RewardFate
from bci.hardware.board.chip import chip_faults
from bci.hardware.board.hosted import hosted
from bci.recording.daily_cap import cap_of_subject
from bci.recording.reward_log import REWARDS, read_reward_log, unsettled

CHILD = Path(__file__).parent / "drops_child.py"
LONG_MS_PER_UL = 200.0
"""Of a drop that is still under way when it has been seen to begin."""
SHORT_MS_PER_UL = 10.0
KILLS = 10
SEED = 2026


class Controls:
    """Starts one control after the other, and kills it."""

    def __init__(self) -> None:
        self._forks = subprocess.Popen(
            [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Controls":
        return self

    def __exit__(self, *_: object) -> None:
        with self._forks:
            self._forks.kill()

    def kill_one(
        self, folder: Path, port: str, ms_per_ul: float, first_id: int, moment_s: float | None
    ) -> None:
        """Kill a control so long after its first drop was asked for; None: with the valve open."""
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        print(folder, port, ms_per_ul, first_id, file=self._forks.stdin, flush=True)
        pid = int(self._forks.stdout.readline())
        try:
            if moment_s is None:
                until(lambda: [e["level"] for e in valve.edges(folder.parents[1])][-1:] == [1])
            else:
                time.sleep(moment_s)
        finally:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not psutil.pid_exists(pid))


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize("kind", ["simulated", "chip"])
def test_drop_of_a_control_that_was_killed_is_on_record_and_counts(
    tmp_path: Path, kind: str
) -> None:
    settings, rng = Board(kind=kind), random.Random(SEED)
    if kind == "chip" and chip_faults(settings):
        pytest.skip("; ".join(map(str, chip_faults(settings))))
    # the valve open for certain, and then at any moment
    moments = [None, *(rng.uniform(0.0, 0.12) for _ in range(KILLS if kind == "simulated" else 3))]
    with hosted(settings, tmp_path / "board-edges.jsonl") as peers, Controls() as controls:
        for number, moment in enumerate(moments, start=1):
            ms_per_ul = LONG_MS_PER_UL if moment is None else SHORT_MS_PER_UL
            name = f"{SUBJECT}-{number}"
            folder = tmp_path / SUBJECT / name
            controls.kill_one(folder, peers["board"], ms_per_ul, 1000 * number, moment)
        before = read_reward_log(tmp_path / SUBJECT / REWARDS)
        # the next session asks the board
        session = session_at(peers["board"], SHORT_MS_PER_UL)
        journal, line = begun(session, tmp_path / SUBJECT / "next", f"{SUBJECT}-next")
        lines = read_reward_log(tmp_path / SUBJECT / REWARDS)
        line.close()
        journal.close("done")
    opened = [edge["request_id"] for edge in valve.edges(tmp_path) if edge["level"]]
    assert len(opened) >= 1
    assert len(set(opened)) == len(opened)
    assert {one.request_id for one in unsettled(before)} & set(opened)
    assert unsettled(lines) == []
    fates = {one.request_id: one.state for one in lines}
    assert all(fates[request_id].counts_as_given for request_id in opened)
    given = [request_id for request_id, fate in fates.items() if fate.counts_as_given]
    # on record and not opened: at most what a kill met between the line and the valve
    assert len(set(given) - set(opened)) <= len(moments)
    today = cap_of_subject(session, tmp_path).given("operator")
    assert today.volume_ul == pytest.approx(DROP_UL * len(given))
    assert line.cap.given().volume_ul == today.volume_ul
    # the board knew of the drop that was open for certain: the host was silent, it was cut
    assert fates[opened[0]] is RewardFate.UNKNOWN
