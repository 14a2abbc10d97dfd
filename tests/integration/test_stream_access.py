"""Who does not belong to a session reaches none of its sockets, and is counted."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from waiting import WAIT_S, until

from bci.core.frame_header import TOPIC, pack_header
from bci.core.loop_types import Stop
from bci.core.stimulus_types import MissedFlips, ScreenKind, StimulusCommand
from bci.core.stream_types import Roi, RoiFrame, StreamInfo
from bci.recording.history import HistoryRequest
from bci.session.history import HistoryServer
from bci.stream import operator
from bci.stream.access import Access, Guard, connect, new_token
from bci.stream.commands import CommandPublisher, CommandReceiver
from bci.stream.door import TcpDoor, ZmqDoor
from bci.stream.errors import StreamError
from bci.stream.handshake import HandshakeServer, Request, StopStream
from bci.stream.hub import SupervisorHub
from bci.stream.operator import OperatorClient, OperatorReward, OperatorServer, Reply
from bci.stream.publisher import FramePublisher
from bci.stream.reports import ReportReceiver, ReportSender
from bci.stream.subscriber import FrameSubscriber
from bci.stream.supervision import Hello
from bci.stream.telemetry import Telemetry, TelemetryPublisher, TelemetrySubscriber

INFO = StreamInfo("s", 0, "test", 30.0, 1, (0, 0), 1, 0.0, None, (Roi(0, "roi0000", 0),))
COMMAND = StimulusCommand(1, 0, ScreenKind.GREY, 0.0, 0.0, 0.0)

Reached = Callable[[], bool]
Knock = Callable[[Access | None], Reached]
"""Connects and asks for something; says whether that has reached its goal."""


class Sockets:
    """What a test has open, closed at its end, servers last."""

    def __init__(self) -> None:
        self.access = Access(new_token())
        self.open = ExitStack()
        self._guard: Guard | None = None

    @property
    def guard(self) -> Guard:
        if self._guard is None:
            self._guard = self.open.enter_context(Guard(self.access))
        return self._guard

    def keep(self, part: Any) -> Any:
        self.open.callback(part.close)
        return part

    def send(self, endpoint: str, access: Access | None, message: Any) -> "zmq.Socket[bytes]":
        line = zmq.Context.instance().socket(zmq.DEALER)
        line.set(zmq.LINGER, 0)
        connect(line, endpoint, access)
        # whoever is refused has nobody to send to
        with suppress(zmq.Again):
            line.send(msgspec.msgpack.encode(message), zmq.NOBLOCK)
        return self.keep(line)


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets()
    with made.open:
        yield made


def operator_socket(sockets: Sockets, _: Path) -> tuple[Guard, Knock]:
    server = sockets.keep(OperatorServer(guard=sockets.guard))

    def knock(access: Access | None) -> Reached:
        sockets.send(server.endpoint, access, operator._Asked(b"me", 1, Stop("rogue")))
        return lambda: server.receive() is not None

    return sockets.guard, knock


def telemetry_socket(sockets: Sockets, _: Path) -> tuple[Guard, Knock]:
    server = sockets.keep(TelemetryPublisher(guard=sockets.guard))

    def knock(access: Access | None) -> Reached:
        window = sockets.keep(TelemetrySubscriber(server.endpoint, access))
        return lambda: server.send(Telemetry(1, "RUN")) or window.receive(0.01) is not None

    return sockets.guard, knock


def commands_socket(sockets: Sockets, _: Path) -> tuple[Guard, Knock]:
    server = sockets.keep(CommandPublisher(guard=sockets.guard))

    def knock(access: Access | None) -> Reached:
        screen = sockets.keep(CommandReceiver(server.endpoint, access))
        return lambda: server.send(COMMAND) > 0 and screen.wait(0.01)

    return sockets.guard, knock


def flips_socket(sockets: Sockets, _: Path) -> tuple[Guard, Knock]:
    server = sockets.keep(ReportReceiver(guard=sockets.guard))

    def knock(access: Access | None) -> Reached:
        screen = sockets.keep(ReportSender(server.endpoint, access=access))
        screen.send(MissedFlips(count=1, t_flip_ns=1))
        return lambda: server.receive() is not None

    return sockets.guard, knock


def channel_socket(sockets: Sockets, _: Path) -> tuple[Guard, Knock]:
    publisher = sockets.keep(FramePublisher())
    server = sockets.keep(HandshakeServer(INFO, publisher, guard=sockets.guard))

    def knock(access: Access | None) -> Reached:
        sockets.send(server.endpoint, access, Request(1, StopStream()))
        return lambda: server.poll(0.01) or server.stopped

    return sockets.guard, knock


def frames_socket(sockets: Sockets, _: Path) -> tuple[Guard, Knock]:
    server = sockets.keep(FramePublisher(access=sockets.access))

    def knock(access: Access | None) -> Reached:
        control = sockets.keep(FrameSubscriber(server.endpoint, access=access))
        return lambda: server.subscribed(control.token)

    assert server._guard is not None
    return server._guard, knock


def hub_socket(sockets: Sockets, _: Path) -> tuple[Guard, Knock]:
    server = sockets.keep(SupervisorHub(sockets.access))

    def knock(access: Access | None) -> Reached:
        sockets.send(server.endpoint, access, Hello("control", 1))
        return lambda: server.child("control") is not None

    assert server._guard is not None
    return server._guard, knock


def history_socket(sockets: Sockets, folder: Path) -> tuple[Guard, Knock]:
    server = sockets.keep(HistoryServer(folder, access=sockets.access))

    def knock(access: Access | None) -> Reached:
        line = sockets.send(server.endpoint, access, HistoryRequest())
        return lambda: bool(line.poll(0))

    assert server._guard is not None
    return server._guard, knock


@pytest.mark.parametrize(
    "make",
    [
        operator_socket,
        telemetry_socket,
        commands_socket,
        flips_socket,
        channel_socket,
        frames_socket,
        hub_socket,
        history_socket,
    ],
)
def test_socket_takes_in_nothing_without_the_sessions_token(
    make: Callable[[Sockets, Path], tuple[Guard, Knock]], sockets: Sockets, tmp_path: Path
) -> None:
    guard, knock = make(sockets, tmp_path)
    reached = [knock(None), knock(Access(new_token()))]
    until(lambda: guard.refused.count >= 2)
    assert not any(goal() for goal in reached)
    until(knock(sockets.access))


def test_refused_connections_are_logged_once_in_a_while_and_counted(
    sockets: Sockets, caplog: pytest.LogCaptureFixture
) -> None:
    server = sockets.keep(OperatorServer(guard=sockets.guard))
    for _ in range(20):
        sockets.send(server.endpoint, Access(new_token()), "anything")
    until(lambda: sockets.guard.refused.count >= 20)
    sockets.open.close()
    told = [record for record in caplog.records if record.name == "bci.access"]
    assert len(told) == 2, "the first, and at the end how many"
    assert sockets.access.token not in caplog.text


def test_access_does_not_print_its_token() -> None:
    access = Access(new_token())
    assert access.token not in f"{access} {access!r}"


def test_repeated_request_is_answered_again_and_not_carried_out_again(sockets: Sockets) -> None:
    server = sockets.keep(OperatorServer())
    line = sockets.send(server.endpoint, None, operator._Asked(b"me", 1, OperatorReward(4.0)))
    client, request = until(server.receive)
    assert request == OperatorReward(4.0)
    server.reply(client, Reply(True, "4 µl"))
    # once more, over another connection, as after a broken one
    other = sockets.send(server.endpoint, None, operator._Asked(b"me", 1, OperatorReward(4.0)))
    until(lambda: server.receive() is not None or other.poll(0))
    assert line.recv() == other.recv()
    # what came before the newest one is not carried out either
    sockets.send(server.endpoint, None, operator._Asked(b"me", 0, OperatorReward(4.0)))
    sockets.send(server.endpoint, None, operator._Asked(b"you", 1, OperatorReward(5.0)))
    assert until(server.receive)[1] == OperatorReward(5.0)
    assert server.receive() is None


def test_clients_whose_answers_are_kept_are_bounded(
    sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "_CLIENTS", 3)
    server = sockets.keep(OperatorServer())
    for name in (b"a", b"b", b"c", b"d"):
        sockets.send(server.endpoint, None, operator._Asked(name, 1, Stop("over")))
        client, _ = until(server.receive)
        server.reply(client, Reply(True))
    assert list(server._answered) == [b"b", b"c", b"d"]


def test_client_repeats_a_request_until_it_hears_the_answer(
    sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control that was away when the request was sent gets it, once, when it is back."""
    monkeypatch.setattr(operator, "_REPEAT_NS", 1_000_000)
    router = sockets.keep(zmq.Context.instance().socket(zmq.ROUTER))
    router.bind("tcp://127.0.0.1:*")
    client = sockets.keep(OperatorClient(router.get(zmq.LAST_ENDPOINT).decode()))
    with pytest.raises(StreamError):
        client.ask(OperatorReward(4.0), 0.2)
    asked = []
    while router.poll(0):
        asked.append(router.recv_multipart()[1])
    assert len(asked) > 1
    assert len(set(asked)) == 1


