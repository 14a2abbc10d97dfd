"""Any bytes on any socket: told as malformed, never an exception, and the next frame is taken."""

import random
import socket
import struct
import time

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hostile_messages import hostile
from waiting import WAIT_MS, WAIT_S, until

from bci.core.frame_header import TOPIC, pack_header
from bci.core.loop_types import EnsemblesSet, Malformed, Pause, Stop
from bci.core.messages import MOST_TEXT
from bci.core.stimulus_types import FlipKind, FlipReport, MissedFlips
from bci.core.stream_types import RoiFrame
from bci.recording.history import HistoryRequest
from bci.session.history import HistoryClient, HistoryServer
from bci.stream.door import TcpDoor, ZmqDoor
from bci.stream.hub import SupervisorHub
from bci.stream.inbox import Inbox
from bci.stream.operator import (
    OperatorClient,
    OperatorNote,
    OperatorServer,
    Reply,
    _Asked,
    _Replied,
)
from bci.stream.reports import ReportReceiver
from bci.stream.sockets import CONTROL_MESSAGE_BYTES, SMALL_MESSAGE_BYTES
from bci.stream.subscriber import FrameSubscriber
from bci.stream.supervision import Announce, Hello
from bci.stream.wires import Level, WireEnd, _Driven

parts = st.lists(st.binary(max_size=200), min_size=1, max_size=6)
many = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def frame(frame_id, n_rois=3):
    return RoiFrame(1, 2, 0, frame_id, 0, 3, 4, np.arange(n_rois, dtype=np.float32))


def wire(frame_id, n_rois=3):
    sent = frame(frame_id, n_rois)
    return [TOPIC, pack_header(sent), sent.fluorescence.tobytes()]


@st.composite
def damaged(draw):
    """A frame's parts, cut, permuted, repeated or with bytes changed; sometimes left whole."""
    message = wire(draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 50)))
    match draw(st.sampled_from(["cut", "permute", "repeat", "change", "leave"])):
        case "cut":
            part = draw(st.integers(0, 2))
            message[part] = message[part][: draw(st.integers(0, len(message[part])))]
        case "permute":
            random.Random(draw(st.integers(0, 100))).shuffle(message)
        case "repeat":
            message += message[: draw(st.integers(1, 3))]
        case "change":
            part = draw(st.integers(0, 1))
            changed = bytearray(message[part])
            changed[draw(st.integers(0, len(changed) - 1))] ^= draw(st.integers(1, 255))
            message[part] = bytes(changed)
    return message


@pytest.fixture
def publisher():
    """A bare XPUB: what a broken publisher may send, ours cannot."""
    publisher = zmq.Context.instance().socket(zmq.XPUB)
    publisher.bind("tcp://127.0.0.1:*")
    yield publisher
    publisher.close(0)


@pytest.fixture
def subscriber(publisher):
    subscriber = FrameSubscriber(publisher.get(zmq.LAST_ENDPOINT).decode())
    for _ in range(2):
        assert publisher.poll(WAIT_MS)
        publisher.recv()
    yield subscriber
    subscriber.close()


def taken(subscriber):
    assert subscriber.socket.poll(WAIT_MS)
    return subscriber.receive()


@many
@given(message=parts | damaged())
def test_subscriber_takes_any_parts(publisher, subscriber, message):
    publisher.send_multipart(message)
    publisher.send_multipart(wire(42))
    first = taken(subscriber)
    assert isinstance(first.frame, Malformed | RoiFrame)
    if isinstance(first.frame, Malformed):
        assert first.frame.reason
        assert first.frame.n_bytes == sum(map(len, message))
        assert (first.header, first.buffer) == (b"", b"")
    else:
        assert [TOPIC, first.header, first.buffer] == message
    assert taken(subscriber).frame.frame_id == 42


@pytest.fixture
def zmq_door():
    door = ZmqDoor()
    sender = zmq.Context.instance().socket(zmq.PUSH)
    sender.connect(door.endpoint)
    yield door, sender
    sender.close(0)
    door.close()


