"""Whatever a microscope program sends, the session goes on, and the ledger tells it."""

from pathlib import Path

import numpy as np
import zmq
from running_session import ROOT, RunningSession, bci, sets
from waiting import until

from bci.core.frame_header import HEADER, MAGIC, TOPIC, pack_header
from bci.core.ledger import REACTIONS
from bci.core.loop_types import LedgerKind
from bci.core.stream_types import RoiFrame
from bci.recording.folder import read_endpoints

N_ROIS = 12
RATE_HZ = 30.0
DOOR = (
    f'rig.source={{kind="zmq", n_rois={N_ROIS}, rate_hz={RATE_HZ}, saturation_counts=60000.0}}',
    'rig.screen.backend="null"',
    'experiment.decoder.p_plus=["roi0000", "roi0001"]',
    'experiment.decoder.p_minus=["roi0002", "roi0003"]',
    "experiment.decoder.f0_window_s=1.0",
    "experiment.baseline.duration_s=8.0",
    # a sender that is waited for between faults must not pause the task
    "experiment.faults.stall_s=30.0",
)


class Microscope:
    """A microscope program that sends good frames, and what it likes in between."""

    def __init__(self, endpoint: str) -> None:
        self._line: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        self._line.connect(endpoint)
        self._rng = np.random.default_rng(1)
        self.next_id = 0

    def send_parts(self, *parts: bytes) -> None:
        self._line.send_multipart(parts)

    def parts(self, frame_id: int, values: np.ndarray, **changed: int) -> list[bytes]:
        fields = {"session_hash": 0, "roi_hash": 0, "epoch": 0, "plane": 0, "flags": 0} | changed
        frame = RoiFrame(
            frame_id=frame_id,
            t_scope_ns=0,
            t_sent_ns=0,
            fluorescence=values.astype("<f4"),
            **fields,
        )
        return [TOPIC, pack_header(frame), frame.fluorescence.tobytes()]

    def values(self) -> np.ndarray:
        return self._rng.normal(500.0, 10.0, N_ROIS)

    def send(
        self, frame_id: int | None = None, values: np.ndarray | None = None, **changed: int
    ) -> None:
        if frame_id is None:
            frame_id, self.next_id = self.next_id, self.next_id + 1
        values = self.values() if values is None else values
        self.send_parts(*self.parts(frame_id, values, **changed))

    def send_good(self, n_frames: int) -> None:
        for _ in range(n_frames):
            self.send()

    def close(self) -> None:
        self._line.close()


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
    with RunningSession("run", demo, *sets(DOOR), out=tmp_path) as session:
        endpoint = until(lambda: read_endpoints_or_none(session).get("door"), 30)
        until(lambda: (t := session.telemetry()) is not None and t.state != "STARTING", 30)
        scope = Microscope(endpoint)
        scope.send_good(60)
        send_every_fault(scope)
        scope.send_good(200)
        until(lambda: (t := session.telemetry()) is not None and t.trial > 0, 30)
        scope.close()
        session.process.terminate()
        code, output = session.end(30)
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
        assert "identical" in bci("verify", session.folder).stdout


def read_endpoints_or_none(session: RunningSession) -> dict[str, str]:
    try:
        return read_endpoints(session.folder)
    except FileNotFoundError:
        return {}
