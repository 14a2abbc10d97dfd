"""Whatever a microscope program sends, the session goes on, and the ledger tells it."""

from pathlib import Path

import numpy as np
from microscope import DOOR, N_ROIS, Microscope, endpoint_of
from running_session import ROOT, RunningSession, sets
from waiting import until

from bci.core.frame_header import HEADER, MAGIC
from bci.core.ledger import REACTIONS
from bci.core.loop_types import LedgerKind
from bci.recording.verify import VerdictKind, verify

# a sender that is waited for between faults must not pause the task
PATIENT = (*DOOR, "experiment.faults.stall_s=30.0")


def send_every_fault(scope: Microscope) -> None:
    good = scope.values()
    broken = good.copy()
    broken[0] = np.nan
    elsewhere = good.copy()
    elsewhere[9] = np.inf
    scope.send_good(3)
    topic, header, buffer = scope.parts(scope.next_id, good)
    scope.send_parts(b"garbage")
    scope.send_parts(topic, b"", b"")
    scope.send_parts(topic, MAGIC + bytes(HEADER.size - 4), buffer)
    scope.send_parts(topic, header, buffer[:-3])
    scope.send_parts(buffer, header, topic)
    scope.send_good(1)
    scope.send(scope.next_id - 2, good)
    scope.send(values=good[:-1])
    scope.send_good(1)
    scope.send(session_hash=12345)
    scope.send(roi_hash=999)
    scope.send(plane=7)
    scope.send_good(2)
    scope.next_id += 2
    scope.send_good(1)
    scope.send(scope.next_id - 3)
    scope.send(10_000_000)
    scope.send_good(2)
    scope.send(values=broken)
    scope.send(values=elsewhere)
    scope.send(values=good * 0.01)
    scope.send(values=np.full(N_ROIS, 59_999.0))
    stale = scope.values()
    scope.send(values=stale)
    scope.send(values=stale)
    scope.send_good(3)


def test_every_fault_on_the_door_is_in_the_ledger_with_its_reaction(tmp_path: Path) -> None:
    """Garbage, truncated, permuted, far-future and stale frames; the loop goes on and verifies."""
    demo = ROOT / "configs" / "demo.toml"
    with RunningSession("run", demo, *sets(PATIENT), out=tmp_path) as session:
        endpoint = endpoint_of(session, "door")
        until(lambda: (t := session.telemetry()) is not None and t.state != "STARTING")
        scope = Microscope(endpoint)
        scope.send_good(60)
        send_every_fault(scope)
        scope.send_good(200)
        until(lambda: (t := session.telemetry()) is not None and t.trial > 0)
        scope.close()
        session.process.terminate()
        code, output = session.end()
        assert code == 0, output
        record = session.record()
        told = {timed.value.kind: timed.value.reaction for timed in record.ledger}
        for kind in (
            LedgerKind.MALFORMED,
            LedgerKind.DUPLICATE,
            LedgerKind.WRONG_SIZE,
            LedgerKind.WRONG_SESSION,
            LedgerKind.WRONG_ROIS,
            LedgerKind.WRONG_PLANE,
            LedgerKind.GAP,
            LedgerKind.OUT_OF_ORDER,
            LedgerKind.FAR_FUTURE,
            LedgerKind.NOT_FINITE,
            LedgerKind.NOT_FINITE_ELSEWHERE,
            LedgerKind.DARK,
            LedgerKind.SATURATED,
            LedgerKind.UNCHANGED,
        ):
            assert told.get(kind) == REACTIONS[kind], kind
        assert verify(session.folder).kind is VerdictKind.IDENTICAL
