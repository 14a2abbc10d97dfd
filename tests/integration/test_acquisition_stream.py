"""A recording, through the acquisition thread and real sockets: which frame arrives, and when."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from acquired_stream import Receiver, acquiring, session_data, session_of
from waiting import WAIT_S, until

from bci.core.source import SourceFrame
from bci.core.stream_types import hash64
from bci.hardware.imaging.acquisition import AcquisitionThread, Ending
from bci.hardware.imaging.process import AcquisitionFailed, run_acquisition
from bci.hardware.imaging.recording_source import RecordingSource
from bci.recording.readers.registry import read_traces
from bci.stream.access import Access, new_token
from bci.stream.hub import SupervisorHub
from bci.stream.publisher import Delivery, FramePublisher
from bci.stream.supervision import LocalLink

N_ROIS, N_TURNS = 5, 700


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Row r, turn t holds 1000 r + t."""
    values = 1000.0 * np.arange(N_ROIS)[:, np.newaxis] + np.arange(N_TURNS)
    np.save(tmp_path / "t.npy", values)
    return tmp_path / "t.npy"


def recording(path: Path, **more: object) -> dict[str, object]:
    return {"kind": "recording", "path": str(path), "rate_hz": 30.0, **more}


@pytest.mark.parametrize("n_planes", [1, 2])
def test_lossless_gives_every_frame_with_its_values(path: Path, n_planes: int) -> None:
    source = recording(path, n_planes=n_planes, background_counts=7.0)
    with acquiring(session_of(source, delivery="lossless")) as (link, receiver):
        receiver.start(Delivery.LOSSLESS, credits=64)
        frames = receiver.to_the_end(credits=64)
        assert link.wait_reported("ended", WAIT_S) == str(N_TURNS * n_planes - 1)
        assert receiver.client.status().ended
    assert [f.frame_id for f in frames] == list(range(N_TURNS * n_planes))
    for f in frames:
        turn, plane = divmod(f.frame_id, n_planes)
        assert f.plane == plane
        assert f.fluorescence.tolist() == [
            1000.0 * row + turn + 7.0 for row in range(plane, N_ROIS, n_planes)
        ]


def test_without_credit_nothing_comes(path: Path) -> None:
    with acquiring(session_of(recording(path), delivery="lossless")) as (_, receiver):
        receiver.start(Delivery.LOSSLESS, credits=3)
        assert [receiver.next_frame().frame_id for _ in range(3)] == [0, 1, 2]
        until(lambda: receiver.client.status().frames_sent == 3)
        assert receiver.client.status().credits_left == 0
        assert receiver.frames.receive() is None
        receiver.client.credit(2)
        assert [receiver.next_frame().frame_id for _ in range(2)] == [3, 4]


def test_frames_carry_session_epoch_and_both_times(path: Path) -> None:
    with acquiring(session_of(recording(path), speed=5.0), epoch=3) as (link, receiver):
        before_ns = time.perf_counter_ns()
        receiver.start(Delivery.LIVE)
        frames = [receiver.next_frame() for _ in range(30)]
        origin_ns = int(link.wait_reported("first_frame", WAIT_S))
    assert receiver.epoch == 3
    assert receiver.info.session == "a session"
    assert {f.session_hash for f in frames} == {hash64("a session")}
    assert {f.roi_hash for f in frames} == {receiver.info.roi_hash}
    assert {f.epoch for f in frames} == {3}
    nominal = [origin_ns + round(f.frame_id * 1e9 / 150.0) for f in frames]
    assert [f.t_scope_ns for f in frames] == nominal
    assert origin_ns > before_ns
    # never before its time, however the machine is loaded
    assert all(f.t_sent_ns >= f.t_scope_ns for f in frames)


def test_live_at_many_times_the_speed_keeps_order_and_times(path: Path) -> None:
    with acquiring(session_of(recording(path, n_planes=2), speed=20.0)) as (_, receiver):
        receiver.start(Delivery.LIVE)
        frames = receiver.to_the_end()
    assert [f.frame_id for f in frames] == list(range(2 * N_TURNS))
    assert all(np.diff([f.t_sent_ns for f in frames]) > 0)
    assert all(f.t_sent_ns >= f.t_scope_ns for f in frames)


def test_a_loop_goes_on_with_ids_and_the_first_values(path: Path) -> None:
    with acquiring(session_of(recording(path, loop=True), delivery="lossless")) as (_, receiver):
        receiver.start(Delivery.LOSSLESS, credits=900)
        frames = [receiver.next_frame() for _ in range(900)]
    assert [f.frame_id for f in frames] == list(range(900))
    assert [f.fluorescence[0] for f in frames] == [i % N_TURNS for i in range(900)]


