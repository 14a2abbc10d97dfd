"""Going anywhere in a session of hours costs no more than in one of minutes."""

from pathlib import Path

import pytest
from played_session import RATE_HZ, Played

from bci.gui.replay.player import BEFORE_S, Player
from bci.recording.history import MOST_RECORDS
from bci.recording.tail import JournalTail, TailRecord


@pytest.mark.parametrize("minutes", [6, 20])
def test_a_leap_reads_what_is_shown_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, minutes: int
) -> None:
    session = Played(tmp_path).start()
    session.frames(0, round(60 * minutes * RATE_HZ))
    session.close()
    player = Player(tmp_path)
    request.addfinalizer(player.close)
    player.index.read()
    assert len(player.index.trials) > 10 * minutes
    assert player.length_s == pytest.approx(60 * minutes, abs=5)
    n_read = 0
    record_at = JournalTail.record_at

    def counted(tail: JournalTail, position: int) -> TailRecord | None:
        nonlocal n_read
        n_read += 1
        return record_at(tail, position)

    monkeypatch.setattr(JournalTail, "record_at", counted)
    most = 0
    for part in (1.0, 0.5, 0.9, 0.6, 0.95):
        n_read = 0
        player.go_to(part * player.length_s)
        most = max(most, n_read)
        assert player.now_s == pytest.approx(part * player.length_s)
        over = [trial for trial in player.index.trials if trial.t_ns <= player.model.now_ns]
        assert len(player.model.trials) == pytest.approx(len(over), abs=1)
    # frames, decisions and what follows from them, from one mark before what is shown
    assert most < 4 * RATE_HZ * BEFORE_S + 2 * MOST_RECORDS
