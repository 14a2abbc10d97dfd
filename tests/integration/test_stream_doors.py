"""Programs that hand frames in: the examples as they are, several in turn, and cut off."""

import contextlib
import itertools
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import WAIT_S, until

from bci.core.frame_header import pack_header
from bci.core.loop_types import Malformed
from bci.core.stream_types import RoiFrame
from bci.stream.door import TcpDoor, ZmqDoor
from bci.stream.errors import StreamError

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def framed(frame_id, n_rois=4):
    values = np.full(n_rois, frame_id, dtype=np.float32)
    message = pack_header(RoiFrame(0, 0, 0, frame_id, 0, 1, 2, values)) + values.tobytes()
    return struct.pack("<I", len(message)) + message


def connect(door):
    host, port = door.endpoint.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)))


@pytest.fixture
def door():
    door = TcpDoor(takeover_s=0.05)
    yield door
    door.close()


@pytest.mark.parametrize(
    ("make", "example"), [(ZmqDoor, "send_frames_zmq.py"), (TcpDoor, "send_frames_tcp.py")]
)
def test_the_example_sender_is_a_live_source(make, example):
    door = make()
    sender = subprocess.Popen([sys.executable, EXAMPLES / example, door.endpoint, "30"])
    try:
        frames = [door.read(WAIT_S) for _ in range(30)]
        assert sender.wait(WAIT_S) == 0
    finally:
        sender.kill()
        sender.wait()
        door.close()
    assert [frame.frame_id for frame in frames] == list(range(30))
    assert all(frame.fluorescence.shape == (40,) for frame in frames)
    np.testing.assert_allclose(frames[0].fluorescence[1], 500 + 50 * np.sin(1.0), rtol=1e-6)
    # at its rate, a second long: without waiting they would leave within milliseconds
    assert frames[-1].t_sent_ns - frames[0].t_sent_ns > 5e8
    assert all(np.diff([frame.t_scope_ns for frame in frames]) > 0)


@pytest.mark.parametrize("example", ["send_frames_zmq.py", "send_frames_tcp.py"])
def test_the_examples_are_short_and_need_nothing_of_ours(example):
    text = (EXAMPLES / example).read_text()
    assert len(text.splitlines()) <= 30
    imports = set(re.findall(r"^(?:import|from) (\w+)", text, flags=re.MULTILINE))
    assert imports <= {"math", "socket", "struct", "sys", "time", "zmq"}


def test_the_zmq_example_ends_though_nobody_is_there_any_more():
    with socket.socket() as silent:
        # bound, so that nobody else can answer there
        silent.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        sender = subprocess.Popen([sys.executable, EXAMPLES / "send_frames_zmq.py", nobody, "2"])
        try:
            assert sender.wait(WAIT_S) == 0, "it waits for a session that is over"
        finally:
            sender.kill()
            sender.wait()


def test_the_tcp_example_says_that_the_session_is_over():
    with socket.create_server(("127.0.0.1", 0)) as session:
        endpoint = f"tcp://127.0.0.1:{session.getsockname()[1]}"
        command = [sys.executable, EXAMPLES / "send_frames_tcp.py", endpoint, "100000"]
        sender = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            session.accept()[0].close()
            said = sender.communicate(timeout=WAIT_S)[1]
        finally:
            sender.kill()
            sender.wait()
    assert sender.returncode == 1
    assert said.startswith("the session is over")


def test_programs_are_taken_in_turn(door):
    for repeat in range(3):
        with connect(door) as client:
            client.sendall(framed(2 * repeat) + framed(2 * repeat + 1))
            assert [door.read(WAIT_S).frame_id for _ in range(2)] == [2 * repeat, 2 * repeat + 1]


def test_a_frame_that_comes_byte_by_byte_is_whole(door):
    message = framed(9)
    with connect(door) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(message) - 1):
            client.sendall(message[at : at + 1])
            assert door.read(0.0) is None
        client.sendall(message[-1:])
        frame = door.read(WAIT_S)
    assert (frame.frame_id, frame.fluorescence.tolist()) == (9, [9.0] * 4)


