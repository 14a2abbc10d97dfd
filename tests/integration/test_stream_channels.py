"""Commands, reports, telemetry, operator: the newest counts, nobody waits, every question ends."""

import itertools
import math
import threading
import time

import msgspec
import pytest
import zmq
from waiting import WAIT_MS, WAIT_S, until

from bci.core.loop_types import Finish, Pause, Resume, Stop
from bci.core.stimulus_types import (
    FlipKind,
    FlipReport,
    MissedFlips,
    ScreenHello,
    ScreenKind,
    StimulusCommand,
)
from bci.stream.commands import CommandPublisher, CommandReceiver
from bci.stream.errors import StreamError
from bci.stream.operator import (
    OperatorClient,
    OperatorNote,
    OperatorReward,
    OperatorServer,
    OperatorStatus,
    Reply,
)
from bci.stream.reports import ReportReceiver, ReportSender
from bci.stream.telemetry import Telemetry, TelemetryPublisher, TelemetrySubscriber


def command(command_id):
    return StimulusCommand(command_id, command_id, ScreenKind.GRATING, 45.0, 1.0, 0.5)


def flip(command_id):
    return FlipReport(command_id, FlipKind.SHOWN, 1, 2, 3, 0, False)


@pytest.fixture
def commands():
    publisher = CommandPublisher(resend_s=0.05)
    receiver = CommandReceiver(publisher.endpoint)
    publisher.send(command(1))
    until(lambda: publisher.resend() and receiver.wait(0.01))
    yield publisher, receiver
    receiver.close()
    publisher.close()


def test_a_command_arrives_as_it_was_sent(commands):
    publisher, receiver = commands
    before_ns = time.perf_counter_ns()
    t_sent_ns = publisher.send(command(2))
    assert before_ns <= t_sent_ns <= time.perf_counter_ns()
    until(lambda: receiver.wait(1.0) and receiver.receive() == command(2))


def test_a_slow_screen_gets_the_newest_command_alone(commands):
    publisher, slow = commands
    witness = CommandReceiver(publisher.endpoint)
    until(lambda: publisher.resend() and witness.wait(0.01))
    for command_id in range(2, 13):
        publisher.send(command(command_id))
    until(lambda: witness.wait(0.1) and witness.receive() == command(12))
    taken = []
    until(lambda: slow.wait(0.1) and (taken.append(slow.receive()) or taken[-1] == command(12)))
    # one, where nothing was on its way any more when it was taken; what the system still held
    # comes as one more, a second time at most; never each of those in between
    assert len(taken) <= 3
    witness.close()


def test_a_screen_that_starts_late_is_told_the_newest_command(commands):
    publisher, _ = commands
    publisher.send(command(7))
    late = CommandReceiver(publisher.endpoint)
    resends_ns = []

    def resent():
        asked_ns = time.perf_counter_ns()
        if publisher.resend_if_due(asked_ns):
            resends_ns.append((asked_ns, time.perf_counter_ns()))
        return late.wait(0.001) and len(resends_ns) >= 3

    until(resent)
    assert late.receive() == command(7)
    # from before one to after the next: it may have taken long itself
    assert all(b[1] - a[0] >= 50e6 for a, b in itertools.pairwise(resends_ns))
    late.close()


def test_nothing_is_resent_before_the_first_command():
    publisher = CommandPublisher()
    assert not publisher.resend_if_due(time.perf_counter_ns())
    publisher.close()


@pytest.mark.parametrize("parts", [[b""], [b"\xc1"], [b"\x90"], [b"a", b"b"]])
def test_garbage_in_place_of_a_command_is_counted_and_the_next_one_taken(parts):
    raw = zmq.Context.instance().socket(zmq.PUB)
    raw.bind("tcp://127.0.0.1:*")
    receiver = CommandReceiver(raw.get(zmq.LAST_ENDPOINT).decode())

    def counted():
        raw.send_multipart(parts)
        assert receiver.receive() is None
        return receiver.inbox.dropped

    until(counted)

    def taken():
        raw.send(msgspec.msgpack.encode(command(3)))
        return receiver.receive() == command(3)

    until(taken)
    receiver.close()
    raw.close(0)


