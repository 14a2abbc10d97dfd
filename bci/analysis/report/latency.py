"""How long each stage from frame to flip and light took."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.core.frame_header import FLAG_END
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.device_clock import DeviceClock
from bci.recording.light_on_screen import Lit, lit_commands
from bci.recording.session_record import SessionRecord

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
    flips = [one.value for one in record.screen if isinstance(one.value, FlipReport)]
    clock = DeviceClock(record.board, lambda t_ns: (t_ns - record.start.t_perf_ns) / 1e9)
    times_ns = clock.times_s * 1e9 + record.start.t_perf_ns
    return lit_commands(flips, record.board, times_ns)[0]


def stage_times(record: SessionRecord) -> list[StageTimes]:
    """Stages of a session that have values, in the order of the path."""
    frames, decisions = record.frames, record.decision_table
    told = (frames["t_sent_ns"] > 0) & ((frames["flags"] & FLAG_END) == 0)
    told &= np.isin(frames["sequence"], decisions["sequence"][decisions["stepped"]])
    sent = {one.command_id: one for one in record.sent if one.t_frame_sent_ns}
    shown = [
        (report.value, sent[report.value.command_id])
        for report in record.screen
        if isinstance(report.value, FlipReport)
        and report.value.kind is FlipKind.SHOWN
        and report.value.command_id in sent
    ]
    stages = (
        ("frame sent → received", (frames["t_received_ns"] - record.sent_ns)[told]),
        (
            "frame received → command sent",
            [one.t_sent_ns - one.t_received_ns for one in sent.values()],
        ),
        (
            "frame sent → command arrived",
            [flip.t_received_ns - one.t_frame_sent_ns for flip, one in shown],
        ),
        ("frame sent → flip", [flip.t_flip_ns - one.t_frame_sent_ns for flip, one in shown]),
        (
            "frame sent → light",
            [
                one.t_light_ns - sent[one.command_id].t_frame_sent_ns
                for one in lit_of(record)
                if one.command_id in sent
            ],
        ),
    )
    arrays = ((name, np.asarray(ns, dtype=np.float64) / 1e6) for name, ns in stages)
    return [StageTimes(name, ms) for name, ms in arrays if len(ms)]
