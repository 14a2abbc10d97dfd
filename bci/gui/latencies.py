"""The latency budget, from what the journal holds of every frame and command."""

import numpy as np
from numpy.typing import NDArray

from bci.gui.rings import Ring
from bci.recording.history import FLIP_COLUMNS, FRAME_COLUMNS, SENT_COLUMNS, HistoryChunk
from bci.session.latency import WINDOW, Stage

OPEN_MOST = 4096


class Latencies:
    """The last values of every stage, ms."""

    def __init__(self) -> None:
        self._values = {stage: Ring(np.float32, WINDOW) for stage in Stage}
        self._t_frame_sent_ns: dict[int, int] = {}

    def take(self, chunk: HistoryChunk) -> None:
        """Take the frames, commands and flips of a chunk in."""
        frames = np.frombuffer(chunk.frames, FRAME_COLUMNS)
        self._add(Stage.SENT_TO_RECEIVED, frames["t_received_ns"] - frames["t_sent_ns"])
        sent = np.frombuffer(chunk.sent, SENT_COLUMNS)
        sent = sent[sent["t_frame_sent_ns"] > 0]
        self._add(Stage.RECEIVED_TO_SENT, sent["t_sent_ns"] - sent["t_received_ns"])
        if len(self._t_frame_sent_ns) > OPEN_MOST:
            self._t_frame_sent_ns.clear()
        pairs = zip(sent["command_id"].tolist(), sent["t_frame_sent_ns"].tolist(), strict=True)
        self._t_frame_sent_ns.update(pairs)
        arrived, flipped = [], []
        for command_id, t_received_ns, t_flip_ns in np.frombuffer(chunk.flips, FLIP_COLUMNS):
            t_frame_ns = self._t_frame_sent_ns.pop(int(command_id), None)
            if t_frame_ns is not None:
                arrived.append(int(t_received_ns) - t_frame_ns)
                flipped.append(int(t_flip_ns) - t_frame_ns)
        self._add(Stage.SENT_TO_ARRIVED, np.array(arrived, np.int64))
        self._add(Stage.SENT_TO_FLIP, np.array(flipped, np.int64))

    def _add(self, stage: Stage, nanoseconds: NDArray[np.int64]) -> None:
        if len(nanoseconds):
            self._values[stage].extend((nanoseconds * 1e-6).astype(np.float32))

    def percentiles_ms(self) -> dict[Stage, tuple[float, float, float]]:
        """p50, p95 and p99 of every stage that has values, ms."""
        return {
            stage: tuple(np.percentile(ring.rows, [50, 95, 99]).tolist())
            for stage, ring in self._values.items()
            if len(ring)
        }