@pytest.mark.parametrize("kind", [TcpDoor, ZmqDoor])
def test_door_on_the_network_lets_in_listed_addresses_only(kind: Any) -> None:
    header = pack_header(RoiFrame(0, 0, 0, 7, 0, 1, 1, np.ones(1, np.float32)))
    values = np.ones(1, np.float32).tobytes()

    def send(door: Any) -> Any:
        port = int(door.endpoint.rpartition(":")[2])
        if kind is TcpDoor:
            line = socket.create_connection(("127.0.0.1", port))
            line.sendall(len(header + values).to_bytes(4, "little") + header + values)
            return line
        line = zmq.Context.instance().socket(zmq.PUSH)
        line.set(zmq.LINGER, 0)
        line.connect(f"tcp://127.0.0.1:{port}")
        # whoever is refused has nobody to send to
        with suppress(zmq.Again):
            line.send_multipart([TOPIC, header, values], zmq.NOBLOCK)
        return line

    for peers, let_in in ((["10.9.9.9", "fd00::1"], False), (["10.9.9.9", "127.0.0.1"], True)):
        door = kind(host="0.0.0.0", exposed=True, peers=peers)
        line = send(door)
        try:
            if let_in:
                assert until(lambda door=door: door.read(0.01)).frame_id == 7
            else:
                refused = door._peers.refused if kind is TcpDoor else door._guard.refused
                until(lambda door=door, refused=refused: door.read(0.01) or refused.count)
                assert refused.count > 0
                assert door.read(0.01) is None
        finally:
            line.close()
            door.close()