@many
@given(message=parts | damaged())
def test_zmq_door_takes_any_parts(zmq_door, message):
    door, sender = zmq_door
    sender.send_multipart(message)
    sender.send_multipart(wire(42))
    first = door.read(WAIT_S)
    assert isinstance(first, Malformed | RoiFrame)
    assert isinstance(first, Malformed) or message[0] == TOPIC
    assert door.read(WAIT_S).frame_id == 42


@pytest.fixture
def tcp_door():
    door = TcpDoor(max_rois=100)
    yield door
    door.close()


def connect(door):
    host, port = door.endpoint.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)))


def until_frame(door, frame_id):
    """All malformed before the frame; any other frame was made by chance, and is allowed."""
    found = []
    for _ in range(2000):
        got = door.read(WAIT_S)
        assert got is not None
        if isinstance(got, RoiFrame) and got.frame_id == frame_id:
            return found
        found.append(got)
    raise AssertionError("the frame never came")


@many
@given(garbage=st.binary(min_size=1, max_size=400))
def test_tcp_door_takes_any_bytes_and_the_next_program(tcp_door, garbage):
    with connect(tcp_door) as client:
        client.sendall(garbage)
    with connect(tcp_door) as client:
        message = b"".join(wire(42)[1:])
        client.sendall(struct.pack("<I", len(message)) + message)
        found = until_frame(tcp_door, 42)
    assert found
    assert all(isinstance(each, Malformed) for each in found)


@many
@given(
    body=st.binary(min_size=64, max_size=300)
    | damaged().map(lambda message: b"".join(message)[:464].ljust(64, b"\0"))
)
def test_tcp_door_stays_in_step_where_only_the_frame_is_wrong(tcp_door, body):
    good = b"".join(wire(42)[1:])
    with connect(tcp_door) as client:
        for message in (body, good):
            client.sendall(struct.pack("<I", len(message)) + message)
        assert isinstance(tcp_door.read(WAIT_S), Malformed | RoiFrame)
        assert tcp_door.read(WAIT_S).frame_id == 42


@pytest.fixture
def operator():
    server = OperatorServer()
    raw = zmq.Context.instance().socket(zmq.DEALER)
    raw.connect(server.endpoint)
    client = OperatorClient(server.endpoint)
    yield server, raw, client
    client.close()
    raw.close(0)
    server.close()


@many
@given(
    message=parts
    | st.recursive(
        st.integers(-100, 100) | st.text(max_size=5) | st.none(),
        lambda inner: st.dictionaries(
            st.sampled_from(["client", "number", "request", "type", "x"]), inner, max_size=4
        ),
    ).map(lambda value: [msgspec.msgpack.encode(value)])
)
def test_operator_channel_refuses_any_bytes(operator, message):
    server, raw, _ = operator
    raw.send_multipart(message)
    assert server.socket.poll(WAIT_MS)
    received = server.receive()
    if received is not None:
        server.reply(received[0], Reply(True))
    assert raw.poll(WAIT_MS)
    reply = msgspec.msgpack.decode(raw.recv())["reply"]
    assert reply["accepted"] is (received is not None)
    assert received is not None or "not a request" in reply["reason"]


def test_reason_of_any_length_reaches_who_asked(operator):
    server, raw, _ = operator
    raw.send(msgspec.msgpack.encode({"client": b"me", "number": 5, "request": {"type": "pause"}}))
    client, _ = until(server.receive)
    server.reply(client, Reply(False, "x" * 10**6))
    assert raw.poll(WAIT_MS)
    replied = Inbox(_Replied, "test", CONTROL_MESSAGE_BYTES).read([raw.recv()])
    assert len(replied.reply.reason) == MOST_TEXT


def sendable(valid, most_bytes):
    """What a socket takes in: a longer message ends the connection it came by."""
    return [payload for _, payload in hostile(valid) if len(payload) <= most_bytes]


def test_operator_channel_survives_hostile_requests(operator):
    server, raw, _ = operator
    requests = (OperatorNote("note"), Stop("enough"), EnsemblesSet(("a",), ("b",)))
    payloads = [
        payload
        for request in requests
        for payload in sendable(_Asked(b"rogue", 1, request), CONTROL_MESSAGE_BYTES)
    ]
    for payload in payloads:
        raw.send(payload)
        assert server.socket.poll(WAIT_MS)
        received = server.receive()
        if received is not None:
            server.reply(received[0], Reply(True))
        assert raw.poll(WAIT_MS)
        raw.recv()
    assert server.inbox.dropped > len(payloads) / 2


