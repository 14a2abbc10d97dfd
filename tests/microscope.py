"""A microscope program at the door of a session, as a test likes it."""

from pathlib import Path

import numpy as np
import zmq
from running_session import RunningSession
from waiting import LOOK_EVERY_S, until

from bci.core.frame_header import TOPIC, pack_header
from bci.core.stream_types import RoiFrame
from bci.recording.folder import read_endpoints

N_ROIS = 12
RATE_HZ = 30.0
DOOR = (
    # a test sends when it likes, and so at no rate
    f'rig.source={{kind="zmq", n_rois={N_ROIS}, rate_hz={RATE_HZ}, saturation_counts=60000.0,'
    ' on_wrong_rate="warn"}',
    'rig.screen.backend="null"',
    'experiment.decoder.p_plus=["roi0000", "roi0001"]',
    'experiment.decoder.p_minus=["roi0002", "roi0003"]',
    "experiment.decoder.f0_window_s=1.0",
    "experiment.baseline.duration_s=8.0",
)


def endpoint_of(session: RunningSession, key: str) -> str:
    """Where a process of a running session listens, waited for."""

    def announced() -> str:
        try:
            return read_endpoints(Path(session.folder)).get(key, "")
        except FileNotFoundError:
            return ""

    return until(announced, every_s=LOOK_EVERY_S)


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
        fields = {"session_hash": 0, "roi_hash": 0, "epoch": 0, "plane": 0, "flags": 0}
        fields |= {"t_scope_ns": 0} | changed
        frame = RoiFrame(
            frame_id=frame_id,
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
        # what no session took must not go to whoever listens on that port later
        self._line.close(linger=1000)
