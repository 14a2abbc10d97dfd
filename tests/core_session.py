"""Small sessions for the tests of the core: settings, streams, frames, and what the loop says."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bci.config import Session, validate_session
from bci.core.loop import ClosedLoop
from bci.core.loop_types import (
    Decision,
    LedgerEntry,
    LedgerKind,
    LoopEvent,
    Start,
    TaskState,
)
from bci.core.stream_types import Roi, RoiFrame, StreamInfo

SHORT_TASK = {
    "grey_s": 0.2,
    "trial_s": 1.0,
    "hit_s": 0.4,
    "reward_delay_s": 0.2,
    "black_s": 0.2,
    "miss_s": 0.3,
}


def session_of(
    *,
    p_plus: Sequence[str] = ("a",),
    p_minus: Sequence[str] = ("b",),
    threshold: tuple[float, float] | None = (0.3, -0.3),
    baseline_s: float | None = None,
    decoder: dict[str, Any] | None = None,
    task: dict[str, Any] | None = None,
    faults: dict[str, Any] | None = None,
    calibration: dict[str, Any] | None = None,
    stimulus: dict[str, Any] | None = None,
    guards: dict[str, Any] | None = None,
    baseline: dict[str, Any] | None = None,
    **tables: Any,
) -> Session:
    """Settings with an F0 window of 1 s and trials of 1 s; T and lo 0.3 and −0.3.

    `tables` are further keys of the experiment.
    """
    experiment: dict[str, Any] = {
        "name": "e",
        "decoder": {"p_plus": list(p_plus), "p_minus": list(p_minus), "f0_window_s": 1.0}
        | (decoder or {}),
        "task": SHORT_TASK | (task or {}),
        "faults": faults or {},
        "calibration": calibration or {},
        "stimulus": stimulus or {},
        "guards": guards or {},
        **tables,
    }
    if baseline_s is not None:
        experiment["baseline"] = {"duration_s": baseline_s} | (baseline or {})
    elif threshold is not None:
        experiment["threshold"] = {"t": threshold[0], "lo": threshold[1]}
    rig = {
        "name": "r",
        "source": {"kind": "simulated", "n_rois": 4, "n_planes": 2, "rate_hz": 100.0},
        "board": {"kind": "simulated"},
    }
    session, problems = validate_session({"rig": rig, "experiment": experiment})
    assert session is not None, problems
    return session


def info_of(
    labels: Sequence[str] = "abcd",
    *,
    planes: Sequence[int] | None = None,
    rate_hz: float = 10.0,
    polarity: int = 1,
    dark_counts: float = 0.0,
    saturation_counts: float | None = None,
    name: str = "20261122T081500",
) -> StreamInfo:
    """A stream of 10 Hz with ROIs a, b, c, d in one plane."""
    planes = planes or [0] * len(labels)
    rois = tuple(Roi(i, label, plane) for i, (label, plane) in enumerate(zip(labels, planes)))  # noqa: B905
    n_planes = max(planes) + 1
    return StreamInfo(
        name, 0, "test", rate_hz, n_planes, (0, 0), polarity, dark_counts, saturation_counts, rois
    )


def frame_of(
    info: StreamInfo, frame_id: int, values: ArrayLike, plane: int = 0, **changes: Any
) -> RoiFrame:
    """A frame as the stream's own acquisition would send it, but for `changes`."""
    fields: dict[str, Any] = {
        "session_hash": info.session_hash,
        "roi_hash": info.roi_hash,
        "epoch": info.epoch,
        "frame_id": frame_id,
        "plane": plane,
        "t_scope_ns": 0,
        "t_sent_ns": 0,
        "fluorescence": np.asarray(values, dtype=np.float32),
    }
    return RoiFrame(**(fields | changes))


def started(session: Session, info: StreamInfo) -> ClosedLoop:
    """A loop to which the start has been applied."""
    loop = ClosedLoop(session, info)
    loop.apply(Start())
    return loop


class Animal:
    """Feeds a loop with frames whose s3 is known: P+ rests, or is active by a factor.

    Every frame differs a little from those before, so that none is stale.
    """

    def __init__(self, loop: ClosedLoop, info: StreamInfo, rest: float = 100.0) -> None:
        self.loop = loop
        self.info = info
        self.rest = rest
        self.next_id = 0
        self.decisions: list[Decision] = []

    def values(self, frame_id: int, activity: float) -> list[float]:
        n = len(self.info.plane_rois(0))
        flicker = self.rest * 1e-4 * (frame_id % 101)
        return [self.rest * (1 + activity), *[self.rest + flicker] * (n - 1)]

    def rests(self, n_frames: int = 1) -> Decision:
        return self.acts(0.0, n_frames)

    def acts(self, activity: float = 3.0, n_frames: int = 1) -> Decision:
        """Frames with dF/F of about `activity` in the first ROI; the last decision."""
        for _ in range(n_frames):
            values = self.values(self.next_id, activity)
            self.take(frame_of(self.info, self.next_id, values))
        return self.decisions[-1]

    def take(self, frame: RoiFrame) -> Decision:
        decision = self.loop.step(frame)
        self.next_id = max(self.next_id, frame.frame_id + 1)
        self.decisions.append(decision)
        return decision

    def hears(self, event: LoopEvent) -> Decision:
        decision = self.loop.apply(event)
        self.decisions.append(decision)
        return decision

    def until(self, state: TaskState, activity: float = 0.0, limit: int = 500) -> Decision:
        """Go on until the loop is in a state."""
        for _ in range(limit):
            if self.loop.state is state:
                return self.decisions[-1]
            self.acts(activity)
        raise AssertionError(f"{state.name} not reached in {limit} frames")

    def loses(self, n_frames: int) -> None:
        self.next_id += n_frames


def animal_in(
    state: TaskState, session: Session | None = None, info: StreamInfo | None = None
) -> Animal:
    """An animal whose loop has come to a state of the task by itself."""
    session, info = session or session_of(), info or info_of()
    animal = Animal(started(session, info), info)
    animal.rests()
    if state in (TaskState.HIT, TaskState.BLACK):
        animal.until(TaskState.RUN)
        animal.until(TaskState.HIT, activity=3.0)
    animal.until(state)
    return animal


def kinds(entries: Iterable[LedgerEntry]) -> list[LedgerKind]:
    return [entry.kind for entry in entries]
