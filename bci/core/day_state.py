"""What a day has come to: the block that runs, the ensembles that stand, the newest baseline."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.config.session import Session
from bci.core.baseline_record import BaselineRecord
from bci.core.baseline_tape import BaselineTape, Kept
from bci.core.blocks import BaselineClock, BlockPlan, block_fault, planned_blocks
from bci.core.calibration import CalibrationResult, calibrate
from bci.core.ensembles import (
    CHOSEN_BEFORE,
    are_chosen_within,
    ensembles_fault,
    with_ensembles,
)
from bci.core.guards import GuardRule
from bci.core.loop_types import BlockKind, BlockTurn, EnsemblesSet, TaskState
from bci.core.reader import EnsembleReader
from bci.core.stream_types import StreamInfo


class DayState:
    """Blocks, ensembles and baseline of a session; part of the loop, and as pure.

    Parameters
    ----------
    session, info
        Of the loop.

    Attributes
    ----------
    experiment
        Of the session, with the ensembles that stand now.
    reader
        Decodes with them.
    blocks
        Which block runs and which comes next.
    baseline
        What the newest baseline block left for the calibration.
    """

    def __init__(self, session: Session, info: StreamInfo) -> None:
        self.experiment = experiment = session.experiment
        self._info = info
        self.reader = EnsembleReader(experiment, info)
        self.baseline = BaselineRecord()
        baseline_s = experiment.baseline.duration_s if experiment.baseline else 0.0
        self.blocks = BlockPlan(
            planned_blocks(session),
            BaselineClock(info.rate_hz, info.n_planes, baseline_s),
            hold=experiment.hold,
        )
        decoder = self.reader.decoder
        known_frames = decoder.window_frames + experiment.decoder.smoothing_frames - 1
        self._tape = BaselineTape(known_frames) if are_chosen_within(experiment) else None
        self._turns: tuple[BlockTurn, ...] = ()

    @property
    def keeps_all(self) -> bool:
        """True where frames outside of a baseline are kept as well."""
        return self._tape is not None

    @property
    def has_ensembles(self) -> bool:
        """False until they were chosen."""
        return bool(self.reader.decoder.labels)

    def calibrate(self, run_frames: int) -> CalibrationResult:
        """T, lo and the guards' levels from the newest baseline; nothing changes.

        Parameters
        ----------
        run_frames
            Decoded frames of a live RUN.

        Raises
        ------
        bci.core.calibration.BaselineRefused
            Where the baseline gives none.
        """
        experiment, baseline, layout = self.experiment, self.baseline, self.reader.decoder.layout
        return calibrate(
            baseline.s3,
            run_frames,
            experiment.calibration,
            baseline.median,
            plane_rate_hz=layout.plane_rate_hz,
            guards=experiment.guards,
            guard_rule=GuardRule(experiment.guards, layout.n_plus),
            signals=baseline.signals,
        )

    def keep(
        self,
        fluorescence: NDArray[np.float32],
        s3: float,
        signal: Sequence[float],
        median: float,
        *,
        in_baseline: bool,
        settled: bool,
    ) -> None:
        """Keep of a decoded frame what calibration and choice may need.

        Parameters
        ----------
        fluorescence, s3, signal, median
            Raw counts, read-out, smoothed signals where a guard needs them, median of all ROIs.
        in_baseline
            True where the frame belongs to a baseline block.
        settled
            True where the F0 window is full.
        """
        if in_baseline and settled and self.has_ensembles:
            self.baseline.add(s3, signal, median)
        if self._tape is not None:
            self._tape.add(Kept(fluorescence, median, settled), in_baseline=in_baseline)

    def refill(self) -> None:
        """F0 fills again."""
        self.reader.decoder.reset()
        if self._tape is not None:
            self._tape.reset()

    def why_not_begin(self, kind: BlockKind, state: TaskState, *, ready: bool) -> str:
        """Why a block cannot begin now, and what to do; empty where it can.

        Parameters
        ----------
        state
            Of the task.
        ready
            True where trials may begin.
        """
        why = self._not_between_blocks(state) or block_fault(kind, self.experiment)
        if not why and kind is BlockKind.CLOSED_LOOP and not ready:
            why = "no T yet: record a baseline, and choose ensembles where there are none"
        return why

    def follow(self) -> None:
        """A baseline that begins is a new one; one that is over waits for its T."""
        if not self.blocks.turns:
            return
        turns = self.blocks.take_turns()
        self._turns += turns
        for turn in turns:
            if turn.kind is BlockKind.BASELINE and turn.begins:
                self.baseline.clear()
                if self._tape is not None:
                    self._tape.begin()
            elif turn.kind is BlockKind.BASELINE:
                self.baseline.awaits_threshold = True

    def take_turns(self) -> tuple[BlockTurn, ...]:
        """Blocks that were over or began since the last call."""
        turns, self._turns = self._turns, ()
        return turns

    def choose(self, event: EnsemblesSet, state: TaskState) -> str:
        """Decode with other ensembles from now on, as if they had been there from the start.

        Returns
        -------
        str
            Why they were refused, and what to do; empty where they stand now.
        """
        if self._tape is None:
            return CHOSEN_BEFORE
        why = self._not_between_blocks(state) or ensembles_fault(
            event.p_plus, event.p_minus, self.experiment, self._info
        )
        if why:
            return why
        self.experiment = with_ensembles(self.experiment, event.p_plus, event.p_minus)
        self.reader = EnsembleReader(self.experiment, self._info)
        self.baseline.clear()
        self.reader.read_again(self._tape.play(), self.baseline)
        self.baseline.awaits_threshold = bool(self.baseline.s3)
        return ""

    def _not_between_blocks(self, state: TaskState) -> str:
        if state is TaskState.WAITING and self.blocks.kind is None:
            return ""
        return f"not between two blocks ({state.name}): end the present one first"