@pytest.mark.parametrize("kind", [TcpDoor, ZmqDoor])
def test_door_on_the_network_needs_a_list(kind: Any) -> None:
    with pytest.raises(StreamError):
        kind(host="0.0.0.0", exposed=True)
    with pytest.raises(StreamError):
        kind(host="0.0.0.0", peers=["10.0.0.5"])


def test_nothing_is_bound_beyond_this_computer_without_keys(sockets: Sockets) -> None:
    for make in (OperatorServer, TelemetryPublisher, ReportReceiver, CommandPublisher):
        for guard in (None, sockets.guard):
            with pytest.raises(StreamError):
                make(host="0.0.0.0", exposed=True, guard=guard)
    for access in (None, sockets.access):
        with pytest.raises(StreamError):
            FramePublisher(host="0.0.0.0", exposed=True, access=access)
    with pytest.raises(StreamError):
        TelemetrySubscriber("tcp://10.0.0.5:5501", sockets.access)


def test_a_client_of_the_session_is_answered(sockets: Sockets) -> None:
    server = sockets.keep(OperatorServer(guard=sockets.guard))
    client = sockets.keep(OperatorClient(server.endpoint, sockets.access))
    answered = []

    def serve() -> bool:
        if (asked := server.receive()) is not None:
            answered.append(asked[1])
            server.reply(asked[0], Reply(True))
        return bool(answered)

    thread = threading.Thread(target=until, args=(serve,))
    thread.start()
    assert client.ask(Stop("enough"), WAIT_S).accepted
    thread.join()
    assert answered == [Stop("enough")]
