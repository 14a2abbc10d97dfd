"""Whoever asks control for something never holds up the loop."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bci.config.experiment import Task
from bci.core.board_types import RewardRequest
from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.recording.daily_cap import DailyCap
from bci.recording.journal import Journal
from bci.recording.records import JournalStart
from bci.session.desk import AT_ONCE, OperatorDesk
from bci.session.reward_budget import RewardBudget
from bci.session.tally import Tally
from bci.stream.operator import Client, OperatorNote, OperatorReward, Reply


class Flood:
    """Requests without an end, from a client that does not wait for its answers."""

    answered = 0

    def receive(self) -> tuple[Client, OperatorNote]:
        assert self.answered < 10 * AT_ONCE, "the loop never turned again"
        return Client(b"line", b"window", self.answered), OperatorNote("again")

    def reply(self, _client: Client, reply: Reply) -> None:
        assert reply.accepted
        self.answered += 1


def test_flood_of_requests_is_answered_a_few_in_each_turn(tmp_path: Path) -> None:
    flood, unused = Flood(), cast(Any, None)
    with Journal(tmp_path / "journal.mcap", JournalStart("s", "hash", 1, 1)) as journal:
        desk = OperatorDesk(
            cast(Any, flood), unused, unused, journal, unused, 4.0, 10.0, unused, unused
        )
        desk.attend()
        desk.attend()
    assert flood.answered == 2 * AT_ONCE


class Asked:
    """Requests of one client, and what each was answered."""

    def __init__(self) -> None:
        self.waiting: list[OperatorReward] = []
        self.replies: list[Reply] = []

    def receive(self) -> tuple[Client, OperatorReward] | None:
        return (Client(b"line", b"window", 1), self.waiting.pop(0)) if self.waiting else None

    def reply(self, _client: Client, reply: Reply) -> None:
        self.replies.append(reply)


class Valve:
    """A board of which only the rewards matter."""

    connected = True

    def __init__(self) -> None:
        self.asked: list[RewardRequest] = []

    def reward(self, request: RewardRequest) -> None:
        self.asked.append(request)


def test_operator_gets_three_drops_at_once_then_one_a_second_within_the_cap() -> None:
    asked, valve, noted = Asked(), Valve(), list[LedgerEntry]()
    task = Task(operator_daily_cap_ul=18.0)
    cap = DailyCap(task, "serial", clock=lambda: datetime.now(UTC))
    tally = Tally(RewardBudget(cap, task.daily_cap_ul, 4.0))
    loop = SimpleNamespace(last_frame_id=7)
    runner = SimpleNamespace(done=False, loop=loop, note=noted.append)
    now_s = [0.0]
    unused = cast(Any, None)
    desk = OperatorDesk(
        cast(Any, asked),
        cast(Any, runner),
        cast(Any, valve),
        unused,
        tally,
        4.0,
        10.0,
        unused,
        unused,
        lambda: now_s[0],
    )

    def accepted(n: int) -> list[bool]:
        asked.replies.clear()
        asked.waiting = [OperatorReward() for _ in range(n)]
        desk.attend()
        return [reply.accepted for reply in asked.replies]

    assert accepted(5) == [True, True, True, False, False]
    assert [(one.kind, one.count, one.frame_id) for one in noted] == [(LedgerKind.REFUSED, 2, 7)]
    assert all(reply.reason for reply in asked.replies)
    # a flood fills neither line nor journal
    assert accepted(30) == [False] * 30
    assert len(noted) == 1
    now_s[0] = 1.0
    assert accepted(2) == [True, False]
    assert noted[-1].count == 31
    now_s[0] = 60.0
    assert accepted(1) == [False]
    assert "operator_daily_cap_ul" in asked.replies[0].reason
    assert [request.volume_ul for request in valve.asked] == [4.0] * 4
    assert len({request.request_id for request in valve.asked}) == 4