def test_a_frame_cut_off_by_the_end_of_the_connection_is_told(door):
    with connect(door) as client:
        client.sendall(framed(1) + framed(2)[:20])
    assert door.read(WAIT_S).frame_id == 1
    assert door.read(WAIT_S) == Malformed("connection closed after 16 of 80 bytes of a frame", 16)
    with connect(door) as client:
        client.sendall(framed(3))
        assert door.read(WAIT_S).frame_id == 3


@pytest.mark.parametrize("length", [0, 63, 64 + 4 * 1_000_000 + 1, 2**32 - 1])
def test_an_impossible_length_ends_that_connection_alone(door, length):
    with connect(door) as client:
        client.sendall(struct.pack("<I", length) + b"rest")
        refused = door.read(WAIT_S)
        assert refused.reason.startswith(f"length prefix {length}, not 64 to ")
        client.settimeout(WAIT_S)
        with connect(door) as other:
            other.sendall(framed(5))
            assert door.read(WAIT_S).frame_id == 5
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_a_program_that_hangs_gives_way_to_the_next(door):
    with connect(door) as silent:
        silent.sendall(framed(1)[:30])
        assert door.read(0.01) is None
        with connect(door) as newcomer:
            newcomer.sendall(framed(2))
            cut_off = door.read(WAIT_S)
            assert cut_off.reason.startswith("another program took its place after 26 of 80")
            assert door.read(WAIT_S).frame_id == 2


@pytest.mark.parametrize(
    ("piece", "n_bytes"),
    [(framed(1, n_rois=1_000_000), 1), (struct.pack("<I", 80) + b"\0" * 80, 84)],
    ids=["half a frame, byte by byte", "messages that are no frames"],
)
def test_only_whole_frames_keep_a_place(door, piece, n_bytes):
    """Whoever sends on and on without a frame gives way, though there is always more to read."""
    places = itertools.cycle(range(0, len(piece), n_bytes))
    with connect(door) as hog, connect(door) as newcomer:
        newcomer.sendall(framed(2))

        def came_in():
            at = next(places)
            # something of the other one is there before each look, until it is let go
            with contextlib.suppress(OSError):
                hog.sendall(piece[at : at + n_bytes])
            got = door.read(0.0)
            return isinstance(got, RoiFrame) and got.frame_id == 2

        until(came_in)


def test_a_program_that_sends_keeps_its_place():
    door = TcpDoor(takeover_s=30.0)
    with connect(door) as client, connect(door) as waiting:
        waiting.sendall(framed(100))
        client.sendall(framed(0))
        assert door.read(WAIT_S).frame_id == 0
        assert door.read(0.01) is None
        client.sendall(framed(1))
        assert door.read(WAIT_S).frame_id == 1
        client.close()
        assert door.read(WAIT_S).frame_id == 100
    door.close()


def test_a_program_that_is_too_fast_is_held_back_and_loses_nothing(door):
    with connect(door) as client:
        client.setblocking(False)
        sent = 0
        message, left = framed(0, 50_000), b""
        while True:
            try:
                left = left or message
                left = left[client.send(left) :]
                if not left:
                    sent += 1
                    message = framed(sent, 50_000)
            except BlockingIOError:
                break
            assert sent < 10_000, "nothing held it back"
        ids = [door.read(WAIT_S).frame_id for _ in range(sent)]
        assert ids == list(range(sent))


def test_a_door_that_others_can_reach_is_refused_unless_asked_for():
    for make in (TcpDoor, ZmqDoor):
        with pytest.raises(StreamError, match=r"Set rig\.source\.host = '127\.0\.0\.1'"):
            make(host="0.0.0.0")
        make(host="0.0.0.0", exposed=True, peers=["10.0.0.5"]).close()


def test_a_port_that_is_taken_is_told(door):
    port = int(door.endpoint.rsplit(":", 1)[1])
    with pytest.raises(StreamError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
        TcpDoor(port=port)
