"""How long each stage from frame to flip and light took."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.core.frame_header import FLAG_END
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.device_clock import DeviceClock
from bci.recording.light_on_screen import Lit, lit_commands
from bci.recording.session_record import LARGEST_ID, SessionRecord

PERCENTILES = (50.0, 95.0, 99.0)


@dataclass(frozen=True)
class StageTimes:
    """One stage.

    Parameters
    ----------
    name
        From where to where, in words.
    ms
        Every value, milliseconds, shape (n,).
    """

    name: str
    ms: NDArray[np.float64]

    @property
    def percentiles_ms(self) -> tuple[float, ...]:
        """p50, p95, p99 and the largest."""
        return (*np.percentile(self.ms, PERCENTILES).tolist(), float(self.ms.max()))


def lit_of(record: SessionRecord) -> list[Lit]:
    """Commands whose light the photodiode saw; none where there is none, or no real time."""
    rig = record.session.rig
    if not rig.screen.photodiode.enabled or rig.stream.delivery == "lossless":
        return []
    clock = DeviceClock(record.board, lambda t_ns: (t_ns - record.start.t_perf_ns) / 1e9)
    times_ns = clock.times_s * 1e9 + record.start.t_perf_ns
    return lit_commands(_flips(record), record.board, times_ns)[0]


def stage_times(record: SessionRecord) -> list[StageTimes]:
    """Stages of a session that have values, in the order of the path."""
    frames, decisions = record.frames, record.decision_table
    told = (frames["t_sent_ns"] > 0) & ((frames["flags"] & FLAG_END) == 0)
    told &= np.isin(frames["sequence"], decisions["sequence"][decisions["stepped"]])
    sent = _columns(
        4,
        (
            (one.command_id, one.t_frame_sent_ns, one.t_received_ns, one.t_sent_ns)
            for one in record.sent
            if one.t_frame_sent_ns
        ),
    )
    sent = sent[np.argsort(sent[:, 0], kind="stable")]
    shown = _columns(
        3,
        (
            (flip.command_id, flip.t_received_ns, flip.t_flip_ns)
            for flip in _flips(record)
            if flip.kind is FlipKind.SHOWN
        ),
    )
    lit = _columns(2, ((one.command_id, one.t_light_ns) for one in lit_of(record)))
    stages = (
        ("frame sent → received", (frames["t_received_ns"] - record.sent_ns)[told]),
        ("frame received → command sent", sent[:, 3] - sent[:, 2]),
        ("frame sent → command arrived", _since_frame(sent, shown[:, (0, 1)])),
        ("frame sent → flip", _since_frame(sent, shown[:, (0, 2)])),
        ("frame sent → light", _since_frame(sent, lit)),
    )
    arrays = ((name, np.asarray(ns, dtype=np.float64) / 1e6) for name, ns in stages)
    return [StageTimes(name, ms) for name, ms in arrays if len(ms)]


def _columns(n: int, rows: Iterable[tuple[int, ...]]) -> NDArray[np.int64]:
    """Rows of `n` numbers, shape (rows, n)."""
    values = array("q")
    for row in rows:
        values.extend([min(value, LARGEST_ID) for value in row])
    return np.array(values, np.int64).reshape(-1, n)


def _since_frame(sent: NDArray[np.int64], seen: NDArray[np.int64]) -> NDArray[np.int64]:
    """From the sending of a command's frame to when the command was seen, ns.

    Parameters
    ----------
    sent
        Command ids, ascending, and when their frames were sent, in the first two columns.
    seen
        Command ids and times; those of unknown commands are left out. Shape (n, 2).
    """
    places = np.searchsorted(sent[:, 0], seen[:, 0], side="right") - 1
    known = places >= 0
    known[known] = sent[places[known], 0] == seen[known, 0]
    return np.asarray(seen[known, 1] - sent[places[known], 1])


def _flips(record: SessionRecord) -> Iterator[FlipReport]:
    return (one.value for one in record.screen if isinstance(one.value, FlipReport))
