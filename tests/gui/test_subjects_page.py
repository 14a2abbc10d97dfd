import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.config import load_session
from bci.gui.day import Day, Phase
from bci.gui.steps.subjects import SubjectsPage
from bci.recording.subject import DayNote, SubjectFolder, now_iso


@pytest.fixture
def root(finished_session: Path, tmp_path: Path) -> Path:
    """A folder of all subjects with one good session of demo and a damaged one of m2."""
    shutil.copytree(finished_session.parent, tmp_path / "demo")
    (tmp_path / "m2" / "20260310T093000").mkdir(parents=True)
    (tmp_path / "m2" / "20260310T093000" / "manifest.json").write_text("{")
    SubjectFolder(tmp_path, "demo").add(DayNote(at=now_iso(), text="<quiet>", weight_g=21.5))
    return tmp_path


@pytest.fixture
def page(qtbot: QtBot, root: Path) -> Iterator[SubjectsPage]:
    day = Day(DEMO, root=root)
    page = SubjectsPage(day)
    qtbot.addWidget(page)
    day.session_changed.connect(page.session_changed)
    page.opened()
    qtbot.waitUntil(lambda: bool(page.histories))
    yield page
    day.close()


def test_days_are_drawn_and_told(page: SubjectsPage) -> None:
    assert page.subject == "demo"
    (session,) = page.histories["demo"].sessions
    assert session.ok
    assert session.trials > 0
    accuracy = page.plot.plots["accuracy"].listDataItems()[-1]
    assert accuracy.yData[0] == pytest.approx(session.accuracy[0])
    weight = page.plot.plots["weight, g"].listDataItems()[0]
    assert weight.yData[0] == 21.5
    told = page.words.toPlainText()
    assert f"{session.trials} trials" in told
    assert "<quiet>" in told


def test_a_damaged_folder_is_shown_as_such(page: SubjectsPage) -> None:
    page.names.setCurrentRow(1)
    assert page.subject == "m2"
    assert "20260310T093000" in page.words.toPlainText()
    assert not page.start.isEnabled()
    page.prepare_next_day()
    assert "no session" in page.said.text()


def test_the_next_day_has_the_settings_of_the_last_one(page: SubjectsPage, root: Path) -> None:
    day = page.day
    # a night may fall between the session and this
    number = 1 if page.histories["demo"].sessions[0].date == date.today().isoformat() else 2
    assert page.start.text() == f"Prepare day {number} of demo"
    page.start.click()
    assert day.phase is Phase.SETTING_UP
    assert day.session_file == root / "demo" / f"day-{number}.toml"
    assert day.session is not None
    assert day.session.experiment.task.trial_s == 2.0
    assert load_session(day.session_file) == day.session
    page.start.click()
    # never over another file
    assert day.session_file == root / "demo" / f"day-{number}-2.toml"
