"""Processes started one by one, as on several computers, each with a clock of its own."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from running_session import ROOT
from waiting import WAIT_S, until

from bci.analysis.report.latency import stage_times
from bci.core.process import ASKED_TO_STOP
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.records import Peer
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, verify

AHEAD_S = {"acquire": 5000, "stimulus": 90_000}
"""`perf_counter` counts from the start of a computer."""
CHILD = """
import time
ns, s = time.perf_counter_ns, time.perf_counter
time.perf_counter_ns = lambda: ns() + {ahead_s} * 10**9
time.perf_counter = lambda: s() + {ahead_s}
from bci.cli import main
main()
"""
SESSION = f"""
subject = "demo"
rig = "{ROOT}/configs/rigs/simulated.toml"
experiment = "experiment.toml"
"""
EXPERIMENT = """
name = "trials at once"
[decoder]
p_plus = ["roi0000", "roi0002", "roi0004", "roi0006"]
p_minus = ["roi0008", "roi0010", "roi0012", "roi0014"]
f0_window_s = 1.0
[threshold]
t = 0.2
lo = -0.2
[task]
trial_s = 0.5
grey_s = 0.2
miss_s = 0.2
[faults]
stall_s = 60.0
"""


class Alone:
    """One verb in a process of its own; its log is read while it runs."""

    def __init__(
        self, folder: Path, verb: str, *arguments: str, within: Sequence[str] = ()
    ) -> None:
        self._log = folder / f"{verb}.log"
        child = CHILD.format(ahead_s=AHEAD_S.get(verb, 0))
        with self._log.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [*within, sys.executable, "-c", child, verb, "session.toml", *arguments],
                cwd=folder,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def peer(self, name: str) -> str:
        """`--peer` for who is to find this one there."""
        told = f"listens for {name} at "
        until(lambda: told in self.said() or self.process.poll() is not None)
        assert told in self.said(), self.said()
        return f"--peer={name}={self.said().partition(told)[2].partition(chr(34))[0]}"

    def said(self) -> str:
        return self._log.read_text("utf-8")

    def interrupt(self) -> None:
        """Ctrl-C, which ends it in order."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(WAIT_S) == 0, self.said()
        assert "Traceback" not in self.said()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)


def is_under_way(folder: Path) -> bool:
    """Whether a trial was played, and both clocks were told again while the session ran."""
    record = SessionRecord.read(folder)
    told = [one.value.peer for one in record.clocks]
    return len(record.trials) > 0 and all(told.count(peer) > 2 for peer in Peer)


def test_times_of_other_computers_are_told_on_controls_clock(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(EXPERIMENT, "utf-8")
    (tmp_path / "session.toml").write_text(SESSION, "utf-8")
    folder = tmp_path / "recorded"
    with ExitStack() as processes:

        def alone(verb: str, *arguments: str) -> Alone:
            one = Alone(
                tmp_path,
                verb,
                *arguments,
                "--set=rig.screen.backend=null",
                "--token-file=session.token",
            )
            processes.callback(one.end)
            return one

        acquisition = alone("acquire")
        board = alone("board")
        control = alone(
            "control",
            "--folder=recorded",
            acquisition.peer("frames"),
            acquisition.peer("channel"),
            board.peer("board"),
        )
        screen = alone("stimulus", control.peer("commands"), control.peer("flips"))
        until(lambda: control.process.poll() is not None or is_under_way(folder), every_s=0.3)
        for one in (control, screen, acquisition, board):
            one.interrupt()

    record = SessionRecord.read(folder)
    assert record.end is not None
    assert record.end.reason == ASKED_TO_STOP
    for peer, verb in ((Peer.ACQUISITION, "acquire"), (Peer.STIMULUS, "stimulus")):
        tied = [one.value for one in record.clocks if one.value.peer is peer]
        for one in tied:
            assert abs(one.offset_ns - AHEAD_S[verb] * 10**9) <= one.error_ns
    ahead_ns = record.frames["t_sent_ns"] - record.frames["t_received_ns"]
    assert ahead_ns.min() > 1e9 * AHEAD_S["acquire"] / 2, "frames are kept as they arrived"
    first_ns, last_ns = record.start.t_perf_ns, record.frames["t_received_ns"][-1] + 10**9 * WAIT_S
    flips = [
        one.value.t_flip_ns
        for one in record.screen
        if isinstance(one.value, FlipReport) and one.value.kind is FlipKind.SHOWN
    ]
    assert flips
    assert first_ns < min(flips) < max(flips) < last_ns
    stages = {stage.name: stage.ms for stage in stage_times(record)}
    assert len(stages) == 4
    for name, ms in stages.items():
        assert np.abs(ms).max() < 1000 * WAIT_S, name
    assert verify(folder).kind is VerdictKind.IDENTICAL
