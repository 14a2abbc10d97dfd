"""What the operator asks for is done or refused with a reason, frames or none; a drop earned is
paid."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import zmq
from microscope import DOOR, Microscope, endpoint_of
from running_session import DEMO, PATIENT_BOARD, RunningSession, held, sets
from waiting import WAIT_MS, WAIT_S, until

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import Finish, LedgerKind, LightSet, Outcome, Pause, Resume, Stop
from bci.recording.verify import VerdictKind, verify
from bci.stream.access import connect
from bci.stream.operator import (
    OperatorClient,
    OperatorNote,
    OperatorRequest,
    OperatorReward,
    OperatorStatus,
    Reply,
)

SLOW_REWARD = ("experiment.task.reward_delay_s=5.0", "experiment.task.hit_s=10.0")
GREY_FRAMES = 30
LIGHT = (
    "experiment.light.trials=fraction",
    "experiment.light.in_baseline=false",
    "experiment.light.blanked_rows=0",
)
UNTIL_HIT = GREY_FRAMES + 60
"""Frames, of which the last meet a trial that was hit and whose reward is not yet due."""


class Operator:
    """Asks, and takes the answer."""

    def __init__(self, session: RunningSession) -> None:
        self._client = OperatorClient(endpoint_of(session, "operator"), session.access)

    def ask(self, request: OperatorRequest) -> Reply:
        return self._client.ask(request, timeout_s=WAIT_S)

    def refused(self, request: OperatorRequest) -> str:
        reply = self.ask(request)
        assert not reply.accepted, reply
        return reply.reason

    def done(self, request: OperatorRequest) -> Reply:
        reply = self.ask(request)
        assert reply.accepted, reply
        return reply

    def close(self) -> None:
        self._client.close()


@contextmanager
def operator_of(session: RunningSession) -> Iterator[Operator]:
    operator = Operator(session)
    try:
        yield operator
    finally:
        operator.close()


def send_to_hit(scope: Microscope) -> None:
    """Through the baseline into a trial that is hit at once; its reward is not yet due.

    All at once: the session's time is counted in frames.
    """
    scope.send_good(8 * 30 + 5)
    active = scope.values()
    active[:2] *= 4
    for _ in range(UNTIL_HIT):
        active += 0.01 * np.arange(len(active))
        scope.send(values=active)


def asked_at_once(session: RunningSession, *requests: OperatorRequest) -> list[bool]:
    """Whether each was accepted; all are sent before the first is answered."""
    line: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    connect(line, endpoint_of(session, "operator"), session.access)
    for number, request in enumerate(requests, 1):
        # each of a client of its own: a client's newer request takes the place of its older one
        asked = {"client": bytes([number]), "number": number, "request": request}
        line.send(msgspec.msgpack.encode(asked))
    replies = []
    for _ in requests:
        assert line.poll(WAIT_MS)
        replies.append(msgspec.msgpack.decode(line.recv()))
    line.close(0)
    assert [reply["number"] for reply in replies] == [*range(1, len(requests) + 1)]
    return [reply["reply"]["accepted"] for reply in replies]


def answers(session: RunningSession, kind: BoardEventKind) -> list[float]:
    """What the board confirmed of gate or light, in order."""
    return [event.value for event in session.record().board if event.kind is kind]


def opened(session: RunningSession) -> int:
    return sum(edge["level"] for edge in session.valve_edges())


def test_earned_drop_is_paid_when_frames_stop_and_the_operator_is_heard_without_them(
    tmp_path: Path,
) -> None:
    overrides = (*DOOR, *SLOW_REWARD, *PATIENT_BOARD, *LIGHT, "experiment.faults.stall_s=3.0")
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        scope = Microscope(endpoint_of(session, "door"))
        with operator_of(session) as operator:
            until(lambda: (t := session.telemetry()) is not None and t.state != "STARTING")
            scope.send_good(5)
            for on in (True, False):
                operator.done(LightSet(on))
                until(
                    lambda on=on: answers(session, BoardEventKind.LIGHT)[-1:] == [float(on)],
                    every_s=0.1,
                )
            for frame_id in range(4):
                scope.send(frame_id)
            session.wait_for_ledger(LedgerKind.IDS_BACKWARDS)
            send_to_hit(scope)
            until(lambda: opened(session) == 1)
            assert "PAUSED" in operator.refused(LightSet(True))
            assert operator.done(OperatorStatus()).telemetry is not None
            operator.done(OperatorReward())
            until(lambda: opened(session) == 2)
            for volume_ul in (0.0, -1.0, float("nan"), float("inf"), 1e9):
                assert "must be above 0" in operator.refused(OperatorReward(volume_ul))
            operator.done(OperatorNote("the mouse sleeps"))
            # of a stall frames would resume by themselves; a pause asked for outlasts it
            operator.done(Pause())
            assert "Pause while PAUSED" in operator.refused(Pause())
            operator.done(Resume())
            assert "Resume while" in operator.refused(Resume())
            operator.done(Stop("enough"))
        scope.close()
        code, output = session.end()
        assert code == 0, output
        assert "ended: stopped by the operator" in output
        assert not session.left_running()
        record = session.record()
        [stall] = [timed for timed in record.ledger if timed.value.kind is LedgerKind.STALL]
        assert stall.perf_ns < session.valve_edges()[0]["t_perf_ns"]
        assert [timed.value.text for timed in record.notes] == ["the mouse sleeps"]
        assert session.valve_edges()[-1]["level"] == 0
        assert record.manifest.outcome["summary"]["rewards_done"] == 2
        assert [trial.outcome for trial in record.trials] == [Outcome.HIT]
        # the light goes on and off within the gate, which goes on until the end
        assert 1.0 in answers(session, BoardEventKind.LIGHT)
        assert answers(session, BoardEventKind.GATE) == [1.0, 0.0]
        assert verify(session.folder).kind is VerdictKind.IDENTICAL


def test_earned_drop_is_paid_when_the_operator_stops_and_nothing_is_taken_afterwards(
    tmp_path: Path,
) -> None:
    # long enough that the session still settles when it is asked again
    drop = ("rig.board.valve.ms_per_ul=90", "rig.board.valve.max_open_ms=500")
    overrides = (*DOOR, *SLOW_REWARD, *PATIENT_BOARD, *drop, "experiment.faults.stall_s=600")
    with RunningSession("run", DEMO, *sets(overrides), out=tmp_path) as session:
        scope = Microscope(endpoint_of(session, "door"))
        until(lambda: (t := session.telemetry()) is not None and t.state != "STARTING")
        send_to_hit(scope)
        session.wait_for_state("HIT")
        later = (OperatorReward(), Pause(), Resume(), Finish("enough"), Stop("again"))
        first, *others = asked_at_once(session, Stop("enough"), *later)
        assert first
        assert not any(others)
        scope.close()
        code, output = session.end()
        assert code == 0, output
        edges = session.valve_edges()
        assert [edge["level"] for edge in edges] == [1, 0]
        assert session.record().manifest.outcome["summary"]["rewards_done"] == 1


def test_operator_is_answered_while_the_screen_opens_and_can_end_it_there(tmp_path: Path) -> None:
    with RunningSession(
        "run", DEMO, *sets(DOOR), out=tmp_path, program=held("stimulus")
    ) as session:
        with operator_of(session) as operator:
            until(lambda: (t := session.telemetry()) is not None and t.board == "ok")
            assert "not begun" in operator.refused(Pause())
            assert "not begun" in operator.refused(Resume())
            operator.done(OperatorNote("waiting"))
            operator.done(OperatorReward())
            until(lambda: opened(session) == 1)
            operator.done(Stop("enough"))
        code, output = session.end()
        assert code == 0, output
        assert "stopped by the operator" in output
        assert not session.left_running()
