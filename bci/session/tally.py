"""Counts of rewards and faults so far, for people to watch."""

from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.loop_types import Decision, LedgerEntry, LedgerKind
from bci.session.reward_budget import RewardBudget


class Tally:
    """Rewards and faults, counted from decisions and board events.

    Parameters
    ----------
    budget
        Told of every decision and request as well.
    """

    def __init__(self, budget: RewardBudget) -> None:
        self.budget = budget
        self.rewards_done = 0
        self.volume_ul = 0.0
        self.lost_frames = 0
        self.frames = 0
        self.ledger = dict.fromkeys(LedgerKind, 0)
        self.last_ledger = ""
        self._volumes_ul: dict[int, float] = {}

    def decide(self, decision: Decision) -> None:
        """Take a decision in."""
        self.budget.decide(decision)
        if decision.reward is not None:
            self._volumes_ul[decision.reward.request_id] = decision.reward.volume_ul
        for entry in decision.ledger:
            self.note(entry)

    def ask(self, request: RewardRequest) -> None:
        """Remember the volume of a reward that the operator asked for."""
        self.budget.ask(request)
        self._volumes_ul[request.request_id] = request.volume_ul

    def note(self, entry: LedgerEntry) -> None:
        """Take a ledger entry in."""
        self.ledger[entry.kind] += entry.count
        self.last_ledger = f"{entry.kind.value} {entry.detail}: {entry.reaction}"
        if entry.kind is LedgerKind.GAP:
            self.lost_frames += entry.count

    def hear(self, event: BoardEvent) -> None:
        """Take a board event in; a reward of unknown fate counts as given."""
        if event.kind in (BoardEventKind.REWARD_DONE, BoardEventKind.REWARD_UNKNOWN):
            self.rewards_done += event.kind is BoardEventKind.REWARD_DONE
            self.volume_ul += self._volumes_ul.pop(event.request_id, 0.0)
