"""The latency budget, from what the journal holds of every frame and command."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci.gui.rings import Ring
from bci.recording.history import (
    DECISION_COLUMNS,
    FLIP_COLUMNS,
    FRAME_COLUMNS,
    SENT_COLUMNS,
    HistoryChunk,
)
from bci.recording.records import Peer
from bci.session.latency import WINDOW, Stage

OPEN_MOST = 4096
DRAW = "draw"
DRAW_SLACK_MS = 3.0
DECIDED_P50_MS, DECIDED_P99_MS = 0.2, 0.4


class StageFigures(NamedTuple):
    """Percentiles of one stage, ms, and the bars that p50 and p99 are held to; NaN: none."""

    p50: float
    p95: float
    p99: float
    p50_bar: float = float("nan")
    p99_bar: float = float("nan")

    @property
    def is_held(self) -> bool:
        """Whether no bar is missed."""
        return not (self.p50 > self.p50_bar or self.p99 > self.p99_bar)


class Latencies:
    """The last values of every stage, ms."""

    def __init__(self) -> None:
        self._values = {name: Ring(np.float32, WINDOW) for name in (*map(str, Stage), DRAW)}
        self._t_frame_sent_ns: dict[int, int] = {}
        self._offset_ns = 0
        self._undecided = np.empty(0, FRAME_COLUMNS)

    def take(self, chunk: HistoryChunk) -> None:
        """Take the frames, commands and flips of a chunk in."""
        for _, tied in chunk.clocks:
            if tied.peer is Peer.ACQUISITION:
                self._offset_ns = tied.offset_ns
        frames = self._stepped(chunk)
        on_their_way = frames["t_received_ns"] - (frames["t_sent_ns"] - self._offset_ns)
        self._add(Stage.SENT_TO_RECEIVED, on_their_way)
        sent = np.frombuffer(chunk.sent, SENT_COLUMNS)
        sent = sent[sent["t_frame_sent_ns"] > 0]
        self._add(Stage.RECEIVED_TO_SENT, sent["t_sent_ns"] - sent["t_received_ns"])
        if len(self._t_frame_sent_ns) > OPEN_MOST:
            self._t_frame_sent_ns.clear()
        pairs = zip(sent["command_id"].tolist(), sent["t_frame_sent_ns"].tolist(), strict=True)
        self._t_frame_sent_ns.update(pairs)
        flips = np.frombuffer(chunk.flips, FLIP_COLUMNS)
        ids = flips["command_id"].tolist()
        sent_ns = np.array([self._t_frame_sent_ns.pop(one, 0) for one in ids], np.int64)
        known = sent_ns > 0
        self._add(Stage.SENT_TO_ARRIVED, (flips["t_received_ns"] - sent_ns)[known])
        self._add(Stage.SENT_TO_FLIP, (flips["t_flip_ns"] - sent_ns)[known])
        self._add(DRAW, flips["t_flip_ns"] - flips["t_draw_ns"])

    def _stepped(self, chunk: HistoryChunk) -> NDArray[Any]:
        """Frames that were stepped, once their decisions are there; of others no time counts."""
        frames = np.concatenate([self._undecided, np.frombuffer(chunk.frames, FRAME_COLUMNS)])
        decided = np.frombuffer(chunk.decisions, DECISION_COLUMNS)["sequence"]
        open_from = decided[-1] if len(decided) else 0
        self._undecided = frames[frames["sequence"] > open_from][-OPEN_MOST:]
        return np.asarray(frames[np.isin(frames["sequence"], decided)])

    def _add(self, name: str, nanoseconds: NDArray[np.int64]) -> None:
        if len(nanoseconds):
            self._values[name].extend((nanoseconds * 1e-6).astype(np.float32))

    def figures(self, refresh_hz: float = float("nan")) -> Mapping[str, StageFigures]:
        """Percentiles and bars of every stage that has values.

        Parameters
        ----------
        refresh_hz
            Of the animal's screen: a flip may take one refresh, the drawing and 3 ms.
        """
        found: dict[str, StageFigures] = {}
        for name, ring in self._values.items():
            if len(ring):
                found[name] = StageFigures(*np.percentile(ring.rows, [50, 95, 99]).tolist())
        if decided := found.get(Stage.RECEIVED_TO_SENT):
            found[Stage.RECEIVED_TO_SENT] = decided._replace(
                p50_bar=DECIDED_P50_MS, p99_bar=DECIDED_P99_MS
            )
        if (flipped := found.get(Stage.SENT_TO_FLIP)) and DRAW in found:
            latest_ms = 1000 / refresh_hz + found[DRAW].p99 + DRAW_SLACK_MS
            found[Stage.SENT_TO_FLIP] = flipped._replace(p99_bar=latest_ms)
        return found