def test_after_a_stop_a_start_goes_on_by_the_time_that_has_passed(path: Path) -> None:
    with acquiring(session_of(recording(path, loop=True), speed=4.0)) as (_, receiver):
        receiver.start(Delivery.LIVE)
        origin_ns = receiver.next_frame().t_scope_ns
        receiver.client.stop()
        until(lambda: time.perf_counter_ns() - origin_ns > 3e8)
        started_ns = time.perf_counter_ns()
        receiver.start(Delivery.LIVE)
        # what was sent before the stop may still be on its way
        while (first_again := receiver.next_frame()).t_sent_ns < started_ns:
            pass
        assert first_again.frame_id >= 0.3 * 120 - 1
        assert first_again.frame_id == round((first_again.t_scope_ns - origin_ns) * 120 / 1e9)


def test_stop_is_followed_at_once_even_while_waiting_for_credit(path: Path) -> None:
    with acquiring(session_of(recording(path), delivery="lossless")) as (_, receiver):
        receiver.start(Delivery.LOSSLESS, credits=1)
        assert receiver.next_frame().frame_id == 0
    # leaving the context stops it and fails where it hangs


def test_a_lossless_run_is_not_continued(path: Path) -> None:
    session = session_of(recording(path), delivery="lossless")
    with pytest.raises(AcquisitionFailed, match="start it again"):
        run_acquisition(session, LocalLink("acquisition"), "s", 1, time.perf_counter_ns())


class Breaking(RecordingSource):
    """A disk that fails at frame 10."""

    def read(self, timeout_s: float) -> SourceFrame:
        frame = super().read(timeout_s)
        if frame.frame_id == 10:
            raise OSError("the disk is gone")
        return frame


def test_an_error_in_the_source_ends_the_stream_with_its_reason(path: Path) -> None:
    publisher = FramePublisher()
    thread = AcquisitionThread(Breaking(read_traces(path, 3000.0)), publisher, "s", 0)
    thread.start()
    assert thread.join(WAIT_S)
    publisher.close()
    assert thread.ending is Ending.FAILED
    assert thread.reason == "OSError: the disk is gone"
    assert thread.last_frame_id == 9


TOKEN = new_token()


@pytest.fixture
def spawn(tmp_path: Path):
    """Real acquisition processes of a real supervisor."""
    children: list[subprocess.Popen[bytes]] = []

    def start(hub: SupervisorHub, source: dict[str, object], *arguments: str, **stream: object):
        settings = tmp_path / "session.json"
        settings.write_text(json.dumps(session_data(source, **stream)))
        script = Path(__file__).parents[1] / "acquisition_child.py"
        children.append(
            subprocess.Popen([sys.executable, script, hub.endpoint, TOKEN, settings, *arguments])
        )
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.wait()


def receiver_of(hub: SupervisorHub) -> Receiver:
    endpoints = until(lambda: hub.endpoints() if "channel" in hub.endpoints() else None)
    return Receiver(endpoints["frames"], endpoints["channel"], TOKEN)


def reported(hub: SupervisorHub, kind: str) -> str:
    found: list[str] = []

    def seen() -> list[str]:
        found.extend(report.detail for report in hub.take_reports() if report.kind == kind)
        return found

    return until(seen)[0]


def test_a_killed_process_comes_back_with_ids_that_go_on(path: Path, spawn) -> None:
    source = recording(path, loop=True)
    with SupervisorHub(Access(TOKEN)) as hub:
        first = spawn(hub, source, "s", "0")
        receiver = receiver_of(hub)
        receiver.start(Delivery.LIVE)
        last = receiver.next_frame()
        origin = reported(hub, "first_frame")
        first.kill()
        first.wait()
        while (received := receiver.frames.receive()) is not None:
            last = received.frame
        receiver.close()
        hub.forget("acquisition")

        second = spawn(hub, source, "s", "1", origin)
        receiver = receiver_of(hub)
        assert receiver.info.epoch == 1
        before_ns = time.perf_counter_ns()
        receiver.start(Delivery.LIVE)
        frames = [receiver.next_frame() for _ in range(5)]
        assert reported(hub, "first_frame") == origin
        hub.stop("acquisition")
        assert second.wait(WAIT_S) == 0
        receiver.close()
    asked_at = (before_ns - int(origin)) / 1e9 * 30.0
    assert [f.frame_id for f in frames] == list(range(frames[0].frame_id, frames[0].frame_id + 5))
    assert frames[0].frame_id > last.frame_id
    # half a frame: the id is that of the nearest
    assert frames[0].frame_id >= asked_at - 0.5
    assert {f.epoch for f in frames} == {1}
    assert [f.fluorescence[0] for f in frames] == [f.frame_id % N_TURNS for f in frames]


def test_a_process_whose_supervisor_asks_it_to_stop_ends_with_nothing_left(
    path: Path, spawn
) -> None:
    with SupervisorHub(Access(TOKEN)) as hub:
        child = spawn(hub, recording(path), "s", "0")
        until(lambda: "frames" in hub.endpoints())
        hub.stop("acquisition")
        assert child.wait(WAIT_S) == 0
    assert all(t.name != "acquisition" for t in threading.enumerate())
