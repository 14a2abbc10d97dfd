"""The window: its pages, its size, its closing."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from held_port import held_port
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.analysis.baseline.scores import RoiScore, Scores
from bci.config.ensembles import EnsembleChoice
from bci.core.ledger import entry
from bci.core.loop_types import LedgerKind, TaskState
from bci.gui.day import Day, Phase
from bci.gui.pace import Pace
from bci.gui.pages import make_window
from bci.gui.rich_text import breakable
from bci.gui.steps.ensembles import EnsemblesStep
from bci.gui.theme import BASE_HEIGHT_PX, BASE_WIDTH_PX, scale_of
from bci.gui.views.score_table import WHY_NOT, ScoreTable
from bci.gui.window import OperatorWindow
from bci.recording.folder import MANIFEST, write_endpoints
from bci.recording.history import DECISION_COLUMNS, HistoryChunk


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> OperatorWindow:
    window = make_window(Day(DEMO, root=tmp_path))
    qtbot.addWidget(window)
    window.show()
    return window


def test_every_page_can_be_shown_before_any_session(window: OperatorWindow, qtbot: QtBot) -> None:
    assert window.day.phase is Phase.SETTING_UP
    for place, page in enumerate(window.pages):
        window.show_page(place)
        assert window.page is page
        with qtbot.waitSignal(window.day.ticked):
            pass


def test_text_grows_with_the_window() -> None:
    assert scale_of(1280, 800) == 1.0
    assert scale_of(1920, 1200) == 1.5
    assert scale_of(800, 600) == 1.0


def test_alarms_take_room_from_the_page_and_never_from_the_buttons(
    window: OperatorWindow, qtbot: QtBot
) -> None:
    window.resize(1280, 800)
    window.show_session()
    faults = [LedgerKind.STALL, LedgerKind.BOARD_LOST, LedgerKind.SCREEN_LOST, LedgerKind.GAP]
    ledger = tuple((1, entry(1, kind, "and so on " * 12)) for kind in faults)
    window.day.model.take(HistoryChunk(1, True, ledger=ledger))
    window.alarms.update(window.day.model, [])
    window.alarm_strip.refresh(None)
    qtbot.waitUntil(lambda: window.alarm_strip.height() > 60)
    assert window.height() == 800
    below = window.light_bar.mapTo(window, window.light_bar.rect().bottomLeft())
    assert below.y() < 800
    assert window.controls.stop.isVisible()


def decided(window: OperatorWindow, state: TaskState, phase: Phase = Phase.RUNNING) -> None:
    row = np.zeros(1, DECISION_COLUMNS)
    row["state"] = state
    window.day.model.take(HistoryChunk(1, True, decisions=row.tobytes()))
    window.day.phase = phase


def test_window_goes_on_with_the_day(window: OperatorWindow, qtbot: QtBot) -> None:
    assert window.page.title == "Rig"
    for state, phase, title in [
        (TaskState.WAITING, Phase.RUNNING, "Rig"),
        (TaskState.BASELINE, Phase.RUNNING, "Baseline"),
        (TaskState.PAUSED, Phase.RUNNING, "Baseline"),
        (TaskState.RUN, Phase.RUNNING, "Session"),
        (TaskState.DONE, Phase.ENDED, "End"),
    ]:
        decided(window, state, phase)
        qtbot.waitUntil(lambda title=title: window.page.title == title)


def test_window_stays_where_the_operator_looks(window: OperatorWindow, qtbot: QtBot) -> None:
    titles = [page.title for page in window.pages]
    decided(window, TaskState.BASELINE)
    qtbot.waitUntil(lambda: window.page.title == "Baseline")
    window.show_page(titles.index("Ensembles"))
    decided(window, TaskState.RUN)
    decided(window, TaskState.DONE, Phase.ENDED)
    with qtbot.waitSignals([window.day.ticked] * 20):
        pass
    assert window.page.title == "Ensembles"


def test_a_session_that_lost_its_supervisor_does_not_end_without_an_alarm(
    window: OperatorWindow,
    qtbot: QtBot,
    finished_session: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(finished_session, tmp_path / "demo" / finished_session.name)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    (folder / MANIFEST).write_text(json.dumps({**manifest, "outcome": {}}), "utf-8")
    # whatever is always visible is drawn too late
    monkeypatch.setattr(Pace, "due", lambda _: False)
    # nobody answers there, no session of another test either
    with held_port() as port:
        write_endpoints(folder, {"history": f"tcp://127.0.0.1:{port}"}, "token")
        window.day.attach(folder)
        qtbot.waitUntil(lambda: window.day.phase is Phase.ENDED)
    assert [alarm.key for alarm in window.alarms.alarms] == ["supervisor"]


def test_alarms_of_a_session_that_was_there_before_the_window_outlast_its_end(
    qtbot: QtBot, finished_session: Path, tmp_path: Path
) -> None:
    day = Day(root=tmp_path)
    day.attach(finished_session)
    window = make_window(day)
    qtbot.addWidget(window)
    day.model.take(HistoryChunk(1, True, ledger=((1, entry(1, LedgerKind.BOARD_LOST)),)))
    window.alarms.update(day.model, [])
    day.session_changed.emit()
    assert [alarm.key for alarm in window.alarms.alarms] == ["board_lost"]


def test_a_session_that_is_over_stands_still(
    qtbot: QtBot, day: Day, finished_session: Path
) -> None:
    day.attach(finished_session)
    qtbot.waitUntil(lambda: day.model.end is not None)
    with qtbot.waitSignal(day.ticked):
        pass
    assert day.model.now_ns == day.model.decisions.rows[-1]["t_ns"]


def test_what_comes_after_the_end_of_the_day_begins_nothing(window: OperatorWindow) -> None:
    window.close()
    begun = []
    window.day.work(lambda: begun.append(1), lambda _, __: None)
    assert not begun


@pytest.mark.parametrize("title", ["Baseline", "Ensembles"])
def test_scores_fit_the_smallest_window_and_what_is_cut_is_told(
    window: OperatorWindow, qtbot: QtBot, title: str
) -> None:
    window.resize(BASE_WIDTH_PX, BASE_HEIGHT_PX)
    window.show_page([page.title for page in window.pages].index(title))
    table = window.page.findChild(ScoreTable)
    assert table is not None
    across, viewport, model = table.horizontalScrollBar(), table.viewport(), table.model()
    assert across is not None
    assert viewport is not None
    assert model is not None
    assert (model.rowCount(), across.maximum()) == (0, 0)
    widest = RoiScore(
        "roi1234", 0, snr=123, event_rate_hz=1.23, drift=-0.45, decay_s=0.45,
        correlation_max=0.98, most_like="roi1235", tuning=-0.12,
    )  # fmt: skip
    correlation = np.ones((1, 1))
    rois = tuple(msgspec.structs.replace(widest, label=f"roi{1000 + i}") for i in range(100))
    scores = Scores(rois, 0, ("roi1234",), correlation, True, 60.0, 15.0)
    table.scores.show_scores(scores, EnsembleChoice(min_snr=200, max_drift=0.1))
    table.resizeColumnsToContents()
    table.scrollToBottom()
    last = model.index(model.rowCount() - 1, 0)
    qtbot.waitUntil(lambda: table.visualRect(last).bottom() <= viewport.height())
    assert across.maximum() == 0
    why = model.index(0, WHY_NOT)
    told = model.data(why, Qt.ItemDataRole.ToolTipRole)
    assert told == model.data(why)
    assert len(told.split(", ")) > 1


def test_what_is_told_of_a_choice_breaks_where_its_panel_ends(
    window: OperatorWindow, qtbot: QtBot
) -> None:
    window.resize(BASE_WIDTH_PX, BASE_HEIGHT_PX)
    window.show_page([page.title for page in window.pages].index("Ensembles"))
    step = window.page
    assert isinstance(step, EnsemblesStep)
    told = "at least twice experiment.calibration.chance_block_s, in /data/mice/sessions/m1.toml"
    step.figures.setText(breakable(told))
    step.note.setText("a line<br>" * 40)
    area = next(one for one in step.findChildren(QScrollArea) if one.isAncestorOf(step.figures))
    viewport, down = area.viewport(), area.verticalScrollBar()
    assert viewport is not None
    assert down is not None
    # where not all of it fits, the bar beside it takes its part of the width
    qtbot.waitUntil(lambda: down.maximum() > 0)
    qtbot.waitUntil(lambda: 0 < step.figures.width() <= viewport.width())
    assert step.figures.minimumSizeHint().width() <= viewport.width()
    assert step.figures.text().replace("\N{ZERO WIDTH SPACE}", "") == told
