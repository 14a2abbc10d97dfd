"""Counts of faults so far, for people to watch."""

from bci.core.loop_types import Decision, LedgerEntry, LedgerKind
from bci.session.reward_budget import RewardBudget


class Tally:
    """Faults, counted from decisions.

    Parameters
    ----------
    budget
        Told of every decision as well.
    """

    def __init__(self, budget: RewardBudget) -> None:
        self.budget = budget
        self.lost_frames = 0
        self.frames = 0
        self.ledger = dict.fromkeys(LedgerKind, 0)
        self.last_ledger = ""

    def decide(self, decision: Decision) -> None:
        """Take a decision in."""
        self.budget.decide(decision)
        for entry in decision.ledger:
            self.note(entry)

    def note(self, entry: LedgerEntry) -> None:
        """Take a ledger entry in."""
        self.ledger[entry.kind] += entry.count
        self.last_ledger = f"{entry.kind.value} {entry.detail}: {entry.reaction}"
        if entry.kind is LedgerKind.GAP:
            self.lost_frames += entry.count
