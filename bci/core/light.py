"""When the light for the opsin is on, and which ROIs its gate blanks."""

from math import ceil

import numpy as np

from bci.config.experiment import Experiment
from bci.config.light import Light
from bci.core.board_types import LightCommand
from bci.core.loop_types import TaskState
from bci.core.session_types import IN_TRIALS
from bci.core.stream_types import Roi, StreamInfo

HELD = (TaskState.PAUSED, TaskState.DONE)
DARK = LightCommand(on=False)


SET_TRIALS = 20
"""In so many trials the fraction is kept exactly, so that chance makes no early part all light."""


def has_light(settings: Light, trial: int) -> bool:
    """True where a trial of this number, from 1, is one with light; the same whenever asked."""
    if settings.trials != "fraction":
        return settings.trials == "all"
    n_with = min(max(round(settings.fraction * SET_TRIALS), 1), SET_TRIALS - 1)
    number, place = divmod(trial - 1, SET_TRIALS)
    order = np.random.default_rng((settings.seed, number)).permutation(SET_TRIALS)
    return bool(order[place] < n_with)


def light_of_trial(settings: Light, trial: int) -> str:
    """None, or when in this trial the light was on: trial or run."""
    return settings.during if has_light(settings, trial) else "none"


def blanked_rows(settings: Light, info: StreamInfo) -> int | None:
    """Rows at the top of the image that the gate blanks; None: the image's size is not known."""
    if settings.blanked_rows is not None:
        return settings.blanked_rows
    n_rows = info.image_shape[0]
    return ceil(n_rows * settings.gate_ms * 1e-3 * info.rate_hz) if n_rows else None


def is_barred(settings: Light, info: StreamInfo, roi: Roi) -> bool:
    """True where an ROI must stay out of the ensembles: it is gated, or nobody knows.

    Parameters
    ----------
    settings
        `experiment.light`; without light no ROI is barred.
    info
        The stream, for the size of its image.
    """
    if settings.trials == "none":
        return False
    rows = blanked_rows(settings, info)
    if rows is None:
        return True
    # not a number is not far enough
    return rows > 0 and not roi.y_px >= rows + settings.margin_px


class LightRule:
    """Turns state and trial into commands; says nothing where the light stays as it is.

    A hold of the task puts the light out whatever it was, and tells the board so.

    Parameters
    ----------
    experiment
        Its light.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._settings = experiment.light
        self._may_occur = experiment.light.trials != "none"
        self._told = DARK
        self._state = TaskState.WAITING
        self._trial = 0
        self._trial_has_light = False

    def command(self, state: TaskState, trial: int) -> LightCommand | None:
        """What the board is to be told after a frame or event, or None.

        Parameters
        ----------
        state, trial
            Of the task.
        """
        held = state is not self._state and state in HELD
        self._state = state
        if not self._may_occur:
            return DARK if held else None
        wanted = LightCommand(self._is_on(state, trial), state is not TaskState.DONE)
        if wanted == self._told and not held:
            return None
        self._told = wanted
        return wanted

    def _is_on(self, state: TaskState, trial: int) -> bool:
        if state is TaskState.BASELINE:
            return self._settings.in_baseline
        if state not in IN_TRIALS:
            return False
        if trial != self._trial:
            self._trial, self._trial_has_light = trial, has_light(self._settings, trial)
        return self._trial_has_light and (
            self._settings.during == "trial" or state is TaskState.RUN
        )
