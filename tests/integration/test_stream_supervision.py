"""Real children of a real supervisor: what each knows of the other, and who outlives whom."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import zmq
from support.machine_time import machine_time
from waiting import WAIT_S, until

from bci.core.process import ProcessLink
from bci.stream.hub import SupervisorHub
from bci.stream.supervision import LocalLink, SupervisorLink

HERE = Path(__file__).parents[1]
ENDED_WITHIN_S = 3.0
FOR_EVER_S = 10 * WAIT_S
"""Longer than a test may take: a wait that does not return early ends the test."""


@pytest.fixture
def spawn():
    children = []

    def start(script, *arguments, **options):
        child = subprocess.Popen([sys.executable, HERE / script, *arguments], **options)
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            if hasattr(signal, "SIGCONT"):
                child.send_signal(signal.SIGCONT)
            child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


class Reports:
    """What the hub was told, kept."""

    def __init__(self, hub):
        self._hub = hub
        self.all = []

    def seen(self, name, kind):
        self.all += self._hub.take_reports()
        return [each for each in self.all if (each.name, each.kind) == (name, kind)]


def test_children_learn_of_each_other_and_end_when_asked(spawn):
    with SupervisorHub() as hub:
        reports = Reports(hub)
        control = spawn("supervised_child.py", hub.endpoint, "control")
        board = spawn("supervised_child.py", hub.endpoint, "board")
        until(lambda: reports.seen("control", "ready") and reports.seen("board", "ready"))
        assert hub.child("control").pid == control.pid
        until(lambda: any(r.detail == "board_data" for r in reports.seen("control", "peers")))
        until(lambda: any(r.detail == "control_data" for r in reports.seen("board", "peers")))
        assert sorted(hub.endpoints()) == ["board_data", "control_data"]
        hub.stop("control")
        assert control.wait(WAIT_S) == 0
        until(lambda: reports.seen("control", "ended"))
        assert board.poll() is None
        hub.forget("control")
        until(lambda: any(r.detail == "" for r in reports.seen("board", "peers")))
        assert hub.child("control") is None
        hub.stop("board")
        assert board.wait(WAIT_S) == 0


def test_a_child_started_again_takes_the_place_of_the_one_before(spawn):
    with SupervisorHub() as hub:
        first = spawn("supervised_child.py", hub.endpoint, "acquisition")
        until(lambda: hub.child("acquisition"))
        first.kill()
        first.wait()
        hub.forget("acquisition")
        second = spawn("supervised_child.py", hub.endpoint, "acquisition")
        until(lambda: (child := hub.child("acquisition")) and child.pid == second.pid)
        until(lambda: hub.endpoints())


def test_turns_of_the_main_loop_tell_a_child_that_hangs_from_one_that_lives(spawn):
    with SupervisorHub() as hub:
        spawn("supervised_child.py", hub.endpoint, "control")
        spawn("supervised_child.py", hub.endpoint, "stimulus", "hang")
        until(lambda: (c := hub.child("control")) and c.turns > 3)
        until(lambda: (c := hub.child("stimulus")) and c.stuck_s() > 0.5)
        assert hub.child("stimulus").turns == 0
        # at one moment, which comes again and again however busy the machine is
        until(lambda: hub.child("stimulus").silent_s() < 0.5 > hub.child("control").stuck_s())
        assert hub.child("stimulus").stuck_s() > 0.5


def test_a_stopped_child_is_silent_and_lives_on_when_continued(spawn):
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("no SIGSTOP on this system")
    with SupervisorHub() as hub:
        child = spawn("supervised_child.py", hub.endpoint, "control")
        turns = until(lambda: (c := hub.child("control")) and c.turns)
        child.send_signal(signal.SIGSTOP)
        until(lambda: hub.child("control").silent_s() > 2.3)
        child.send_signal(signal.SIGCONT)
        until(lambda: hub.child("control").turns > turns + 20)
        assert child.poll() is None
        hub.stop("control")
        assert child.wait(WAIT_S) == 0


@pytest.mark.timed
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_children_end_within_three_seconds_of_their_supervisor(spawn, how):
    if not hasattr(signal, how):
        pytest.skip(f"no {how} on this system")
    supervisor = spawn("supervising_parent.py", stdout=subprocess.PIPE, text=True)
    endpoint = supervisor.stdout.readline().strip()
    children = [
        spawn("supervised_child.py", endpoint, "control", "unhurried"),
        spawn("supervised_child.py", endpoint, "stimulus", "hang"),
    ]
    ready = set()
    while ready != {"control", "stimulus"}:
        name, kind = supervisor.stdout.readline().split()
        if kind == "ready":
            ready.add(name)
    with machine_time(*(child.pid for child in children)) as machine:
        os.kill(supervisor.pid, getattr(signal, how))
        t_gone_s = time.monotonic()
        codes = [child.wait(WAIT_S) for child in children]
        ended_s = time.monotonic() - t_gone_s
    assert ended_s - machine.taken_s() < ENDED_WITHIN_S
    # the one whose main loop turns ends by itself, the one that hangs is ended
    assert codes == [0, 3]


def test_a_link_and_a_hub_leave_no_thread_behind():
    before = threading.active_count()
    with SupervisorHub() as hub:
        link = SupervisorLink(hub.endpoint, "control")
        until(lambda: hub.child("control"))
        link.report("last words")
        link.close()
        link.close()
        until(lambda: "last words" in [report.kind for report in hub.take_reports()])
    assert threading.active_count() <= before


def test_garbage_does_not_stop_the_hub():
    with SupervisorHub() as hub:
        raw = zmq.Context.instance().socket(zmq.DEALER)
        raw.connect(hub.endpoint)
        for parts in ([b""], [b"\xc1"], [b"a", b"b", b"c"]):
            raw.send_multipart(parts)
        until(lambda: hub.inbox.dropped == 3)
        link = SupervisorLink(hub.endpoint, "control")
        until(lambda: hub.child("control"))
        link.close()
        raw.close(0)


BROKEN_LINK = """
import sys, time
from bci.session.threads import report_ended_threads
from bci.stream.supervision import SupervisorLink
def broken(self, line):
    raise KeyError("broken")
