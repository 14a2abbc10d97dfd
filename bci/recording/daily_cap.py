"""What a subject was given today, and what its daily caps leave."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

from bci.config.experiment import Task
from bci.config.session import Session
from bci.core.rewards import Reward, RewardAccumulator, RewardTotals
from bci.recording.reward_log import (
    REHEARSALS,
    Clock,
    RewardLine,
    local_now,
    read_reward_log,
    reward_log_path,
)

ROUNDING_UL = 1e-9

_Place = tuple[str, int, int]


class DailyCap:
    """Drops by local date, from the reward log and from a session that runs.

    A drop counts on the local date of its end, in the time zone that the rig had then. Each `read`
    asks the clock for the date, so midnight, a change of the time zone and one of daylight saving
    need no step of their own: whatever date the clock gives, its drops are here.

    Parameters
    ----------
    task
        With the caps.
    board
        `rig.board.kind`: rehearsals and real drops are counted apart.
    session
        Name of the session whose drops come by `expect` and `end`, and not from the log; empty:
        none.
    clock
        Local time with its offset.
    """

    def __init__(self, task: Task, board: str, session: str = "", clock: Clock = local_now) -> None:
        self._task = task
        self._is_rehearsal = board in REHEARSALS
        self._session = session
        self._clock = clock
        self._today = clock().date()
        self._days: dict[date, RewardAccumulator[_Place]] = defaultdict(RewardAccumulator)
        self._sent: dict[tuple[str, int], tuple[date, _Place]] = {}
        self._n_lines = 0
        self._open: RewardAccumulator[int] = RewardAccumulator()

    def read(self, lines: Iterable[RewardLine]) -> None:
        """Take further lines of the log in, in their order, and look at the date."""
        self._today = self._clock().date()
        for line in lines:
            if line.session != self._session and (line.board in REHEARSALS) == self._is_rehearsal:
                self._read(line)

    def expect(self, reward: Reward) -> None:
        """Take in a drop of the session that runs, and that has not ended."""
        self._open.put(reward.request_id, reward)

    def end(self, reward: Reward, at: datetime) -> None:
        """Take in what became of a drop of the session that runs, at a local time."""
        self._open.discard(reward.request_id)
        self._days[at.date()].put((self._session, reward.request_id, 0), reward)

    def given(self, origin: str | None = None) -> RewardTotals:
        """Given today; drops of the session that runs and have not ended yet end today."""
        day, still = self._days.get(self._today), self._open.totals(origin)
        ended = RewardTotals() if day is None else day.totals(origin)
        return RewardTotals(
            requested=ended.requested + still.requested,
            done=ended.done,
            failed=ended.failed,
            unknown=ended.unknown,
            open=ended.open + still.open,
            given=ended.given + still.given,
            volume_ul=ended.volume_ul + still.volume_ul,
            owed_ul=ended.owed_ul + still.owed_ul,
        )

    def why_not(self, volume_ul: float, origin: str, owed_ul: float = 0.0) -> str:
        """Why a further drop would pass a cap; empty: it would not.

        Parameters
        ----------
        volume_ul, origin
            Of the drop.
        owed_ul
            Volume that was earned and is not asked for yet.
        """
        task = self._task
        caps: list[tuple[str, float | None, RewardTotals, float]] = [
            ("daily_cap_ul", task.daily_cap_ul, self.given(), owed_ul)
        ]
        if origin == "operator":
            given = self.given("operator")
            caps.append(("operator_daily_cap_ul", task.operator_daily_cap_ul, given, 0.0))
        for key, cap_ul, given, owed in caps:
            taken_ul = given.volume_ul + given.owed_ul + owed
            if cap_ul is not None and taken_ul + volume_ul > cap_ul + ROUNDING_UL:
                by_whom = (
                    " by the operator" if origin == "operator" and key != "daily_cap_ul" else ""
                )
                return (
                    f"{volume_ul:g} µl would pass today's cap of {cap_ul:g} µl{by_whom}: "
                    f"{taken_ul:g} µl given today (experiment.task.{key})"
                )
        return ""

    def _read(self, line: RewardLine) -> None:
        day, place = self._sent.pop(line.key, (line.day, (*line.key, self._n_lines)))
        self._n_lines += 1
        if not line.state.ended:
            self._sent[line.key] = (line.day, place)
        if day != line.day:
            self._days[day].discard(place)
        self._days[line.day].put(place, line.reward)


def cap_of_subject(session: Session, root: Path, clock: Clock = local_now) -> DailyCap:
    """The caps of a session's subject with its drops so far, for who is in no session.

    Parameters
    ----------
    session
        Resolved settings.
    root
        Folder of all subjects.
    clock
        Local time with its offset.

    Raises
    ------
    OSError
        If the reward log is there and cannot be read.
    """
    cap = DailyCap(session.experiment.task, session.rig.board.kind, clock=clock)
    path = reward_log_path(root / session.subject / "session", session.subject)
    cap.read(read_reward_log(path))
    return cap
