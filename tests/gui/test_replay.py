"""A finished session is shown again as it was, wherever one goes in it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot
from support.hostile_journals import records_of, start_of, write_journal

from bci.core.loop_types import Outcome
from bci.gui.day import Day, Phase
from bci.gui.model import SessionModel
from bci.gui.replay.index import ReplayIndex
from bci.gui.replay.player import SPEEDS, Player
from bci.gui.steps.replay import ReplayPage
from bci.gui.words import moment
from bci.recording.folder import JOURNAL
from bci.recording.records import Topic
from bci.recording.session_record import SessionRecord


@pytest.fixture
def player(finished_session: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Player]:
    # a short session with as many marks as a long one
    monkeypatch.setattr("bci.recording.history.MOST_RECORDS", 200)
    player = Player(finished_session)
    player.index.read()
    yield player
    player.close()


def state_of(model: SessionModel, since_ns: int) -> dict[str, object]:
    """All that the views show of a model."""
    assert model.fluorescence is not None
    order = model.fluorescence.order()
    order = order[model.fluorescence.t_ns[order] >= since_ns]
    return {
        "decisions": model.decisions.since(since_ns).tobytes(),
        "values": model.fluorescence.values[:, order].tobytes(),
        "trials": repr(model.trials),
        "outcomes": dict(model.outcomes),
        "threshold": model.threshold,
        "calibration": repr(model.calibration),
        "licks": model.n_licks,
        "rewards": model.n_rewards,
        "ledger": dict(model.ledger_counts),
        "lights": dict(model.lights),
        "command": model.command,
        "notes": list(model.notes),
    }


def test_the_index_holds_every_trial_of_the_record(player: Player) -> None:
    record = SessionRecord.read(player.folder)
    assert player.index.done
    assert [trial.outcome for trial in player.index.trials] == [t.outcome for t in record.trials]
    assert len(player.index.trials) >= 3


def test_wherever_one_jumps_the_model_is_that_of_playing_through(player: Player) -> None:
    length_s = player.length_s
    rng = np.random.default_rng(1)
    stops = sorted(rng.uniform(0.05, 1.0, 6) * length_s)
    through = {}
    player.go_to(0.0)
    for stop in stops:
        player.go_to(stop)
        through[stop] = state_of(player.model, player.model.now_ns - 60 * 10**9)
    for stop in rng.permutation(stops):
        # from the end, so that every jump goes back and is made anew
        player.go_to(length_s)
        player.go_to(float(stop))
        assert state_of(player.model, player.model.now_ns - 60 * 10**9) == through[stop]


def test_a_jump_far_from_the_beginning_reads_no_more_than_it_shows(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bci.gui.replay.player.BEFORE_S", 1.0)
    player.go_to(player.length_s)
    place = player.index.mark_before(player.model.now_ns - 10**9)
    assert place > 0
    assert player.model.decisions.rows["t_ns"][0] >= player.index.marks[place].t_ns
    # what is rare is known from the beginning all the same
    assert player.model.start is not None
    assert player.model.threshold is not None
    ended = [t for t in player.index.trials if t.t_ns <= player.model.now_ns]
    assert len(player.model.trials) == len(ended)


def test_time_goes_on_as_fast_as_asked_and_stops_at_the_end(player: Player) -> None:
    player.playing, player.speed = True, 16.0
    player.advance(0.1)
    assert player.now_s == pytest.approx(1.6)
    player.speed = 0.25
    player.advance(1.0)
    assert player.now_s == pytest.approx(1.85)
    player.speed = 16.0
    for _ in range(1000):
        player.advance(0.1)
    assert player.now_s == pytest.approx(player.length_s)
    assert not player.playing


@pytest.fixture
def page(qtbot: QtBot, finished_session: Path) -> Iterator[ReplayPage]:
    day = Day(root=finished_session.parent.parent)
    page = ReplayPage(day)
    qtbot.addWidget(page)
    day.ticked.connect(page.refresh)
    page.resize(1200, 600)
    page.show()
    yield page
    if page.player is not None:
        page.player.close()
    day.close()


def opened(qtbot: QtBot, page: ReplayPage, folder: Path) -> Player:
    page.load(folder)
    player = page.player
    assert player is not None
    qtbot.waitUntil(lambda: player.index.done)
    qtbot.waitUntil(lambda: page.time_line.seconds_at(10**6) == player.length_s)
    return player


def test_play_scrub_and_jump(qtbot: QtBot, page: ReplayPage, finished_session: Path) -> None:
    player = opened(qtbot, page, finished_session)
    line = page.time_line
    QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(line.width() // 2, 10))
    qtbot.waitUntil(lambda: abs(player.now_s - player.length_s / 2) < 0.02 * player.length_s)
    third = player.index.trial(3)
    assert third is not None
    page.trial_box.setValue(3)
    qtbot.waitUntil(lambda: player.model.now_ns < third.t_ns)
    page.speed_box.setCurrentIndex(SPEEDS.index(16.0))
    page.speed_box.activated.emit(SPEEDS.index(16.0))
    page.play_button.click()
    qtbot.waitUntil(lambda: not player.playing)
    assert player.now_s == pytest.approx(player.length_s)
    hits = sum(trial.outcome is Outcome.HIT for trial in player.index.trials)
    assert player.model.outcomes[Outcome.HIT] == hits
    page.seek(player.length_s)
    qtbot.waitUntil(lambda: page._wanted_s is None)
    QTest.keyClick(line, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: player.now_s == pytest.approx(player.length_s - 1.0))


def test_the_clock_counts_from_the_first_frame(
    qtbot: QtBot, page: ReplayPage, finished_session: Path
) -> None:
    player = opened(qtbot, page, finished_session)
    record = SessionRecord.read(finished_session)
    first_s = player.first_frame_s
    received_ns = int(record.frames["t_received_ns"][0])
    assert 0 < (received_ns - record.start.t_perf_ns) * 1e-9 <= first_s < player.length_s

    def shown(at_s: float) -> str:
        page.seek(at_s)
        qtbot.waitUntil(lambda: player.now_s == pytest.approx(at_s))
        page.refresh()
        return page.clock.text().split(" of ")[0]

    assert shown(first_s + 0.01) == "0:00"
    assert shown(0.0) == moment(-first_s)
    assert moment(-61.5) == "−1:01"
    whole = page.clock.text().split(" of ")[1].split()[0]
    assert whole == moment(player.length_s - first_s)


def test_the_session_that_is_over_is_opened_by_itself(
    page: ReplayPage, finished_session: Path
) -> None:
    page.day.attach(finished_session)
    assert page.day.phase is Phase.ENDED
    page.opened()
    assert page.player is not None
    assert page.player.folder == finished_session


def test_a_window_that_closes_waits_for_no_index(
    page: ReplayPage, finished_session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = []
    monkeypatch.setattr(ReplayIndex, "stop", lambda index: stopped.append(index))
    page.load(finished_session)
    assert page.player is not None
    index = page.player.index
    page.day.close()
    assert stopped == [index]
    assert page.player is None


def test_what_is_no_session_is_told(
    qtbot: QtBot, page: ReplayPage, finished_session: Path, tmp_path: Path
) -> None:
    page.load(tmp_path)
    assert "no manifest.json" in page.told.text()
    shutil.copy(finished_session / "manifest.json", tmp_path)
    page.load(tmp_path)
    assert "journal.mcap" in page.told.text()
    (tmp_path / "journal.mcap").write_bytes(b"\x89MCAP" * 100)
    page.load(tmp_path)
    qtbot.waitUntil(lambda: "nothing in its journal" in page.told.text())
    page.play_button.click()
    with qtbot.waitSignal(page.day.ticked):
        pass


def test_a_journal_that_contradicts_itself_is_closed_and_named(
    qtbot: QtBot, page: ReplayPage, finished_session: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "made up"
    shutil.copytree(finished_session, folder)
    path = folder / JOURNAL
    start, records = start_of(path), records_of(path)
    place = max(i for i, one in enumerate(records) if one.topic is Topic.DECISION)
    value = msgspec.msgpack.decode(records[place].payload) | {"trial": -1}
    records[place] = replace(records[place], payload=msgspec.msgpack.encode(value))
    write_journal(path, start, records)
    page.load(folder)
    qtbot.waitUntil(lambda: page.player is None)
    page.refresh()
    assert page.told.text().startswith("✕")
    assert str(path) in page.told.text()
