"""When the light for the opsin is on and was on, and which ROIs its gate blanks."""

from collections import Counter
from math import ceil

import numpy as np

from bci.config.experiment import Experiment
from bci.config.light import Light
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand
from bci.core.loop_types import IN_TRIALS, TaskState
from bci.core.stream_types import Roi, StreamInfo

HELD = (TaskState.PAUSED, TaskState.DONE)
DARK = LightCommand(on=False, gate=False)


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
    """Turns state, trial and the operator's order into commands.

    The settings say when the light is on. The operator's order stands over them: off until the
    operator orders on or resumes the task, on until the operator orders off or the task is held. A
    hold of the task puts the light out, whatever it was. While the light stays as it is there is no
    command, except at a hold and at an order: the board then gets it again.

    Parameters
    ----------
    experiment
        Its light.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._settings = experiment.light
        self._may_occur = experiment.light.trials != "none"
        self._told = DARK
        self._by_hand: bool | None = None
        self._tell_again = False
        self._state = TaskState.WAITING
        self._trial = 0
        self._trial_has_light = False

    def set_by_hand(self, on: bool, state: TaskState) -> str:
        """Let the operator's order stand over the settings.

        Returns
        -------
        str
            Why it was refused, and what to do; empty if it stands now.
        """
        if not self._may_occur:
            return "this session has none; experiment.light.trials would have to be set before"
        if on and state in HELD:
            return f"it stays off while {state.name}"
        self._by_hand, self._tell_again = on, True
        return ""

    def follow_settings(self) -> None:
        """End the operator's order: the operator resumes the task."""
        self._by_hand = None

    def command(self, state: TaskState, trial: int) -> LightCommand | None:
        """Return what the board must be sent after a frame or event, or None.

        Parameters
        ----------
        state, trial
            Of the task.
        """
        held = state is not self._state and state in HELD
        self._state = state
        if not self._may_occur:
            return DARK if held else None
        if held and self._by_hand:
            self._by_hand = None
        again, self._tell_again = held or self._tell_again, False
        wanted = LightCommand(self._is_on(state, trial), state is not TaskState.DONE)
        if wanted == self._told and not again:
            return None
        self._told = wanted
        return wanted

    def _is_on(self, state: TaskState, trial: int) -> bool:
        if self._by_hand is not None:
            return self._by_hand and state not in HELD
        if state is TaskState.BASELINE:
            return self._settings.in_baseline
        if state not in IN_TRIALS:
            return False
        if trial != self._trial:
            self._trial, self._trial_has_light = trial, has_light(self._settings, trial)
        return self._trial_has_light and (
            self._settings.during == "trial" or state is TaskState.RUN
        )


class LitTrials:
    """Count the frames of each trial in which the board had the light on.

    Fed in the order of the journal. An order counts from its own frame on as soon as the board has
    confirmed it; light that the board never confirmed, or put out by itself, does not count.
    """

    def __init__(self) -> None:
        self._ordered = False
        self._confirmed = False
        self._may_confirm = False
        self._frames: Counter[tuple[int, bool]] = Counter()
        self._lit: Counter[tuple[int, bool]] = Counter()
        self._unconfirmed: Counter[tuple[int, bool]] = Counter()

    @property
    def n_trials(self) -> int:
        """Number of trials with light, in whatever part."""
        return len({trial for trial, _ in self._lit})

    def order(self, command: LightCommand) -> None:
        """Take in what a decision asked of the board, before its frame is counted."""
        if command.on and not self._ordered:
            self._unconfirmed.clear()
            self._may_confirm = True
        self._ordered = command.on

    def hear(self, event: BoardEvent) -> None:
        """Take in what the board reported."""
        if event.kind is BoardEventKind.LOST:
            # what it confirms once it is back counts from then on alone
            self._confirmed = self._may_confirm = False
        elif event.kind is BoardEventKind.LIGHT:
            self._confirmed = bool(event.value)
            if self._confirmed and self._may_confirm:
                self._lit += self._unconfirmed
                self._unconfirmed.clear()
            if event.value or event.detail:
                self._may_confirm = False

    def count(self, state: TaskState, trial: int, n: int = 1) -> None:
        """Count the next decisions, `n` in one state of one trial."""
        if state not in IN_TRIALS:
            return
        part = trial, state is TaskState.RUN
        self._frames[part] += n
        if self._ordered and self._confirmed:
            self._lit[part] += n
        elif self._ordered and self._may_confirm:
            self._unconfirmed[part] += n

    def of_trial(self, trial: int) -> str:
        """Return when the light was on: none, trial (grey to black), run, or part of either."""
        run, rest = (trial, True), (trial, False)
        if not (self._lit[run] or self._lit[rest]):
            return "none"
        if self._lit[run] < self._frames[run]:
            return "part"
        if self._lit[rest] == self._frames[rest]:
            return "trial"
        return "part" if self._lit[rest] else "run"
