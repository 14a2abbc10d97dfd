"""A baseline as the ordered list that the loop takes in, whatever it was recorded with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.config import Session
from bci.config.experiment import Baseline as BaselineBlock
from bci.config.experiment import Guards
from bci.config.rig import RecordingSource
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Decision, LoopEvent, Start, ThresholdSet
from bci.core.source import EndOfSource
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.recording.folder import JOURNAL
from bci.recording.readers.traces import RecordingError
from bci.recording.session_record import ReceivedFrame, SessionRecord
from hardware.imaging.open import open_source

ENDLESS_S = 1e12
Tap = Callable[[ClosedLoop, RoiFrame, Decision], None]


@dataclass(frozen=True)
class Baseline:
    """A baseline that was recorded.

    Parameters
    ----------
    session
        Settings of today; its baseline block is the one that was recorded.
    info
        The stream.
    inputs
        Frames and events in the order in which they were applied, the start included.
    source
        Where it was recorded: a path.
    """

    session: Session
    info: StreamInfo
    inputs: Sequence[RoiFrame | LoopEvent]
    source: Path

    def with_ensembles(
        self, p_plus: Sequence[str], p_minus: Sequence[str], plane: int | None = None
    ) -> Session:
        """The settings with other ensembles, in another plane where one is named."""
        experiment = self.session.experiment
        decoder = experiment.decoder
        changes = {
            "p_plus": tuple(p_plus),
            "p_minus": tuple(p_minus),
            "decode_plane": decoder.decode_plane if plane is None else plane,
        }
        return self._with(decoder=decoder.model_copy(update=changes))

    def with_population(self, labels: Sequence[str], plane: int) -> Session:
        """The settings with ROIs of one plane as the only population, for a look at each."""
        decoder = self.session.experiment.decoder
        changes = {
            "p_plus": tuple(labels),
            "p_minus": (),
            "decode_plane": plane,
            "read_out": "one_population",
        }
        return self._with(decoder=decoder.model_copy(update=changes), guards=Guards())

    def _with(self, **changes: object) -> Session:
        experiment = self.session.experiment.model_copy(update=changes)
        return self.session.model_copy(update={"experiment": experiment})

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
                decision = loop.step(item)
                if tap is not None:
                    tap(loop, item, decision)
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
    block = record.session.experiment.baseline
    if block is None or not record.infos:
        raise RecordingError(path, "a session without a baseline block", "name one that has it")
    session = _with_block(session or record.session, block)
    inputs: list[RoiFrame | LoopEvent] = []
    # the loop itself tells where the block ends; which ROIs it decodes does not matter to that
    loop = ClosedLoop(record.session, record.info)
    for item in record.inputs:
        if isinstance(item, ReceivedFrame):
            loop.step(item.frame)
            inputs.append(item.frame)
        elif isinstance(item.event, ThresholdSet):
            break
        else:
            loop.apply(item.event)
            inputs.append(item.event)
        if loop.needs_calibration:
            break
    return Baseline(session, record.info, tuple(inputs), path)


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
    block = BaselineBlock(duration_s=ENDLESS_S)
    return Baseline(_with_block(session, block), info, tuple(inputs), path)


def _with_block(session: Session, block: BaselineBlock) -> Session:
    experiment = session.experiment.model_copy(update={"baseline": block, "threshold": None})
    return session.model_copy(update={"experiment": experiment})
