"""What a subject has had today, and whether another trial could be rewarded."""

from datetime import datetime
from math import inf, nan

from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.loop_types import Decision, Outcome, TaskState
from bci.recording.reward_ledger import RewardLine

ENDS = {
    BoardEventKind.REWARD_DONE: "done",
    BoardEventKind.REWARD_FAILED: "failed",
    BoardEventKind.REWARD_UNKNOWN: "unknown",
}


class RewardBudget:
    """Counts from the hit on, so that no trial begins whose reward would pass the cap.

    Parameters
    ----------
    session
        Name of the session, for the ledger.
    board
        `rig.board.kind`.
    cap_ul
        Most that the subject gets in a day; None: no cap.
    reward_ul
        Volume of one reward of the task; 0 where the task gives none.
    before_ul
        What it had today before this session.
    pays_hits
        True where a hit earns a reward.
    """

    def __init__(
        self,
        session: str,
        board: str,
        cap_ul: float | None,
        reward_ul: float,
        before_ul: float,
        *,
        pays_hits: bool = True,
    ) -> None:
        self._session = session
        self._board = board
        self._cap_ul = inf if cap_ul is None else cap_ul
        self._reward_ul = reward_ul
        self._hit_ul = reward_ul if pays_hits else 0.0
        self._given_ul = before_ul
        self._earned_ul = 0.0
        self._open: dict[int, RewardRequest] = {}

    @property
    def cap_ul(self) -> float:
        """Most that the subject gets in a day; NaN: no cap."""
        return nan if self._cap_ul == inf else self._cap_ul

    @property
    def today_ul(self) -> float:
        """Given today, rewards of unknown fate counted."""
        return self._given_ul

    def allows(self, volume_ul: float) -> bool:
        """Whether so much more stays within the cap, all that is owed counted as given."""
        owed_ul = self._earned_ul + sum(request.volume_ul for request in self._open.values())
        return self._given_ul + owed_ul + volume_ul <= self._cap_ul + 1e-9

    @property
    def exhausted(self) -> bool:
        """True where one more reward of the task would pass the cap."""
        return not self.allows(self._reward_ul)

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
        self._open[request.request_id] = request

    def hear(self, event: BoardEvent) -> RewardLine | None:
        """Take a board event in; the line of the ledger where a reward ended with it."""
        state = ENDS.get(event.kind)
        if state is None:
            return None
        request = self._open.pop(event.request_id, None)
        if request is None:
            return None
        if state != "failed":
            self._given_ul += request.volume_ul
        return RewardLine(
            time=datetime.now().astimezone().isoformat(timespec="milliseconds"),
            session=self._session,
            request_id=request.request_id,
            origin=request.origin,
            trial=request.trial,
            volume_ul=request.volume_ul,
            state=state,
            board=self._board,
        )
