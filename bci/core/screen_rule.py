"""What the animal sees and hears in each state of the task."""

from bci.config.experiment import Baseline, Experiment
from bci.config.session_type import PassiveType
from bci.core.decoding.angle import TARGET_DEG
from bci.core.loop_types import TaskState
from bci.core.passive_gratings import PassiveGratings
from bci.core.stimulus_types import ScreenKind, StimulusCommand
from bci.core.tone import ToneRule

GREY, BLACK, GRATING, FROZEN = ScreenKind
"""By name: to look a member up in its enum takes longer than to compare it."""
SCREENS = {
    TaskState.WAITING: GREY,
    TaskState.BASELINE: GREY,
    TaskState.GREY: GREY,
    TaskState.RUN: GRATING,
    TaskState.HIT: FROZEN,
    TaskState.BLACK: BLACK,
    TaskState.MISS: BLACK,
    TaskState.PAUSED: GREY,
    TaskState.DONE: GREY,
}
UNBROKEN = (TaskState.GREY, TaskState.RUN, TaskState.MISS)
"""States that show gratings without grey between them where viewing is passive."""
TURNED = (GRATING, FROZEN)
LONGEST_S = 86_400.0


class ScreenRule:
    """Turns state and angle into commands; says nothing where the screen stays as it is.

    Parameters
    ----------
    experiment
        Its stimulus, feedback, baseline and session type.

    Attributes
    ----------
    passing
        Gratings of the states in which they pass by on time alone.
    """

    def __init__(self, experiment: Experiment) -> None:
        baseline = experiment.baseline or Baseline()
        self.passing: dict[TaskState, PassiveGratings] = {}
        if experiment.baseline is not None and baseline.stimulus == "gratings":
            self.passing[TaskState.BASELINE] = PassiveGratings(baseline)
        if isinstance(experiment.session_type, PassiveType):
            session_s = min(experiment.task.session_s + experiment.task.trial_s, LONGEST_S)
            own = {"seed": experiment.session_type.seed, "duration_s": session_s}
            passing = PassiveGratings(baseline.model_copy(update=own))
            self.passing |= dict.fromkeys(UNBROKEN, passing)
        self._passive_freq_hz = baseline.temporal_freq_hz
        self._freq_hz = experiment.stimulus.temporal_freq_hz
        self._contrast = experiment.stimulus.contrast
        feedback = experiment.feedback
        self._is_seen = feedback.kind in ("visual", "both")
        self._tone = ToneRule(feedback) if feedback.has_tone else None
        self._shown: tuple[ScreenKind, float, float] | None = None
        self._cause: tuple[TaskState | None, float, bool] = (None, 0.0, False)
        self._command_id = 0

    def command(
        self, frame_id: int, state: TaskState, angle_deg: float, block_s: float, *, frozen: bool
    ) -> StimulusCommand | None:
        """The screen's new state, or None where it stays as it is.

        Parameters
        ----------
        frame_id
            Frame that leads to it.
        state
            Of the task, after this frame.
        angle_deg
            Of what turns the grating in RUN.
        block_s
            Frame time spent in the baseline block, or in the trials after it, seconds; looked at
            in the states of `passing` alone.
        frozen
            True where the feedback holds still, because a frame cannot be decoded.
        """
        passing = self.passing.get(state)
        if passing is None:
            before, angle_before_deg, frozen_before = self._cause
            if state is before and angle_deg == angle_before_deg and frozen is frozen_before:
                return None
        self._cause = (state, angle_deg, frozen)
        screen, orientation_deg = SCREENS[state], 0.0
        temporal_freq_hz = self._freq_hz
        if passing is not None:
            screen, temporal_freq_hz = GRATING, self._passive_freq_hz
            orientation_deg = passing.angle_deg(block_s)
        elif screen is GRATING:
            orientation_deg = angle_deg
            if frozen:
                screen = FROZEN
        elif screen is FROZEN:
            orientation_deg = TARGET_DEG
        tone_hz = 0.0
        if screen in TURNED and state is not TaskState.BASELINE:
            if self._tone is not None:
                tone_hz = self._tone.tone_hz(orientation_deg)
            if not self._is_seen:
                screen, orientation_deg = GREY, 0.0
        shown = (screen, orientation_deg, tone_hz)
        if shown == self._shown:
            return None
        self._shown = shown
        self._command_id += 1
        return StimulusCommand(
            self._command_id,
            frame_id,
            screen,
            orientation_deg,
            self._contrast,
            temporal_freq_hz,
            tone_hz,
        )
