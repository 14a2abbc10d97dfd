"""Whoever asks control for something never holds up the loop."""

from pathlib import Path
from typing import Any, cast

from bci.recording.journal import Journal
from bci.recording.records import JournalStart
from bci.session.desk import AT_ONCE, OperatorDesk
from bci.stream.operator import Client, OperatorNote, Reply


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
