"""How the animal does: accuracy, rewards a minute, time to hit, activity of the ensembles."""

from bisect import insort
from collections.abc import Sequence
from math import fsum, nan, sqrt
from statistics import median

import msgspec

from bci.core.loop_types import IN_TRIALS, Decision, Outcome, TaskState

NORMAL_95 = 1.959963984540054


class TaskTime(msgspec.Struct):
    """The time of a session on its stepped frames, and the task's rewards per minute.

    The one accumulator of both: live control, terminal, window, replay, report, NWB, subject and
    playback are fed with the same decisions and so show the same figures. The time between two
    decisions was spent in the state that the first one led to. Discarded frames do not count.
    A session in stretches: `add` the accumulator of each to that of the stretches before.

    Parameters
    ----------
    first_id, last_id
        Of the frames stepped; -1 before the first.
    state
        After the last decision; None before the first.
    task_frames
        Ids that passed in trials, that is in `IN_TRIALS`: aborted trials count, while waiting,
        pauses and the baseline do not.
    run_frames
        Those of them that passed in RUN.
    rewards
        Asked for by the task; drops of the operator are not among them.
    """

    first_id: int = -1
    last_id: int = -1
    state: TaskState | None = None
    task_frames: int = 0
    run_frames: int = 0
    rewards: int = 0

    def take(self, decision: Decision) -> None:
        """Take the next decision in."""
        if decision.discarded:
            return
        self._reach(decision.frame_id)
        self.state = decision.state
        self.rewards += decision.reward is not None

    def add(self, later: "TaskTime") -> None:
        """Take the stretch in that follows this one."""
        if later.first_id >= 0:
            self._reach(later.first_id)
            self.last_id = later.last_id
        self.task_frames += later.task_frames
        self.run_frames += later.run_frames
        self.rewards += later.rewards
        self.state = self.state if later.state is None else later.state

    def _reach(self, frame_id: int) -> None:
        if frame_id < 0:
            return
        if self.first_id < 0:
            self.first_id = self.last_id = frame_id
        passed = frame_id - self.last_id
        self.task_frames += passed * (self.state in IN_TRIALS)
        self.run_frames += passed * (self.state is TaskState.RUN)
        self.last_id = frame_id

    def session_s(self, rate_hz: float) -> float:
        """Frame time since the first stepped frame, seconds."""
        return (self.last_id - self.first_id) / rate_hz

    def rewards_per_min(self, rate_hz: float) -> float:
        """Rewards of the task per minute of frame time in trials; NaN before the first trial."""
        return 60.0 * self.rewards * rate_hz / self.task_frames if self.task_frames else nan

    def rewards_per_run_min(self, rate_hz: float) -> float:
        """Rewards of the task per minute of frame time in RUN; NaN before the first RUN."""
        return 60.0 * self.rewards * rate_hz / self.run_frames if self.run_frames else nan


class Performance(msgspec.Struct, frozen=True):
    """The closed loop so far.

    Parameters
    ----------
    hits, misses, aborts
        Trials by outcome.
    unscored
        Trials of a passive session: neither hit nor miss.
    early_hits
        Hits within the first `task.early_hit_frames` decoded frames of RUN, among `hits`.
    accuracy, accuracy_low, accuracy_high
        Hits over hits and misses, and Wilson's interval of 95 %, 0–1; NaN before the first.
    rewards
        Asked for by the task.
    task_s, run_s
        Frame time in trials, and in RUN, seconds; see `TaskTime`.
    rewards_per_min, rewards_per_run_min
        Rewards over either, in minutes; NaN before the first frame of it.
    time_to_hit_s
        Median over the hits; NaN before the first.
    p_plus, p_minus
        Mean signal of either ensemble over the decoded frames of trials, in the unit of
        `experiment.decoder.signal`; NaN where it has no ROI.
    """

    hits: int = 0
    misses: int = 0
    aborts: int = 0
    unscored: int = 0
    early_hits: int = 0
    accuracy: float = nan
    accuracy_low: float = nan
    accuracy_high: float = nan
    rewards: int = 0
    task_s: float = 0.0
    run_s: float = 0.0
    rewards_per_min: float = nan
    rewards_per_run_min: float = nan
    time_to_hit_s: float = nan
    p_plus: float = nan
    p_minus: float = nan

    @property
    def n_trials(self) -> int:
        """Trials that are over."""
        return self.hits + self.misses + self.aborts + self.unscored


class PerformanceMeter:
    """Counts decisions, in their order; the same ones always give the same figures.

    Parameters
    ----------
    rate_hz
        Rate of frame_id over all planes, Hz.

    Attributes
    ----------
    time
        Frame time and rewards so far.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._early_hits = 0
        self._times_to_hit_s: list[float] = []
        self._n_decoded = 0
        self._plus = self._minus = 0.0
        self._has_minus = False
        self.time = TaskTime()

    def take(self, decision: Decision, signal: Sequence[float], n_plus: int) -> None:
        """Take the next decision in.

        Parameters
        ----------
        signal
            Of the ensembles at this frame; not looked at where it was not decoded.
        n_plus
            ROIs of P+, the first of the signal.
        """
        self.time.take(decision)
        end = decision.trial_end
        if end is not None:
            self._outcomes[end.outcome] += 1
            self._early_hits += end.early
            if end.outcome is Outcome.HIT:
                insort(self._times_to_hit_s, end.time_to_hit_s)
        if decision.decoded and decision.state in IN_TRIALS:
            self._n_decoded += 1
            if n_plus:
                self._plus += fsum(signal[:n_plus]) / n_plus
            if n_plus < len(signal):
                self._minus += fsum(signal[n_plus:]) / (len(signal) - n_plus)
            self._has_minus = n_plus < len(signal)

    @property
    def session_s(self) -> float:
        """Frame time since the first stepped frame, seconds."""
        return self.time.session_s(self._rate_hz)

    @property
    def now(self) -> Performance:
        """The figures after the decisions so far."""
        hits, misses = self._outcomes[Outcome.HIT], self._outcomes[Outcome.MISS]
        low, high = wilson_interval(hits, hits + misses)
        time, rate_hz, n = self.time, self._rate_hz, self._n_decoded
        return Performance(
            hits=hits,
            misses=misses,
            aborts=self._outcomes[Outcome.ABORT],
            unscored=self._outcomes[Outcome.NONE],
            early_hits=self._early_hits,
            accuracy=hits / (hits + misses) if hits + misses else nan,
            accuracy_low=low,
            accuracy_high=high,
            rewards=time.rewards,
            task_s=time.task_frames / rate_hz,
            run_s=time.run_frames / rate_hz,
            rewards_per_min=time.rewards_per_min(rate_hz),
            rewards_per_run_min=time.rewards_per_run_min(rate_hz),
            time_to_hit_s=median(self._times_to_hit_s) if self._times_to_hit_s else nan,
            p_plus=self._plus / n if n else nan,
            p_minus=self._minus / n if n and self._has_minus else nan,
        )


def wilson_interval(n_hits: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of 95 % of a fraction; NaN of nothing.

    References
    ----------
    Wilson 1927, J Am Stat Assoc 22, 209.
    """
    if not n:
        return nan, nan
    z2 = NORMAL_95 * NORMAL_95
    centre = (n_hits + z2 / 2) / (n + z2)
    half = NORMAL_95 * sqrt(n_hits * (n - n_hits) / n + z2 / 4) / (n + z2)
    # at 0 and n hits one end is 0 or 1 but for rounding
    low = 0.0 if n_hits == 0 else centre - half
    return low, 1.0 if n_hits == n else centre + half