def test_screen_reports_survive_hostile_ones():
    receiver, raw = ReportReceiver(), zmq.Context.instance().socket(zmq.PUSH)
    raw.connect(receiver.endpoint)
    last = MissedFlips(1, 77)
    flip = FlipReport(1, FlipKind.SHOWN, 1, 2, 3, 0, True)
    for payload in sendable(flip, SMALL_MESSAGE_BYTES):
        raw.send(payload)
        # the receiver takes a few of them at once
        receiver.receive()
    raw.send(msgspec.msgpack.encode(last))
    until(lambda: receiver.receive() == last)
    assert receiver.inbox.dropped > 100
    raw.close(0)
    receiver.close()


def test_message_above_the_largest_size_ends_its_connection_alone():
    receiver = ReportReceiver()
    context = zmq.Context.instance()
    raw, other = context.socket(zmq.PUSH), context.socket(zmq.PUSH)
    for sender in (raw, other):
        sender.connect(receiver.endpoint)
    raw.send(b"x" * (SMALL_MESSAGE_BYTES + 1))
    other.send(msgspec.msgpack.encode(MissedFlips(1, 2)))
    until(lambda: receiver.receive() == MissedFlips(1, 2))
    assert receiver.inbox.dropped == 0
    for sender in (raw, other):
        sender.close(0)
    receiver.close()


def test_hub_survives_hostile_children():
    with SupervisorHub() as hub:
        raw = zmq.Context.instance().socket(zmq.DEALER)
        raw.connect(hub.endpoint)
        for valid in (Hello("x", 1), Announce({"frames": "tcp://127.0.0.1:1"})):
            for payload in sendable(valid, SMALL_MESSAGE_BYTES):
                raw.send(payload)
        raw.send(msgspec.msgpack.encode(Hello("last", 5)))
        until(lambda: hub.child("last"))
        assert hub.inbox.dropped > 100
        raw.close(0)


def test_history_survives_hostile_requests(tmp_path):
    with HistoryServer(tmp_path) as server:
        raw = zmq.Context.instance().socket(zmq.DEALER)
        raw.connect(server.endpoint)
        for payload in sendable(HistoryRequest(1, 2), SMALL_MESSAGE_BYTES):
            raw.send(payload)
        # positions that no file has
        for position in (2**53, 2**62, 2**64 - 1):
            raw.send(msgspec.msgpack.encode({"position": position}))
        client = HistoryClient(server.endpoint)
        assert client.ask(HistoryRequest(), WAIT_S).at_end
        client.close()
        raw.close(0)


def test_wires_of_a_board_survive_hostile_levels():
    end, sent = WireEnd("token"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port = int(end.endpoint.rsplit(":", 1)[1])
    try:
        for _, payload in hostile(_Driven("token", Level("frame_ttl", 1, 3))):
            sent.sendto(payload[:60_000], ("127.0.0.1", port))
            assert all(isinstance(level, Level) for level in end.receive())
        for text in (b"frame_ttl 1", b"\xff\xfe", b"a 1 1", b""):
            sent.sendto(text, ("127.0.0.1", port))
        soon_ns = time.perf_counter_ns() + 10**18
        for token in ("another", "token"):
            driven = _Driven(token, Level("photodiode", 1, soon_ns))
            sent.sendto(msgspec.msgpack.encode(driven), ("127.0.0.1", port))
        levels = []
        until(lambda: levels.extend(end.receive()) or levels)
        assert levels[-1].pin == "photodiode"
        assert levels[-1].t_ns <= time.perf_counter_ns()
        assert end.inbox.dropped > 50
        assert end.refused.count > 0
    finally:
        sent.close()
        end.close()


def test_a_request_after_garbage_is_taken(operator):
    server, raw, _ = operator
    raw.send(b"\xc1\xc1")
    raw.send(msgspec.msgpack.encode({"client": b"me", "number": 5, "request": {"type": "pause"}}))
    received = None
    while received is None:
        assert server.socket.poll(WAIT_MS)
        received = server.receive()
    assert received[1] == Pause()
    assert server.inbox.dropped == 1
