"""Whole sessions on what a lab may have: its microscope's sender, its recordings, its board."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from microscope import DOOR, Microscope, endpoint_of
from pynwb import NWBHDF5IO
from recorded_formats import write_nwb, write_suite2p
from running_session import DEMO, REPLAY, ROOT, SHORT, RunningSession, sets, write_files
from waiting import WAIT_S, until

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import LedgerKind, Outcome, TaskState
from bci.gui.alarm_words import WORDS
from bci.recording.folder import read_endpoints
from bci.recording.performance import time_of
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, verify

EXAMPLES = ROOT / "docs" / "examples"
N_ROIS, RATE_HZ, RECORDED_S = 16, 30.0, 40.0
RIG = """
name = "door"
source = {{ kind = "{kind}", n_rois = 40, rate_hz = 30.0 }}
board = {{ kind = "{board}", port = "{port}", ack_timeout_ms = 5000, watchdog_ms = 5000 }}
screen = {{ backend = "null" }}
"""
EXPERIMENT = """
name = "sines"
[decoder]
p_plus = ["roi0000", "roi0002", "roi0004", "roi0006"]
p_minus = ["roi0008", "roi0010", "roi0012", "roi0014"]
f0_window_s = 3.0
[threshold]
t = 0.03  # the example's sines make s go from -0.037 to 0.037 every 2.1 s
lo = -0.03
[faults]
stall_s = 60.0  # a machine that is at other things for a moment must not pause the task
[task]
trial_s = 2.0
hit_s = 1.0
reward_delay_s = 0.5
black_s = 0.5
miss_s = 0.5
session_s = 7.0
"""


REWARD_ENDS = (
    BoardEventKind.REWARD_DONE,
    BoardEventKind.REWARD_FAILED,
    BoardEventKind.REWARD_UNKNOWN,
)


def door_session(folder: Path, kind: str, board: str, port: str) -> Path:
    """A session file whose frames come from whoever knocks."""
    (folder / "rig.toml").write_text(RIG.format(kind=kind, board=board, port=port))
    (folder / "experiment.toml").write_text(EXPERIMENT)
    path = folder / "session.toml"
    path.write_text('subject = "m1"\nrig = "rig.toml"\nexperiment = "experiment.toml"\n')
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(
    ("kind", "board"), [("zmq", "harp"), pytest.param("tcp", "bpod", marks=pytest.mark.long)]
)
def test_example_sender_and_another_makers_board_make_a_whole_session(
    tmp_path: Path, kind: str, board: str
) -> None:
    from board_peers import BpodPeer, HarpPeer

    with HarpPeer() if board == "harp" else BpodPeer() as device:
        path = door_session(tmp_path, kind, board, device.port)
        with RunningSession("run", path, out=tmp_path / "out") as session:
            door = until(lambda: _door(session))
            # its first frames would wait at the door, and rewards then come faster than drops
            until(lambda: (t := session.telemetry()) is not None and t.state != "STARTING")
            sender = subprocess.Popen(
                [sys.executable, EXAMPLES / f"send_frames_{kind}.py", door, "900"],
                stderr=subprocess.DEVNULL,  # the session ends before it does
            )
            code, output = session.end()
            sender.kill()
            sender.wait(WAIT_S)
            assert code == 0, output
            record, folder = session.record(), session.folder
        opened = device.openings
    ids = record.frames["frame_id"]
    assert list(ids) == [*range(len(ids))]
    assert len(ids) >= 7 * 30
    hits = [trial for trial in record.trials if trial.outcome is Outcome.HIT]
    ends = [event for event in record.board if event.kind in REWARD_ENDS]
    assert [end.request_id for end in ends] == list(range(1, len(hits) + 1))
    # a device that the machine holds up opens its valve too late to be seen, or not at all
    n_done = sum(end.kind is BoardEventKind.REWARD_DONE for end in ends)
    assert n_done <= opened <= len(hits)
    assert hits
    assert verify(folder).kind is VerdictKind.IDENTICAL


def test_old_frames_are_dropped_and_another_rate_than_declared_ends_the_session(
    tmp_path: Path,
) -> None:
    """The sender was there first: what it sent before the start is of no session.

    Files, terminal and window count from the first frame after it.
    """
    overrides = (*(one.replace("warn", "stop") for one in DOOR), "experiment.faults.stall_s=60")
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        scope = Microscope(endpoint_of(session, "door"))

        def send() -> None:
            # a microscope's own clock says what its rate is, however fast this computer is
            scope.send(t_scope_ns=1 + round(scope.next_id * 1e9 / 15))

        for _ in range(600):
            send()
        # asked now and then, because nobody says when the last of them was dropped
        until(lambda: (t := session.telemetry()) is not None and t.state != "STARTING")
        n_before = scope.next_id

        clocks_s = []

        def is_over() -> bool:
            told = session.telemetry()
            if told is not None and told.state != "STARTING":
                clocks_s.append(told.session_s)
            if session.process.poll() is not None or (told and told.state == "DONE"):
                return True
            send()
            return False

        until(is_over)
        code, output = session.end()
        scope.close()
        assert code == 1, output
        record = session.record()
    found = [one.value for one in record.ledger if one.value.kind is LedgerKind.WRONG_RATE]
    assert len(found) == 1
    assert "15.00 Hz" in found[0].detail
    assert "microscope" in found[0].detail
    ids = record.frames["frame_id"]
    assert ids[0] == n_before
    assert (ids == n_before + np.arange(len(ids))).all()
    assert record.decisions[-1].state is TaskState.DONE
    assert verify(record.folder).kind is VerdictKind.IDENTICAL
    # the terminal's clock is the window's and the files': frame time, whatever this computer's is
    first_id = time_of(record).first_id
    assert {round(s * RATE_HZ, 6) for s in clocks_s} <= {0, *(ids - first_id).tolist()}
    assert max(clocks_s) > 0
    write_files(record.folder)
    with NWBHDF5IO(record.folder / "session.nwb", "r") as io:
        file = io.read()
        [series] = file.processing["ophys"]["Fluorescence"].roi_response_series.values()
        assert series.starting_time == 0.0
        assert file.processing["bci"]["s3"].starting_time == 0.0
        assert file.epochs["start_time"].data[0] == 0.0


@pytest.mark.long
def test_another_rate_than_declared_is_only_reported_if_that_is_asked_for(
    tmp_path: Path,
) -> None:
    overrides = (*DOOR, "experiment.faults.stall_s=60")
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        scope = Microscope(endpoint_of(session, "door"))
        until(lambda: (t := session.telemetry()) is not None and t.state != "STARTING")

        def is_told() -> bool:
            scope.send(t_scope_ns=1 + round(scope.next_id * 1e9 / 15))
            told = session.telemetry()
            return told is not None and "15.00 Hz" in told.acquisition

        until(is_told)
        session.process.terminate()
        code, output = session.end()
        scope.close()
        assert code == 0, output
        assert "15.00 Hz" in output
        kinds = [one.value.kind for one in session.record().ledger]
    assert kinds.count(LedgerKind.WRONG_RATE) == 1
    assert LedgerKind.WRONG_RATE in WORDS


def _door(session: RunningSession) -> str | None:
    try:
        return read_endpoints(session.folder).get("door")
    except FileNotFoundError:
        return None


def recorded() -> np.ndarray:
    """Fluorescence, ROIs x frames: events of every cell, at different times."""
    rng = np.random.default_rng(4)
    n_frames = int(RECORDED_S * RATE_HZ)
    events = rng.random((N_ROIS, n_frames)) < 0.25 / RATE_HZ
    decay = np.exp(-np.arange(30) / (0.5 * RATE_HZ))
    traces = np.stack([np.convolve(row, decay)[:n_frames] for row in events])
    noise = rng.normal(0.0, 0.02, traces.shape)
    return (500.0 * (1.0 + 0.6 * traces + noise)).astype(np.float32)


def replayed(recording: Path, out: Path) -> SessionRecord:
    overrides = [
        *(*SHORT, "experiment.baseline.duration_s=12", "rig.source.background_counts=0"),
        'experiment.decoder.p_plus=["roi0000", "roi0001", "roi0002"]',
        'experiment.decoder.p_minus=["roi0003", "roi0004", "roi0005"]',
    ]
    arguments = ("replay", recording, REPLAY, "--as-fast-as-possible", *sets(overrides))
    with RunningSession(*arguments, out=out) as session:
        code, output = session.end()
        assert code == 0, output
        assert verify(session.folder).kind is VerdictKind.IDENTICAL
        return session.record()


@pytest.mark.long
def test_suite2p_folder_and_nwb_file_of_the_same_traces_are_decided_alike(tmp_path: Path) -> None:
    traces = recorded()
    writers: dict[str, Callable[[Path, np.ndarray, float], Path]] = {
        "suite2p": write_suite2p,
        "nwb": write_nwb,
    }
    decided = {}
    for name, write in writers.items():
        record = replayed(write(tmp_path / name, traces, RATE_HZ), tmp_path / f"{name}-out")
        assert len(record.frames) == traces.shape[1]
        assert {trial.outcome for trial in record.trials} >= {Outcome.HIT, Outcome.MISS}
        np.testing.assert_array_equal(record.fluorescence(0), traces.T)
        decided[name] = [
            msgspec.msgpack.encode(msgspec.structs.replace(one, sequence=0))
            for one in record.decisions
            if one.decoded
        ]
    assert decided["suite2p"] == decided["nwb"]
