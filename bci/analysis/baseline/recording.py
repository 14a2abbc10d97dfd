"""A baseline as the ordered list that the loop takes in, whatever it was recorded with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.config import Session, settings_hash
from bci.config.day import Day
from bci.config.experiment import Baseline as BaselineBlock
from bci.config.experiment import Guards
from bci.config.rig import RecordingSource
from bci.config.session_type import ClosedLoopType
from bci.core.ensembles import with_ensembles
from bci.core.frame_check import CONFIRMING_IDS
from bci.core.loop import ClosedLoop
from bci.core.loop_types import (
    BlockKind,
    EpochStarted,
    LoopEvent,
    Malformed,
    Pause,
    Resume,
    Stalled,
    Start,
    TaskState,
)
from bci.core.source import EndOfSource
from bci.core.stimulus_types import ScreenKind
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.hardware.imaging.open import open_source
from bci.recording.folder import JOURNAL
from bci.recording.readers.traces import RecordingError
from bci.recording.records import SequencedEvent
from bci.recording.session_record import Inputs, ReceivedFrame, SessionRecord

ENDLESS_S = 1e12
Tap = Callable[[ClosedLoop, RoiFrame], None]
KEPT_EVENTS = (Pause, Resume, Stalled, EpochStarted, Malformed)
"""What may happen within a baseline block and bears on its frames, whatever is decoded."""


@dataclass(frozen=True)
class Baseline:
    """A baseline that was recorded.

    Parameters
    ----------
    session
        Settings of today, but for a baseline block without end and no other.
    info
        The stream.
    inputs
        Frames and events of the block in the order in which they were applied, a start before
        them; and as many frames from before the block as fill the F0 window.
    source
        Where it was recorded: a path.
    angle_deg
        Passive grating that the screen showed from a frame id on, NaN for none; empty: grey.
    settings_hash
        Of the settings as they were before the block was put in.
    name, started
        Of its session, the latter ISO 8601; empty where it was none.
    """

    session: Session
    info: StreamInfo
    inputs: Sequence[RoiFrame | LoopEvent]
    source: Path
    angle_deg: Mapping[int, float] = field(default_factory=dict)
    settings_hash: str = ""
    name: str = ""
    started: str = ""

    def with_ensembles(self, p_plus: Sequence[str], p_minus: Sequence[str]) -> Session:
        """The settings with these ensembles; others than their own count 1/n each."""
        experiment = self.session.experiment
        decoder = experiment.decoder
        if (decoder.p_plus, decoder.p_minus) == (tuple(p_plus), tuple(p_minus)):
            return self.session
        changed = with_ensembles(experiment, p_plus, p_minus)
        return self.session.model_copy(update={"experiment": changed})

    def with_population(self, labels: Sequence[str], plane: int) -> Session:
        """The settings with ROIs of one plane as the only population, for a look at each."""
        experiment = with_ensembles(self.session.experiment, labels, ())
        changes = {"decode_plane": plane, "read_out": "one_population"}
        decoder = experiment.decoder.model_copy(update=changes)
        changed = experiment.model_copy(update={"decoder": decoder, "guards": Guards()})
        return self.session.model_copy(update={"experiment": changed})

    def run(self, session: Session, tap: Tap | None = None) -> ClosedLoop:
        """Run it once, in order, through the loop of a session.

        Parameters
        ----------
        session
            From `with_ensembles` or `with_population`.
        tap
            Called after every frame.

        Raises
        ------
        bci.core.decoding.decoder.UnknownRoi
            Where an ensemble names an ROI that the plane does not have.
        """
        loop = ClosedLoop(session, self.info)
        for item in self.inputs:
            if isinstance(item, RoiFrame):
                loop.step(item)
                if tap is not None:
                    tap(loop, item)
            else:
                loop.apply(item)
        return loop

    def always_finite(self, plane: int) -> NDArray[np.bool_]:
        """ROIs of a plane that had a value in every frame that had any, shape (n_rois,)."""
        finite = np.ones(len(self.info.plane_rois(plane)), dtype=np.bool_)
        for item in self.inputs:
            if isinstance(item, RoiFrame) and item.plane == plane:
                here = np.isfinite(item.fluorescence)
                if len(here) == len(finite) and here.any():
                    finite &= here
        return finite


def read_baseline(path: Path, session: Session | None) -> Baseline:
    """Read a baseline from a session folder, or take a whole recording for one.

    Parameters
    ----------
    path
        A session folder: its baseline block. Any other recording: all of it, as passive viewing
        of a grey screen.
    session
        Settings of today, for `path` as the source where it is no session folder. None: those of
        the session folder.

    Raises
    ------
    RecordingError
        Where it cannot be read, holds no baseline, or does not tell its settings.
    """
    if (path / JOURNAL).is_file():
        return _of_session(path, session)
    if session is None:
        raise RecordingError(path, "a recording without settings", "name a session file behind it")
    return _of_recording(path, session)


def _of_session(path: Path, session: Session | None) -> Baseline:
    record = SessionRecord.read(path)
    if not record.infos:
        raise RecordingError(path, "a session that received nothing", "name another")
    info, manifest = record.info, record.manifest
    block: slice | None = None
    shown: dict[int, float] = {}
    # the loop that ran it tells where the block lies; of several only the last counts
    loop = ClosedLoop(record.session, info)
    for place, item in enumerate(record.inputs):
        if isinstance(item, ReceivedFrame):
            decision = loop.step(item.frame)
        else:
            decision = loop.apply(item.event)
        for turn in decision.blocks:
            if turn.kind is BlockKind.BASELINE:
                at = place + 1 - _is_frame(item, turn.frame_id)
                block = slice(at if turn.begins or block is None else block.start,
                              None if turn.begins else at)  # fmt: skip
        command = decision.command
        if command is not None:
            passive = command.screen is ScreenKind.GRATING and loop.state is TaskState.BASELINE
            shown[decision.frame_id + 1] = command.orientation_deg if passive else nan
    if block is None:
        raise RecordingError(path, "a session without a baseline block", "name one that has it")
    settings = session or record.session
    experiment = settings.experiment
    n_before = round(experiment.decoder.f0_window_s * info.plane_rate_hz) * info.n_planes
    if _last_id(record.inputs, block.start) - n_before > experiment.faults.max_gap_s * info.rate_hz:
        # a stream that begins so late is believed after some frames
        n_before += CONFIRMING_IDS
    return Baseline(
        _with_block(settings),
        info,
        (Start(), *_with_frames_before(record, block, n_before)),
        path,
        shown,
        settings_hash(settings),
        manifest.session,
        manifest.started,
    )


def _last_id(inputs: Inputs, stop: int) -> int:
    """Of the last frame before a place among the inputs; -1: none."""
    for place in range(stop - 1, -1, -1):
        item = inputs[place]
        if isinstance(item, ReceivedFrame):
            return item.frame.frame_id
    return -1


def _is_frame(item: ReceivedFrame | SequencedEvent, frame_id: int) -> bool:
    return isinstance(item, ReceivedFrame) and item.frame.frame_id == frame_id


def _with_frames_before(
    record: SessionRecord, block: slice, n_before: int
) -> list[RoiFrame | LoopEvent]:
    """What bears on the block's frames: those in it, and those that fill the F0 window."""
    inputs, first = record.inputs, int(block.start)
    while first > 0 and n_before > 0:
        first -= 1
        n_before -= isinstance(inputs[first], ReceivedFrame)
    last_before = inputs.sequences[first - 1] if first > 0 else 0
    events_before = (
        timed.value.event for timed in record.events if timed.value.sequence <= last_before
    )
    epochs = [event for event in events_before if isinstance(event, EpochStarted)]
    block_items = (
        item.frame if isinstance(item, ReceivedFrame) else item.event
        for item in inputs[first : block.stop]
    )
    kept = [item for item in block_items if isinstance(item, (RoiFrame, *KEPT_EVENTS))]
    return [*epochs[-1:], *kept]


def _of_recording(path: Path, session: Session) -> Baseline:
    if not isinstance(session.rig.source, RecordingSource):
        raise RecordingError(path, "not the source of these settings", "name a recording")
    source = open_source(session.rig.source.model_copy(update={"loop": False}))
    info = source.info
    inputs: list[RoiFrame | LoopEvent] = [Start()]
    try:
        while True:
            frame = source.read(0.0)
            if frame is not None:
                inputs.append(
                    RoiFrame(0, 0, 0, frame.frame_id, frame.plane, 0, 0, frame.fluorescence)
                )
    except EndOfSource:
        source.close()
    return Baseline(
        _with_block(session), info, tuple(inputs), path, settings_hash=settings_hash(session)
    )


def _with_block(session: Session) -> Session:
    """The settings of a session that is nothing but a baseline."""
    changes = {
        "baseline": BaselineBlock(duration_s=ENDLESS_S),
        "threshold": None,
        "blocks": (),
        "hold": False,
        "session_type": ClosedLoopType(kind="closed_loop"),
    }
    experiment = session.experiment.model_copy(update=changes)
    return session.model_copy(update={"experiment": experiment, "day": Day()})