SupervisorLink._hear = broken
link = SupervisorLink(sys.argv[1], "control")
with report_ended_threads(link.report):
    while not link.stop_requested():
        link.turn()
        link.wait(0.05)
    link.close()
    time.sleep(1000)
"""


def test_child_whose_line_broke_ends_itself():
    with SupervisorHub() as hub:
        child = subprocess.Popen([sys.executable, "-c", BROKEN_LINK, hub.endpoint])
        try:
            assert child.wait(WAIT_S) == 3
        finally:
            child.kill()
            child.wait()


def test_wait_returns_early_when_peers_arrive_or_a_stop():
    with SupervisorHub() as hub:
        control = SupervisorLink(hub.endpoint, "control")
        board = SupervisorLink(hub.endpoint, "board")
        until(lambda: hub.child("control") and hub.child("board"))
        while control.peers() != {"board": "socket://127.0.0.1:5"}:
            board.announce({"board": "socket://127.0.0.1:5"})
            control.wait(FOR_EVER_S)
        hub.stop("control")
        while not control.stop_requested():
            control.wait(FOR_EVER_S)
        control.wait(FOR_EVER_S)
        board.close()
        control.close()


def test_a_local_link_stands_for_a_supervisor():
    link: ProcessLink = LocalLink("stimulus", {"commands": "tcp://127.0.0.1:1"})
    assert isinstance(link, LocalLink)
    link.announce({"a": "b"})
    link.report("ready", "detail")
    link.set_peers({"flips": "tcp://127.0.0.1:2"})
    assert link.peers() == {"commands": "tcp://127.0.0.1:1", "flips": "tcp://127.0.0.1:2"}
    assert link.wait_announced("a", 1.0) == "b"
    assert link.wait_reported("ready", 1.0) == "detail"
    with pytest.raises(TimeoutError, match="stimulus reported no 'ended'"):
        link.wait_reported("ended", 0.01)
    with pytest.raises(TimeoutError, match="stimulus announced no 'x'"):
        link.wait_announced("x", 0.01)
    assert not link.stop_requested()
    link.stop()
    assert link.stop_requested()
    link.wait(30.0)
