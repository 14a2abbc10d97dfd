"""Rewards: what became of each, and how many there were."""

from collections.abc import Hashable
from enum import StrEnum
from math import fsum
from typing import Generic, TypeVar

import msgspec

from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest

FIRST_OPERATOR_REWARD = 1_000_000
"""Request ids from here on are the operator's; the task's count from 1."""


class RewardFate(StrEnum):
    """What became of one reward so far.

    ```
    requested ──► sent ──► acknowledged ──► done
        │          │ ╲           │ ╲──────► unknown
        │          │  ╲──────────┼────────► done, unknown
        ╰──────────┴─────────────┴────────► failed
    ```

    Everywhere the same: the board's host side, the journal, the reward log, the window, the report.
    """

    REQUESTED = "requested"
    """Asked for; the board has not been asked yet."""
    SENT = "sent"
    """On record in the reward log, and then sent to the board."""
    ACKNOWLEDGED = "acknowledged"
    DONE = "done"
    FAILED = "failed"
    """The valve did not open."""
    UNKNOWN = "unknown"
    """Perhaps given, and nobody can know: never repeated."""

    @property
    def ended(self) -> bool:
        """Done, failed or unknown: nothing follows."""
        return self in _ENDS

    @property
    def counts_as_given(self) -> bool:
        """True unless it is certain that the valve did not open."""
        return self not in (RewardFate.REQUESTED, RewardFate.FAILED)

    @property
    def event(self) -> BoardEventKind:
        """Kind of the board event that says so."""
        return BoardEventKind(f"reward_{self.value}")

    @classmethod
    def of(cls, kind: BoardEventKind) -> "RewardFate | None":
        """Fate that a board event reports; None: it is not about a reward."""
        return _OF_EVENT.get(kind)


_ENDS = frozenset({RewardFate.DONE, RewardFate.FAILED, RewardFate.UNKNOWN})
_OF_EVENT = {fate.event: fate for fate in RewardFate}
_ORDER = {fate: min(place, 3) for place, fate in enumerate(RewardFate)}


class Reward(msgspec.Struct, frozen=True):
    """One reward as far as it is known.

    Parameters
    ----------
    request_id, origin, trial, volume_ul
        As in `RewardRequest`.
    fate
        What became of it so far.
    """

    request_id: int
    origin: str
    trial: int
    volume_ul: float
    fate: RewardFate = RewardFate.REQUESTED


class BoardReward(msgspec.Struct, frozen=True):
    """One reward as a board's own memory has it.

    Parameters
    ----------
    session
        Number of the session that asked for it, as in the greeting of the board.
    request_id
        As asked for.
    fate
        Done, or unknown: begun and interrupted.
    """

    session: int
    request_id: int
    fate: RewardFate


class RewardTotals(msgspec.Struct, frozen=True):
    """Counts of rewards.

    Parameters
    ----------
    requested
        All of them.
    done, failed, unknown, open
        By fate; open: not ended.
    given
        Those whose fate counts as given.
    volume_ul
        Volume of those given, microlitres.
    owed_ul
        Volume of those that may still be given and do not count yet, microlitres.
    """

    requested: int = 0
    done: int = 0
    failed: int = 0
    unknown: int = 0
    open: int = 0
    given: int = 0
    volume_ul: float = 0.0
    owed_ul: float = 0.0


Key = TypeVar("Key", bound=Hashable)


class RewardAccumulator(Generic[Key]):
    """Rewards and their totals, whoever reports them: control, the window, a journal, the log."""

    def __init__(self) -> None:
        self._rewards: dict[Key, Reward] = {}
        self._totals: dict[str | None, tuple[int, RewardTotals]] = {}
        self._n_changes = 0

    def __len__(self) -> int:
        return len(self._rewards)

    @property
    def rewards(self) -> list[Reward]:
        """Every reward, in the order in which they were first reported."""
        return list(self._rewards.values())

    def get(self, key: Key) -> Reward | None:
        """One reward; None: not reported yet."""
        return self._rewards.get(key)

    def put(self, key: Key, reward: Reward) -> None:
        """Take a reward in, in place of what was known of it."""
        self._rewards[key] = reward
        self._n_changes += 1

    def discard(self, key: Key) -> None:
        """Forget a reward."""
        self._rewards.pop(key, None)
        self._n_changes += 1

    def totals(self, origin: str | None = None) -> RewardTotals:
        """Totals of the rewards of one origin; None: of all."""
        # counted first: a change that another thread makes meanwhile is counted the next time
        n_changes = self._n_changes
        found = self._totals.get(origin)
        if found is None or found[0] != n_changes:
            of_origin = [one for one in self.rewards if origin in (None, one.origin)]
            found = self._totals[origin] = n_changes, _totals(of_origin)
        return found[1]


class SessionRewards(RewardAccumulator[int]):
    """Rewards of one session by request id, from requests and board events in any order."""

    def ask(self, request: RewardRequest) -> Reward:
        """Take a request in; the reward as it is known then."""
        known = self.get(request.request_id)
        reward = Reward(
            request.request_id,
            request.origin,
            request.trial,
            request.volume_ul,
            known.fate if known else RewardFate.REQUESTED,
        )
        self.put(request.request_id, reward)
        return reward

    def take(self, event: BoardEvent) -> Reward | None:
        """Take a board event in; the reward whose fate it changed, None: it changed none."""
        fate = RewardFate.of(event.kind)
        if fate is None:
            return None
        reward = self.get(event.request_id)
        if reward is None:
            # a record may lack the request: the window's is cut, a journal may be damaged
            asked_ul = event.value if fate is RewardFate.REQUESTED else 0.0
            origin = "operator" if event.request_id >= FIRST_OPERATOR_REWARD else "task"
            reward = Reward(event.request_id, origin, 0, asked_ul)
        elif _ORDER[fate] <= _ORDER[reward.fate]:
            return None
        reward = msgspec.structs.replace(reward, fate=fate)
        self.put(event.request_id, reward)
        return reward


def _totals(rewards: list[Reward]) -> RewardTotals:
    fates = [one.fate for one in rewards]
    given = [one.volume_ul for one in rewards if one.fate.counts_as_given]
    return RewardTotals(
        requested=len(rewards),
        done=fates.count(RewardFate.DONE),
        failed=fates.count(RewardFate.FAILED),
        unknown=fates.count(RewardFate.UNKNOWN),
        open=sum(not fate.ended for fate in fates),
        given=len(given),
        volume_ul=fsum(given),
        owed_ul=fsum(one.volume_ul for one in rewards if one.fate is RewardFate.REQUESTED),
    )
