import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event

import pytest
from PyQt6.QtCore import QLocale, Qt, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot
from waiting import WAIT_S

from bci.gui.background import N_THREADS
from bci.gui.day import Day, Phase
from bci.gui.steps.end import EndStep
from bci.gui.theme import Light
from bci.recording.manifest import finish_manifest, read_manifest
from bci.recording.subject import DayNote, SubjectFolder


@pytest.fixture
def folder(finished_session: Path, tmp_path: Path) -> Path:
    """A copy of the session that may be written beside."""
    copied = tmp_path / "demo" / finished_session.name
    shutil.copytree(finished_session, copied)
    return copied


@pytest.fixture
def step(qtbot: QtBot, folder: Path) -> Iterator[EndStep]:
    day = Day(root=folder.parent.parent)
    step = EndStep(day)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    step.show()
    yield step
    day.close()


def test_before_the_end_nothing_can_be_written_down(step: EndStep) -> None:
    assert step.status().light is Light.IDLE
    assert not step.save_button.isEnabled()
    step.write_down()
    assert not step.noted


def test_outcome_figures_and_files_are_those_of_the_session(step: EndStep, folder: Path) -> None:
    step.day.attach(folder)
    assert step.day.phase is Phase.ENDED
    outcome = read_manifest(folder).outcome
    assert outcome["reason"] in step.head.text()
    assert f"<b>{outcome['summary']['trials']}</b>" in step.figures.text()
    for name in ("journal.mcap", "session.nwb", "report.html"):
        assert str(folder / name) in step.files.text()
    assert step.status().light is Light.WARN


def test_files_open_where_the_session_lies_now(
    step: EndStep, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    step.day.attach(folder)
    step.report_button.click()
    step.folder_button.click()
    assert [Path(url.toLocalFile()) for url in opened] == [folder / "report.html", folder]


def test_weight_and_notes_go_to_the_subject(qtbot: QtBot, step: EndStep, folder: Path) -> None:
    step.day.attach(folder)
    QTest.keyClicks(step.weight, "21.5")
    step.notes.setPlainText("drank well <3")
    QTest.keyClick(step.weight, Qt.Key.Key_Return)
    assert not step.save_button.isEnabled()
    qtbot.waitUntil(step.save_button.isEnabled)
    (note,) = SubjectFolder(folder.parent.parent, "demo").notes()
    assert (note.weight_g, note.text) == (21.5, "drank well <3")
    assert step.weight.text() == ""
    # the day of the note is that of the session where the test does not run at midnight
    if note.at[:10] == read_manifest(folder).started[:10]:
        qtbot.waitUntil(lambda: "21.5 g" in step.written.text())
        step.day.attach(folder)
        assert step.status().light is Light.WARN
        qtbot.waitUntil(lambda: step.status().light is Light.OK)


@pytest.mark.parametrize("typed", ["21.5", "21,5"])
@pytest.mark.parametrize("country", ["C", "de_DE", "ar_EG"])
def test_a_weight_is_the_same_in_every_country(
    qtbot: QtBot, day: Day, folder: Path, country: str, typed: str
) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale(country))
    try:
        step = EndStep(day)
    finally:
        QLocale.setDefault(before)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    day.attach(folder)
    QTest.keyClicks(step.weight, typed)
    QTest.keyClick(step.weight, Qt.Key.Key_Return)
    qtbot.waitUntil(step.save_button.isEnabled)
    (note,) = SubjectFolder(folder.parent.parent, "demo").notes()
    assert note.weight_g == 21.5


def test_notes_that_were_read_before_one_was_written_do_not_hide_it(
    qtbot: QtBot, step: EndStep, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, released = SubjectFolder.notes, Event()
    readings: list[int] = []

    def first_one_late(subject: SubjectFolder) -> list[DayNote]:
        readings.append(len(readings))
        is_first, found = len(readings) == 1, read(subject)
        assert not is_first or released.wait(WAIT_S)
        return found

    monkeypatch.setattr(SubjectFolder, "notes", first_one_late)
    step.day.attach(folder)
    qtbot.waitUntil(lambda: bool(readings))
    step.notes.setPlainText("drank well")
    step.write_down()
    qtbot.waitUntil(lambda: bool(step.noted))
    released.set()
    # one in each thread: whatever was begun before them has ended then
    together, over = Barrier(N_THREADS), []
    for _ in range(N_THREADS):
        step.day.work(together.wait, lambda result, _: over.append(result))
    qtbot.waitUntil(lambda: len(over) == N_THREADS)
    assert [note.text for note in step.noted] == ["drank well"]


def test_a_failure_is_told_in_its_own_words(step: EndStep, folder: Path) -> None:
    finish_manifest(folder, {"ok": False, "reason": "control died <exit code 1>"})
    step.day.attach(folder)
    assert step.status().light is Light.FAIL
    assert "control died &lt;exit code 1&gt;" in step.head.text()
    assert "no figures" in step.figures.text()
