"""How the animal does: accuracy, rewards a minute, time to hit, activity of the ensembles."""

from bisect import insort
from collections.abc import Sequence
from math import fsum, nan, sqrt
from statistics import median

import msgspec

from bci.core.loop_types import Decision, Outcome, TaskState

NORMAL_95 = 1.959963984540054
OUTSIDE_TASK = (TaskState.BASELINE, TaskState.DONE)


class Performance(msgspec.Struct, frozen=True):
    """The closed loop so far.

    Parameters
    ----------
    hits, misses, aborts
        Trials by outcome.
    early_hits
        Hits within the first `task.early_hit_frames` decoded frames of RUN, among `hits`.
    accuracy, accuracy_low, accuracy_high
        Hits over hits and misses, and Wilson's interval of 95 %, 0–1; NaN before the first.
    rewards
        Asked for by the task.
    session_s, run_s
        Frame time from the first trial on without the baseline, and frame time in RUN, seconds.
    rewards_per_min, rewards_per_run_min
        Rewards over either, in minutes; NaN before the first frame of it.
    time_to_hit_s
        Median over the hits; NaN before the first.
    p_plus, p_minus
        Mean signal of either ensemble over the decoded frames of `session_s`, in the unit of
        `experiment.decoder.signal`; NaN where it has no ROI.
    """

    hits: int = 0
    misses: int = 0
    aborts: int = 0
    early_hits: int = 0
    accuracy: float = nan
    accuracy_low: float = nan
    accuracy_high: float = nan
    rewards: int = 0
    session_s: float = 0.0
    run_s: float = 0.0
    rewards_per_min: float = nan
    rewards_per_run_min: float = nan
    time_to_hit_s: float = nan
    p_plus: float = nan
    p_minus: float = nan

    @property
    def n_trials(self) -> int:
        """Trials that are over."""
        return self.hits + self.misses + self.aborts


class PerformanceMeter:
    """Counts decisions, in their order; the same ones always give the same figures.

    Parameters
    ----------
    rate_hz
        Rate of frame_id over all planes, Hz.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._early_hits = 0
        self._times_to_hit_s: list[float] = []
        self._rewards = 0
        self._last_id = -1
        self._last_state = TaskState.WAITING
        self._in_task = False
        self._session_ids = 0
        self._run_ids = 0
        self._n_decoded = 0
        self._plus = self._minus = 0.0
        self._has_minus = False

    def take(self, decision: Decision, signal: Sequence[float], n_plus: int) -> None:
        """Take the next decision in.

        Parameters
        ----------
        signal
            Of the ensembles at this frame; not looked at where it was not decoded.
        n_plus
            ROIs of P+, the first of the signal.
        """
        passed = max(0, decision.frame_id - self._last_id)
        # the time since the decision before was spent in the state that that one led to
        if self._in_task:
            self._session_ids += passed
            self._run_ids += passed * (self._last_state is TaskState.RUN)
        self._last_id = max(self._last_id, decision.frame_id)
        self._last_state = decision.state
        self._in_task = decision.trial > 0 and decision.state not in OUTSIDE_TASK
        self._rewards += decision.reward is not None
        end = decision.trial_end
        if end is not None:
            self._outcomes[end.outcome] += 1
            self._early_hits += end.early
            if end.outcome is Outcome.HIT:
                insort(self._times_to_hit_s, end.time_to_hit_s)
        if decision.decoded and self._in_task:
            self._n_decoded += 1
            if n_plus:
                self._plus += fsum(signal[:n_plus]) / n_plus
            if n_plus < len(signal):
                self._minus += fsum(signal[n_plus:]) / (len(signal) - n_plus)
            self._has_minus = n_plus < len(signal)

    @property
    def now(self) -> Performance:
        """The figures after the decisions so far."""
        hits, misses = self._outcomes[Outcome.HIT], self._outcomes[Outcome.MISS]
        low, high = wilson_interval(hits, hits + misses)
        session_s, run_s = self._session_ids / self._rate_hz, self._run_ids / self._rate_hz
        n = self._n_decoded
        return Performance(
            hits=hits,
            misses=misses,
            aborts=self._outcomes[Outcome.ABORT],
            early_hits=self._early_hits,
            accuracy=hits / (hits + misses) if hits + misses else nan,
            accuracy_low=low,
            accuracy_high=high,
            rewards=self._rewards,
            session_s=session_s,
            run_s=run_s,
            rewards_per_min=60.0 * self._rewards / session_s if session_s else nan,
            rewards_per_run_min=60.0 * self._rewards / run_s if run_s else nan,
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
