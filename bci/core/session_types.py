"""A session type as three answers: what the screen follows, what a hit is, what pays."""

from typing import Any

from bci.config.experiment import Decoder, Experiment, Task
from bci.config.session_type import (
    DelayedRewardType,
    NoRewardType,
    OpenLoopType,
    PassiveType,
    RandomRewardType,
    YokedType,
)
from bci.core.courses import Course, Playback, make_course
from bci.core.loop_types import IN_TRIALS, PlaybackSet, TaskState
from bci.core.random_rewards import RandomRewards


def decoder_settings(experiment: Experiment) -> Decoder:
    """The decoder as this session uses it: P+ and P− exchanged where the type is inverted."""
    decoder = experiment.decoder
    if experiment.session_type.kind != "inverted":
        return decoder
    names = [name for name in Decoder.model_fields if name.endswith("_plus")]
    exchanged: dict[str, Any] = {}
    for plus in names:
        minus = plus.removesuffix("_plus") + "_minus"
        exchanged |= {plus: getattr(decoder, minus), minus: getattr(decoder, plus)}
    return decoder.model_copy(update=exchanged)


def task_settings(experiment: Experiment) -> Task:
    """The task as this session plays it."""
    task, session_type = experiment.task, experiment.session_type
    match session_type:
        case DelayedRewardType():
            return task.model_copy(update={"reward_delay_s": session_type.delay_s})
        case PassiveType():
            # gratings without grey: its trials are pieces of time that nobody sees the ends of
            return task.model_copy(update={"grey_s": 0.0, "miss_s": 0.0})
        case _:
            return task


class Contingency:
    """What turns the grating and what pays, where it is not the neurons and their hits.

    Parameters
    ----------
    experiment
        Its session type and task.
    rate_hz
        Rate of frame_id over all planes, Hz.

    Attributes
    ----------
    course
        What the grating follows in RUN; None: the neurons, or nothing at all.
    is_passive
        True where gratings pass by and there is no hit.
    task_s
        Frame time spent in trials, pauses and refilling of F0 left out, seconds.
    gives_free_reward
        True where this frame brings a reward that no trial earned.
    is_ready
        True once everything is there that a trial needs.
    """

    def __init__(self, experiment: Experiment, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._reward_delay_s: float | None = task_settings(experiment).reward_delay_s
        self._rewards: RandomRewards | None = None
        self._random: RandomRewardType | None = None
        self._is_yoked = self.is_passive = False
        self._last_id: int | None = None
        self._task_frames = 0
        self.course: Course | None = None
        self.task_s = 0.0
        self.gives_free_reward = False
        match experiment.session_type:
            case NoRewardType():
                self._reward_delay_s = None
            case PassiveType():
                self._reward_delay_s, self.is_passive = None, True
            case OpenLoopType(course=settings):
                self.course = make_course(settings, self._reward_delay_s)
            case YokedType():
                self._is_yoked = True
            case RandomRewardType() as random:
                self._reward_delay_s, self._random = None, random
                if random.follows == "course":
                    self.course = make_course(random.course, None)
                if random.rewards_per_min is not None:
                    self._rewards = RandomRewards(random, random.rewards_per_min)
            case _:
                pass
        self.is_ready = self._has_all()

    def takes(self, recorded: PlaybackSet) -> bool:
        """True where this is what the session waits for."""
        if self.is_ready:
            return False
        return bool(recorded.trials) if self._is_yoked else recorded.rewards_per_min > 0.0

    def take(self, recorded: PlaybackSet) -> None:
        """Follow a recorded session from now on."""
        if self._is_yoked:
            self.course = Playback(recorded)
        elif self._random is not None:
            self._rewards = RandomRewards(self._random, recorded.rewards_per_min)
        self.is_ready = self._has_all()

    def advance(self, frame_id: int, state: TaskState) -> None:
        """Let the clock of the task go on to a decoded frame.

        Parameters
        ----------
        frame_id, state
            Of the frame, before it ends in a hit.
        """
        self.gives_free_reward = False
        if state not in IN_TRIALS:
            self._last_id = None
            return
        if self._last_id is not None:
            self._task_frames += frame_id - self._last_id
            self.task_s = self._task_frames / self._rate_hz
        self._last_id = frame_id
        if self._rewards is not None:
            self.gives_free_reward = self._rewards.due(self.task_s)

    def pays_after_s(self, trial: int) -> float | None:
        """Time from a hit of this trial to its reward, seconds; None: nothing pays."""
        return self._reward_delay_s if self.course is None else self.course.pays_after_s(trial)

    def _has_all(self) -> bool:
        if self._is_yoked:
            return self.course is not None
        return self._random is None or self._rewards is not None
