import itertools
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from held_port import held_port
from microscope import N_ROIS, RATE_HZ, Microscope
from waiting import WAIT_S

from bci.config.rig import DoorSource, SimulatedSource, Source
from bci.core.frame_header import FLAG_END
from bci.core.source import FrameSource, SourceFrame
from bci.core.stream_types import StreamInfo
from bci.session import stream_trial
from bci.session.check import Status
from bci.session.screen_trial import jitter_ms
from bci.session.stream_check import dark_check, rate_check, stream_check
from bci.session.stream_trial import LEAST_FRAMES, StreamTrial, StreamTrialFailed, try_stream


def door(port: int, **changed: float) -> DoorSource:
    plain = {"kind": "zmq", "n_rois": N_ROIS, "rate_hz": RATE_HZ, "port": port}
    return DoorSource.model_validate(plain | changed)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to connect."""
    monkeypatch.setattr(stream_trial, "FIRST_FRAME_S", WAIT_S)


@contextmanager
def sending(port: int, n_rois: int) -> Iterator[None]:
    """A microscope that sends 200 frames a second to a port, and never ends by itself."""
    done = threading.Event()
    microscope = Microscope(f"tcp://127.0.0.1:{port}")

    def run() -> None:
        while not done.wait(0.005):
            microscope.send(values=microscope.values()[:n_rois])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        microscope.close()


def found(**changed: object) -> StreamTrial:
    info = StreamInfo("", 0, "door", 30.0, 1, (0, 0), 1, 10.0, None, ())
    plain = {
        "info": info,
        "arrives": True,
        "n_frames": 60,
        "lost": 0,
        "rate_hz": 30.1,
        "wrong": {},
        "above_dark_counts": 400.0,
    }
    return StreamTrial(**plain | changed)


def test_frames_of_a_microscope_are_counted_and_their_level_told() -> None:
    with held_port() as port, closing(Microscope(f"tcp://127.0.0.1:{port}")) as microscope:
        for frame_id in range(60):
            if frame_id % 10:
                microscope.send(frame_id)
        microscope.send(60, np.empty(0), flags=FLAG_END)
        trial = try_stream(door(port, dark_counts=100.0), WAIT_S)
    assert trial.arrives
    assert (trial.n_frames, trial.lost) == (54, 5)
    assert trial.above_dark_counts == pytest.approx(400.0, abs=5.0)
    assert not trial.wrong


def test_frames_that_a_session_would_refuse_are_told() -> None:
    refused = pytest.raises(StreamTrialFailed, match="5 ROIs in plane 0")
    with held_port() as port, sending(port, n_rois=5), refused:
        try_stream(door(port), 0.5)


def test_a_simulation_is_read_without_waiting() -> None:
    trial = try_stream(SimulatedSource(kind="simulated", n_planes=2), 5.0)
    assert not trial.arrives
    assert trial.lost == 0
    assert rate_check(trial).status is Status.OK


def test_a_computer_that_stands_still_for_a_moment_is_no_slow_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = stream_trial.open_source

    def held_up_at_the_second_frame(settings: Source, peers: Collection[str]) -> FrameSource:
        source = opened(settings, peers)
        read, n_read = source.read, itertools.count(1)

        def late(timeout_s: float) -> SourceFrame | None:
            if next(n_read) == 2:
                time.sleep(0.3)  # what is being tried: longer than the source is read
            return read(timeout_s)

        monkeypatch.setattr(source, "read", late)
        return source

    monkeypatch.setattr(stream_trial, "open_source", held_up_at_the_second_frame)
    trial = try_stream(SimulatedSource(kind="simulated", n_planes=2), 0.5)
    assert trial.n_frames >= LEAST_FRAMES
    assert rate_check(trial).status is Status.OK


def test_verdicts_on_the_stream() -> None:
    assert stream_check(found()).status is Status.OK
    assert stream_check(found(lost=3)).status is Status.WARN
    assert stream_check(found(wrong={"plane 3 of 1": 2})).status is Status.FAIL
    assert rate_check(found()).status is Status.OK
    assert rate_check(found(rate_hz=15.0)).status is Status.FAIL
    assert rate_check(found(arrives=False, rate_hz=12.0)).status is Status.FAIL
    assert dark_check(found()).status is Status.OK
    assert dark_check(found(above_dark_counts=-3.0)).status is Status.FAIL


def test_jitter_counts_from_whole_refreshes() -> None:
    period_ns = 1e9 / 60
    steady = [round(k * 2 * period_ns) for k in range(90)]
    shaken = [t + (2_000_000 if place % 3 == 0 else 0) for place, t in enumerate(steady)]
    assert jitter_ms(steady, 60.0) < 1e-3
    assert jitter_ms(shaken, 60.0) == pytest.approx(2.0, abs=0.01)
