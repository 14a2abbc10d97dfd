"""Sessions made to order: frames at given times through the real loop into the real journal."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from bci.config import Session, settings_hash, validate_session
from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.frame_header import pack_header
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Decision, LoopEvent, Start
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.core.stream_types import Roi, RoiFrame, StreamInfo
from bci.recording.folder import JOURNAL
from bci.recording.journal import Journal
from bci.recording.manifest import make_manifest, write_manifest
from bci.recording.records import CommandSent, JournalStart, Note, SequencedEvent, Topic

NAME = "mouse-20260301T101500"
WALL0_NS = 1_772_360_100_000_000_000
PERF0_NS = 5_000_000_000_000
RATE_HZ = 20.0
LABELS = ("a", "b", "c", "d")
TOLD = {
    "animal": {"age": "P90D", "sex": "F", "indicator": "jGCaMP7f", "location": "RSP"},
    "lab": {"experimenters": ["Doe, Jane"], "name": "Lab", "institution": "Institute"},
}


def made_session(n_planes: int = 1, **changes: Any) -> Session:
    """Short trials, T and lo given; `changes` replace whole tables."""
    data = {
        "subject": "mouse",
        "rig": {
            "name": "r",
            "source": {"kind": "simulated", "n_rois": 4, "rate_hz": RATE_HZ, "n_planes": n_planes},
            "board": {"kind": "simulated"},
        },
        "experiment": {
            "name": "e",
            "decoder": {"p_plus": ["a"], "p_minus": ["b"], "f0_window_s": 1.0},
            "threshold": {"t": 0.3, "lo": -0.3},
            "task": {
                "grey_s": 0.2,
                "trial_s": 1.0,
                "hit_s": 0.4,
                "reward_delay_s": 0.2,
                "black_s": 0.2,
                "miss_s": 0.3,
            },
        },
        **TOLD,
    }
    rig = data["rig"] | changes.pop("rig", {})
    experiment = data["experiment"] | changes.pop("experiment", {})
    experiment = {k: v for k, v in experiment.items() if v is not None}
    session, faults = validate_session(data | {"rig": rig, "experiment": experiment} | changes)
    assert session is not None, faults
    return session


def made_info(
    n_planes: int = 1,
    image: bool = True,
    labels: tuple[str, ...] = LABELS,
    first_roi_id: int = 0,
) -> StreamInfo:
    """Two ROIs in plane 0 of two, four in the only plane."""
    xs_px = (10.0 + i if image else float("nan") for i in range(len(labels)))
    rois = tuple(
        Roi(first_roi_id + i, label, i // 2 % n_planes, x_px=x_px, y_px=20.0)
        for i, (label, x_px) in enumerate(zip(labels, xs_px, strict=True))
    )
    return StreamInfo(NAME, 0, "test", RATE_HZ, n_planes, (64, 64), 1, 0.0, None, rois)


@dataclass
class Played:
    """Records a session as control does, at times that the test chooses.

    Frame f is received `3 + f × period_s` seconds after the journal's start, plus `late_s`.
    """

    folder: Path
    session: Session = field(default_factory=made_session)
    n_planes: int = 1
    period_s: float = 1 / RATE_HZ
    seed: int = 1
    image: bool = True
    labels: tuple[str, ...] = LABELS
    first_roi_id: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        started = datetime.fromtimestamp(WALL0_NS / 1e9, UTC)
        write_manifest(self.folder, make_manifest(NAME, self.session, started))
        start = JournalStart(NAME, settings_hash(self.session), WALL0_NS, PERF0_NS)
        self.journal = Journal(self.folder / JOURNAL, start)
        self.info = made_info(self.n_planes, self.image, self.labels, self.first_roi_id)
        self.journal.append(Topic.INFO, self.info)
        self.loop = ClosedLoop(self.session, self.info)
        self.decisions: list[Decision] = []
        self.sent_values: list[tuple[int, int, np.ndarray]] = []
        self.epoch = 0
        self.board_answers = True
        self.rng = np.random.default_rng(self.seed)

    def perf_ns(self, t_s: float) -> int:
        return PERF0_NS + round(t_s * 1e9)

    def time_s(self, frame_id: int) -> float:
        """Seconds since the journal's start."""
        return 3.0 + frame_id * self.period_s

    def values(self, frame_id: int) -> np.ndarray:
        plane = frame_id % self.n_planes
        n_rois = len(self.info.plane_rois(plane))
        values = (100 + 5 * self.rng.random(n_rois)).astype(np.float32)
        if plane == 0 and frame_id // 10 % 7 in (3, 4):
            values[0] += 60
        return values

    def frames(self, first: int, stop: int) -> None:
        for frame_id in range(first, stop):
            self.frame(frame_id)

    def frame(
        self,
        frame_id: int,
        values: np.ndarray | None = None,
        late_s: float = 0.0,
        t_s: float | None = None,
        **changes: Any,
    ) -> Decision:
        """Send a frame, as it should be but for `changes` of its header."""
        values = self.values(frame_id) if values is None else values
        plane = frame_id % self.n_planes
        t_ns = self.perf_ns(self.time_s(frame_id) + late_s if t_s is None else t_s)
        frame = RoiFrame(
            self.info.session_hash, self.info.roi_hash, self.epoch, frame_id, plane,
            t_ns, t_ns - 500_000, values,
        )  # fmt: skip
        frame = replace(frame, **changes)
        values = frame.fluorescence
        decision = self.loop.step(frame)
        self.sent_values.append((frame_id, plane, values))
        self.journal.append_frame(decision.sequence, t_ns, pack_header(frame), values.tobytes())
        self._keep(decision, t_ns, of_frame=not decision.discarded)
        return decision

    def apply(self, event: LoopEvent, t_s: float) -> Decision:
        decision = self.loop.apply(event)
        t_ns = self.perf_ns(t_s)
        record = SequencedEvent(decision.sequence, event)
        self.journal.append(Topic.EVENT, record, t_perf_ns=t_ns)
        self._keep(decision, t_ns)
        return decision

    def start(self) -> "Played":
        self.apply(Start(), 2.0)
        return self

    def note(self, text: str, t_s: float) -> None:
        self.journal.append(Topic.NOTE, Note(text), t_perf_ns=self.perf_ns(t_s))

    def board(self, kind: BoardEventKind, t_ns: int, request_id: int = 0, value: float = 0) -> None:
        event = BoardEvent(request_id, kind, (t_ns - PERF0_NS) // 1000, t_ns, value)
        self.journal.append(Topic.BOARD, event, t_perf_ns=t_ns)

    def close(self, reason: str = "task over") -> "Played":
        self.journal.append(Topic.INFO, self.info)
        self.journal.close(reason)
        assert self.journal.fault is None
        return self

    def _keep(self, decision: Decision, t_ns: int, *, of_frame: bool = False) -> None:
        self.decisions.append(decision)
        self.journal.append(Topic.DECISION, decision, t_perf_ns=t_ns + 1000)
        if decision.command is not None:
            command = decision.command
            of = (t_ns - 500_000, t_ns) if of_frame else (0, 0)
            sent = CommandSent(command.command_id, command.frame_id, *of, t_ns + 100_000)
            self.journal.append(Topic.SENT, sent, t_perf_ns=t_ns + 100_000)
            flip = FlipReport(
                command.command_id, FlipKind.SHOWN, t_ns + 200_000, t_ns + 300_000,
                t_ns + 9_000_000, 0, False,
            )  # fmt: skip
            self.journal.append(Topic.SCREEN, flip, t_perf_ns=t_ns + 9_100_000)
        if decision.light is not None and self.board_answers:
            self.board(BoardEventKind.LIGHT, t_ns + 2_000_000, value=float(decision.light.on))
        if decision.reward is not None:
            self._pay(decision.reward, t_ns)

    def _pay(self, reward: RewardRequest, t_ns: int) -> None:
        kinds = BoardEventKind
        for place, kind in enumerate(
            (kinds.REWARD_REQUESTED, kinds.REWARD_SENT, kinds.REWARD_ACKNOWLEDGED)
        ):
            self.board(kind, t_ns + 1_000_000 * place, reward.request_id)
        opened_us = reward.volume_ul * 10_000
        self.board(kinds.REWARD_DONE, t_ns + 43_000_000, reward.request_id, opened_us)


def played(folder: Path, n_frames: int = 400, **kwargs: Any) -> Played:
    """A whole session with hits, misses and rewards."""
    session = Played(folder, **kwargs).start()
    session.frames(0, n_frames)
    return session.close()
