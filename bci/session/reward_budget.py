"""What the daily caps leave for a session: further trials, and drops that the operator asks for."""

from collections.abc import Callable
from datetime import datetime
from math import nan

from bci.core.board_types import BoardEvent, RewardRequest
from bci.core.loop_types import Decision, Outcome, TaskState
from bci.core.rewards import Reward, SessionRewards
from bci.recording.daily_cap import DailyCap


class RewardBudget:
    """Counts from the hit on, so that no trial begins whose reward would pass the cap.

    Parameters
    ----------
    cap
        Of the subject.
    cap_ul
        Most that the subject gets in a day; None: no cap.
    reward_ul
        Volume of one reward of the task; 0 where the task gives none.
    pays_hits
        True where a hit earns a reward.

    Attributes
    ----------
    rewards
        Of this session.
    cap
        As given.
    """

    def __init__(
        self, cap: DailyCap, cap_ul: float | None, reward_ul: float, *, pays_hits: bool = True
    ) -> None:
        self.rewards = SessionRewards()
        self.cap = cap
        self.cap_ul = nan if cap_ul is None else cap_ul
        self._reward_ul = reward_ul
        self._hit_ul = reward_ul if pays_hits else 0.0
        self._earned_ul = 0.0

    @property
    def today_ul(self) -> float:
        """Given today, rewards of unknown fate counted."""
        return self.cap.given().volume_ul

    def why_not(self, volume_ul: float, origin: str) -> str:
        """Why a further drop would pass a cap, all that is owed counted as given; empty: none."""
        return self.cap.why_not(volume_ul, origin, self._earned_ul)

    @property
    def exhausted(self) -> bool:
        """True where one more reward of the task would pass the cap."""
        return bool(self.why_not(self._reward_ul, "task"))

    def decide(self, decision: Decision) -> None:
        """Take a decision in: what was earned, what was asked for."""
        if decision.reward is not None:
            self.ask(decision.reward)
        # a delayed reward is owed in black, too
        if decision.reward is not None or decision.state not in (TaskState.HIT, TaskState.BLACK):
            self._earned_ul = 0.0
        elif decision.trial_end is not None and decision.trial_end.outcome is Outcome.HIT:
            self._earned_ul = self._hit_ul

    def ask(self, request: RewardRequest) -> None:
        """Take in a reward that was asked for."""
        self.cap.expect(self.rewards.ask(request))

    def hear(self, event: BoardEvent, at: datetime) -> Reward | None:
        """Take a board event in; the reward that ended with it, None: none did.

        Parameters
        ----------
        at
            When it happened, local time.
        """
        reward = self.rewards.take(event)
        if reward is None:
            return None
        if not reward.fate.ended:
            self.cap.expect(reward)
            return None
        self.cap.end(reward, at)
        return reward


class TokenBucket:
    """Lets a few through at once, and then no more than so many a second.

    Parameters
    ----------
    per_s
        How many a second.
    burst
        How many at once, after a pause.
    clock
        Rising time, s.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._t_s = clock()

    def take(self) -> bool:
        """Let one through; False: too many came before it."""
        now_s = self._clock()
        self._tokens = min(self._burst, self._tokens + (now_s - self._t_s) * self._per_s)
        self._t_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
