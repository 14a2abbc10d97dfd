"""A microscope program at the door, end to end: what it sends is what control receives."""

import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zmq
from acquired_stream import acquiring, session_of
from waiting import WAIT_MS, WAIT_S

from bci.core.frame_header import FLAG_END, pack_header
from bci.core.loop_types import Malformed
from bci.core.stream_types import RoiFrame
from bci.stream.publisher import Delivery

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def door(kind: str, **more: object) -> dict[str, object]:
    return {"kind": kind, "n_rois": 40, "rate_hz": 30.0, **more}


def push(endpoint: str, *messages: list[bytes]) -> None:
    """Send as a microscope program does, and wait until it has left."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.set(zmq.LINGER, WAIT_MS)
        socket.connect(endpoint)
        for message in messages:
            socket.send_multipart(message)


def framed(frame_id: int) -> bytes:
    """A frame as it is over plain TCP."""
    _, header, values = sent(frame_id, [1.0] * 40)
    return struct.pack("<I", len(header) + len(values)) + header + values


def sent(frame_id: int, values: list[float], flags: int = 0, roi_hash: int = 0) -> list[bytes]:
    frame = RoiFrame(9, roi_hash, 77, frame_id, 1, 123, 5, np.array(values, np.float32), flags)
    return [b"frame", pack_header(frame), frame.fluorescence.tobytes()]


@pytest.mark.parametrize("kind", ["zmq", "tcp"])
def test_the_example_sender_reaches_control(kind: str) -> None:
    with acquiring(session_of(door(kind)), epoch=2) as (link, receiver):
        receiver.start(Delivery.LIVE)
        endpoint = link.wait_announced("door", WAIT_S)
        sender = subprocess.Popen(
            [sys.executable, EXAMPLES / f"send_frames_{kind}.py", endpoint, "20"]
        )
        frames = [receiver.next_frame() for _ in range(20)]
        assert sender.wait(WAIT_S) == 0
    assert [f.frame_id for f in frames] == list(range(20))
    assert {f.epoch for f in frames} == {2}
    assert {f.session_hash for f in frames} == {receiver.info.session_hash}
    assert {f.roi_hash for f in frames} == {receiver.info.roi_hash}
    # the microscope's own time goes through
    assert [f.t_scope_ns for f in frames] == [round(i / 30.0 * 1e9) for i in range(20)]
    np.testing.assert_allclose(frames[3].fluorescence[2], 500 + 50 * np.sin(2.3), rtol=1e-6)


def test_what_a_tcp_sender_sent_before_the_start_is_dropped() -> None:
    with acquiring(session_of(door("tcp"))) as (link, receiver):
        host, port = link.wait_announced("door", WAIT_S).removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), WAIT_S) as early:
            for frame_id in range(600):
                early.sendall(framed(frame_id))
            # no frame is of this length: once all before it is taken, the door hangs up
            early.sendall(struct.pack("<I", 0))
            assert early.recv(1) == b""
        receiver.start(Delivery.LIVE)
        with socket.create_connection((host, int(port)), WAIT_S) as scope:
            for frame_id in (600, 601):
                scope.sendall(framed(frame_id))
            assert [receiver.next_frame().frame_id for _ in range(2)] == [600, 601]


def test_what_the_sender_got_wrong_reaches_control_unjudged() -> None:
    with acquiring(session_of(door("zmq"))) as (link, receiver):
        receiver.start(Delivery.LIVE)
        push(
            link.wait_announced("door", WAIT_S),
            sent(5, [1.0, 2.0]),
            sent(5, [1.0, 2.0], roi_hash=1234),
            sent(2**63, [float("nan")]),
        )
        frames = [receiver.next_frame() for _ in range(3)]
    assert [f.frame_id for f in frames] == [5, 5, 2**63]
    assert [f.plane for f in frames] == [1, 1, 1]
    assert frames[0].fluorescence.tolist() == [1.0, 2.0]
    assert [f.roi_hash for f in frames] == [receiver.info.roi_hash, 1234, receiver.info.roi_hash]


def test_garbage_at_the_door_is_seen_by_control_in_its_place() -> None:
    with acquiring(session_of(door("zmq"))) as (link, receiver):
        receiver.start(Delivery.LIVE)
        push(
            link.wait_announced("door", WAIT_S),
            sent(0, [1.0]),
            [b"frame", b"junk", b""],
            [b"frame", b"x" * 64, b""],
            sent(1, [1.0]),
        )
        arrived = [receiver.next() for _ in range(4)]
        assert "not_a_frame" in {kind for kind, _ in link.reports} or link.wait_reported(
            "not_a_frame", WAIT_S
        )
    assert [isinstance(one, Malformed) for one in arrived] == [False, True, True, False]


def test_the_microscope_can_tell_that_it_has_ended() -> None:
    with acquiring(session_of(door("zmq"))) as (link, receiver):
        receiver.start(Delivery.LIVE)
        push(link.wait_announced("door", WAIT_S), sent(8, [1.0]), sent(9, [], flags=FLAG_END))
        assert [f.frame_id for f in receiver.to_the_end()] == [8]
        assert link.wait_reported("ended", WAIT_S) == "8"
