"""Control's line to the board: what it counts of a day, over midnight too."""

from datetime import datetime
from pathlib import Path

from recorded_session import small_session

from bci.core.board_types import RewardRequest
from bci.recording.journal import Journal
from bci.recording.records import JournalStart
from bci.session.board_line import BoardLine


def test_cap_of_a_session_that_runs_begins_anew_at_midnight(tmp_path: Path) -> None:
    session = small_session()
    stream = session.rig.stream.model_copy(update={"delivery": "lossless"})
    task = session.experiment.task.model_copy(update={"daily_cap_ul": 8.0, "reward_ul": 4.0})
    session = session.model_copy(
        update={
            "rig": session.rig.model_copy(update={"stream": stream}),
            "experiment": session.experiment.model_copy(update={"task": task}),
        }
    )
    now = ["2026-11-30T23:59:58+01:00"]
    with Journal(tmp_path / "journal.mcap", JournalStart("s", "hash", 1, 1)) as journal:
        line = BoardLine(session, "s", tmp_path, journal, lambda: datetime.fromisoformat(now[0]))
        line.open(dict, "")

        def give(request_id: int) -> None:
            request = RewardRequest(request_id, 4.0, request_id)
            line.budget.ask(request)
            line.board.reward(request)
            line.board.advance_to(request_id * 1.0)
            line.hear()

        give(1)
        give(2)
        assert (line.budget.today_ul, line.budget.exhausted) == (8.0, True)
        now[0] = "2026-12-01T00:00:01+01:00"
        line.turn(0)
        assert (line.budget.today_ul, line.budget.exhausted) == (0.0, False)
        give(3)
        assert line.budget.today_ul == 4.0
        assert line.budget.rewards.totals().volume_ul == 12.0
        line.close()