def test_reports_arrive_in_order_and_garbage_among_them_is_counted():
    receiver = ReportReceiver()
    sender = ReportSender(receiver.endpoint)
    raw = zmq.Context.instance().socket(zmq.PUSH)
    raw.connect(receiver.endpoint)
    sent = [ScreenHello("null", "", "", 800, 600, 60.0, False), flip(1), MissedFlips(2, 5), flip(2)]
    for parts in ([b"\xc1"], [b"", b""]):
        raw.send_multipart(parts)
    for report in sent:
        assert sender.send(report)
    got = []
    until(lambda: (report := receiver.receive()) and (got.append(report) or len(got) == 4))
    assert got == sent
    until(lambda: receiver.receive() is None and receiver.inbox.dropped == 2)
    assert sender.dropped == 0
    raw.close(0)
    sender.close()
    receiver.close()


def test_reports_to_nobody_are_dropped_and_counted_and_never_waited_for():
    sender = ReportSender("tcp://127.0.0.1:9", queue=10)
    sent = [sender.send(flip(i)) for i in range(50)]
    assert sent.count(False) == sender.dropped >= 40
    sender.close()


def test_a_window_gets_the_newest_telemetry():
    publisher = TelemetryPublisher()
    window = TelemetrySubscriber(publisher.endpoint)
    assert window.receive() is None

    def newest():
        # no more than wait at the publisher: there it is the newest that a full queue loses
        for trial in range(10):
            publisher.send(
                Telemetry(1, "RUN", trial=trial, latency_ms={"received_to_sent": (0.1, 0.3)}, t=0.4)
            )
        return window.receive(0.05)

    until(newest)
    until(lambda: (newest() or Telemetry(0, "")).trial == 9)
    got = until(newest)
    assert got.latency_ms == {"received_to_sent": (0.1, 0.3)}
    assert got.t == 0.4
    assert math.isnan(got.hit_rate)
    window.close()
    publisher.close()


@pytest.fixture
def operator():
    server = OperatorServer()
    client = OperatorClient(server.endpoint)
    yield server, client
    client.close()
    server.close()


def answered_with(server, reply, asked):
    def answer():
        assert server.socket.poll(WAIT_MS)
        who, request = server.receive()
        asked.append(request)
        server.reply(who, reply)

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "request_",
    [
        Pause(),
        Resume(),
        Stop("mouse asleep"),
        Finish("enough"),
        OperatorReward(),
        OperatorReward(3.5),
        OperatorNote("licks a lot"),
        OperatorStatus(),
    ],
    ids=str,
)
def test_every_request_arrives_and_its_reply_comes_back(operator, request_):
    server, client = operator
    asked = []
    reply = Reply(False, "no trial is running", Telemetry(5, "GREY"))
    thread = answered_with(server, reply, asked)
    got = client.ask(request_, WAIT_S)
    thread.join()
    assert asked == [request_]
    assert (got.accepted, got.reason, got.telemetry.state) == (False, "no trial is running", "GREY")


def test_a_control_that_hangs_is_told_and_its_late_reply_is_not_taken_for_the_next(operator):
    server, client = operator
    with pytest.raises(StreamError, match=r"did not answer 'pause' within 0\.05 s"):
        client.ask(Pause(), 0.05)
    assert server.socket.poll(WAIT_MS)
    late, _ = server.receive()
    server.reply(late, Reply(True, "late"))
    asked = []
    thread = answered_with(server, Reply(True, "in time"), asked)
    assert client.ask(Resume(), WAIT_S).reason == "in time"
    thread.join()
    assert asked == [Resume()]


def test_a_reply_to_a_window_that_has_gone_does_not_hold_control(operator):
    server, client = operator
    with pytest.raises(StreamError):
        client.ask(Pause(), 0.01)
    assert server.socket.poll(WAIT_MS)
    who, _ = server.receive()
    client.close()
    for _ in range(500):
        server.reply(who, Reply(True))
    assert server.receive() is None
