"""What the animal's screen shows in each state of the task."""

from bci.config.experiment import Experiment
from bci.core.decoding.angle import TARGET_DEG
from bci.core.loop_types import TaskState
from bci.core.passive_gratings import PassiveGratings
from bci.core.stimulus_types import ScreenKind, StimulusCommand

SCREENS = {
    TaskState.WAITING: ScreenKind.GREY,
    TaskState.BASELINE: ScreenKind.GREY,
    TaskState.GREY: ScreenKind.GREY,
    TaskState.RUN: ScreenKind.GRATING,
    TaskState.HIT: ScreenKind.FROZEN,
    TaskState.BLACK: ScreenKind.BLACK,
    TaskState.MISS: ScreenKind.BLACK,
    TaskState.PAUSED: ScreenKind.GREY,
    TaskState.DONE: ScreenKind.GREY,
}


class ScreenRule:
    """Turns state and angle into commands; says nothing where the screen stays as it is.

    Parameters
    ----------
    experiment
        Its stimulus and baseline.
    """

    def __init__(self, experiment: Experiment) -> None:
        baseline = experiment.baseline
        has_gratings = baseline is not None and baseline.stimulus == "gratings"
        self._gratings = PassiveGratings(baseline) if baseline and has_gratings else None
        self._passive_freq_hz = baseline.temporal_freq_hz if baseline else 0.0
        self._freq_hz = experiment.stimulus.temporal_freq_hz
        self._contrast = experiment.stimulus.contrast
        self._shown: tuple[ScreenKind, float] | None = None
        self._command_id = 0

    def command(
        self, frame_id: int, state: TaskState, angle_deg: float, baseline_s: float, *, frozen: bool
    ) -> StimulusCommand | None:
        """The screen's new state, or None where it stays as it is.

        Parameters
        ----------
        frame_id
            Frame that leads to it.
        state
            Of the task, after this frame.
        angle_deg
            Of the cursor.
        baseline_s
            Frame time spent in the baseline block, seconds.
        frozen
            True where the feedback holds still, because a frame cannot be decoded.
        """
        screen, orientation_deg = SCREENS[state], 0.0
        temporal_freq_hz = self._freq_hz
        if state is TaskState.BASELINE and self._gratings is not None:
            screen, temporal_freq_hz = ScreenKind.GRATING, self._passive_freq_hz
            orientation_deg = self._gratings.angle_deg(baseline_s)
        elif screen is ScreenKind.GRATING:
            orientation_deg = angle_deg
            if frozen:
                screen = ScreenKind.FROZEN
        elif screen is ScreenKind.FROZEN:
            orientation_deg = TARGET_DEG
        shown = (screen, orientation_deg)
        if shown == self._shown:
            return None
        self._shown = shown
        self._command_id += 1
        return StimulusCommand(
            self._command_id, frame_id, screen, orientation_deg, self._contrast, temporal_freq_hz
        )
