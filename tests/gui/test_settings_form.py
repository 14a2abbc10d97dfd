from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QComboBox, QLineEdit, QPlainTextEdit, QScrollArea
from pytestqt.qtbot import QtBot

from bci.config import SettingsError, load_session
from bci.config.draft import Draft
from bci.gui.settings.form import SettingsForm
from bci.gui.settings.group import Group
from bci.gui.settings.locks import Use
from bci.gui.settings.row import SettingRow
from bci.session.run import all_faults

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*.toml"))


class Threads(QObject):
    """Work in a thread, answers in this one, as the window's day does it."""

    done = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(1)
        self.done.connect(lambda call: call())

    def work(self, function: Callable[[], Any], then: Callable[[Any, Any], None]) -> None:
        future = self.pool.submit(function)
        future.add_done_callback(
            lambda done: self.done.emit(lambda: then(done.result(), done.exception()))
        )


@pytest.fixture
def form(qtbot: QtBot) -> Iterator[SettingsForm]:
    threads = Threads()
    made = SettingsForm(threads.work, all_faults)
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    yield made
    # what is answered after the test finds no form
    threads.done.disconnect()
    threads.pool.shutdown()


def opened(qtbot: QtBot, form: SettingsForm, path: Path) -> None:
    form.open(path)
    qtbot.waitUntil(lambda: form.settled)


def row(form: SettingsForm, key: str) -> SettingRow:
    form.go_to(key)
    found = form.root.row_of(key)
    assert found is not None
    return found


def unfold_all(group: Group) -> None:
    group.head.setChecked(True)
    for inner in group.groups.values():
        unfold_all(inner)


def type_in(form: SettingsForm, key: str, text: str) -> SettingRow:
    found = row(form, key)
    line = found.editor.findChild(QLineEdit)
    assert line is not None
    line.selectAll()
    QTest.keyClick(line, Qt.Key.Key_Delete)
    QTest.keyClicks(line, text)
    return found


def test_every_configuration_is_shown_and_saved_unchanged(
    qtbot: QtBot, form: SettingsForm, tmp_path: Path
) -> None:
    for path in FILES:
        opened(qtbot, form, path)
        for group in (form.root, *form.root.findChildren(type(form.root))):
            group.head.setChecked(True)
        assert not form.draft.changed
        form.save(tmp_path / path.name)
        # a recording that is not there is a fault of this computer, not of the file
        assert load_session(tmp_path / path.name) == load_session(path)
        assert (form.session is None) == bool(all_faults(load_session(path)))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("experiment.task.trial_s", "ten"),
        ("experiment.task.trial_s", "0"),
        ("experiment.task.reward_delay_s", "9"),
        ("rig.source.n_planes", "2.5"),
        ("subject", "my mouse"),
        ("experiment.stimulus.position_deg", "1.0"),
        ("rig.board.valve.calibrated_on", "yesterday"),
    ],
)
def test_a_wrong_value_is_told_at_its_setting_as_on_the_command_line(
    qtbot: QtBot, form: SettingsForm, tmp_path: Path, key: str, text: str
) -> None:
    opened(qtbot, form, CONFIGS / "demo.toml")
    typed = type_in(form, key, text)
    qtbot.waitUntil(lambda: form.settled)
    form.save(tmp_path / "wrong.toml")
    with pytest.raises(SettingsError) as told:
        load_session(tmp_path / "wrong.toml", outside=all_faults)
    assert [str(fault) for fault in form.faults] == [str(fault) for fault in told.value.faults]
    shown = [str(fault) for fault in told.value.faults if fault.key == key]
    assert shown
    assert all(line in typed.fault.text() for line in shown)
    assert typed.fault.isVisibleTo(form)
    assert form.session is None
    form.undo()
    qtbot.waitUntil(lambda: form.settled)
    assert not form.faults
    assert form.session == load_session(CONFIGS / "demo.toml")


def test_all_faults_of_a_file_are_shown_at_once(
    qtbot: QtBot, form: SettingsForm, tmp_path: Path
) -> None:
    draft = Draft.read(CONFIGS / "demo.toml")[0]
    draft.put("experiment.task.trial_s", -1)
    draft.put("experiment.decoder.p_minus", ["roi0001", "nobody"])
    draft.put("rig.board.kind", "serial")
    draft.put("rig.screen.colour", "red")
    draft.save(tmp_path / "wrong.toml")
    opened(qtbot, form, tmp_path / "wrong.toml")
    keys = {fault.key for fault in form.faults}
    assert {"experiment.task.trial_s", "rig.board.port", "rig.screen.colour"} < keys
    assert "experiment.decoder.p_minus" in keys
    assert row(form, "rig.board.port").fault.isVisibleTo(form)
    assert "rig.screen.colour" in form.summary.text()


def test_difference_from_the_default_is_marked_and_can_be_taken_back(
    qtbot: QtBot, form: SettingsForm
) -> None:
    opened(qtbot, form, CONFIGS / "demo.toml")
    reward = row(form, "experiment.task.reward_ul")
    assert not reward.differs
    type_in(form, "experiment.task.reward_ul", "2.5")
    assert reward.differs
    assert reward.back.isVisibleTo(form)
    reward.back.click()
    assert not reward.differs
    assert form.draft.get("experiment.task.reward_ul") is None
    # the last change alone: typing is one step, taking back another
    form.undo()
    assert form.draft.get("experiment.task.reward_ul") == 2.5


def test_kind_of_source_optional_tables_and_lists(qtbot: QtBot, form: SettingsForm) -> None:
    opened(qtbot, form, CONFIGS / "demo.toml")
    source = form.root.groups["rig"].groups["source"]
    source.head.setChecked(True)
    source.kind.setCurrentText("tcp")
    source.kind.activated.emit(source.kind.currentIndex())
    assert {"labels", "port"} <= set(source.rows)
    # what both kinds know stays
    assert form.draft.get("rig.source.n_rois") == 40
    assert form.draft.get("rig.source.seed") is None
    experiment = form.root.groups["experiment"]
    experiment.groups["baseline"].used.click()
    experiment.groups["threshold"].used.click()
    qtbot.waitUntil(lambda: form.settled)
    assert {"experiment.threshold.t", "experiment.threshold.lo"} <= {f.key for f in form.faults}
    lines = row(form, "experiment.decoder.p_plus").editor.findChild(QPlainTextEdit)
    assert lines is not None
    lines.setPlainText("roi0000\nroi0002")
    assert form.draft.get("experiment.decoder.p_plus") == ["roi0000", "roi0002"]
    box = row(form, "experiment.decoder.signal").editor.findChild(QComboBox)
    assert box is not None
    box.activated.emit(box.findText("raw"))
    assert form.draft.get("experiment.decoder.signal") == "raw"


def test_a_kind_that_is_not_written_is_told_as_the_one_that_holds(
    qtbot: QtBot, form: SettingsForm
) -> None:
    opened(qtbot, form, CONFIGS / "demo.toml")
    session_type = form.root.groups["experiment"].groups["session_type"]
    assert session_type.kind.currentText() == ""
    assert session_type.kind.placeholderText() == "closed_loop"


def test_nothing_is_cut_at_the_side_however_much_is_unfolded(
    qtbot: QtBot, form: SettingsForm
) -> None:
    opened(qtbot, form, CONFIGS / "light.toml")
    unfold_all(form.root)
    scroll = form.findChild(QScrollArea)
    assert scroll is not None
    across, down = scroll.horizontalScrollBar(), scroll.verticalScrollBar()
    assert across is not None
    assert down is not None
    # once the rows have their places
    qtbot.waitUntil(lambda: down.maximum() > 2 * form.height())
    assert across.maximum() == 0


def test_nothing_changes_while_a_session_runs(qtbot: QtBot, form: SettingsForm) -> None:
    opened(qtbot, form, CONFIGS / "demo.toml")
    form.set_use(Use.RUNNING)
    locked = type_in(form, "experiment.task.trial_s", "3")
    assert not locked.editor.isEnabled()
    assert "session runs" in locked.editor.toolTip()
    assert form.banner.isVisibleTo(form)
    form.root.groups["experiment"].groups["baseline"].used.click()
    assert not form.draft.changed
    form.set_use(Use.NEXT)
    type_in(form, "experiment.task.trial_s", "3")
    assert form.draft.get("experiment.task.trial_s") == 3


def test_a_setting_is_found_by_a_word_of_its_help(qtbot: QtBot, form: SettingsForm) -> None:
    opened(qtbot, form, CONFIGS / "demo.toml")
    form.find_line.setText("from the hit to the reward")
    visible = [each.setting.key for each in form.findChildren(SettingRow) if each.isVisibleTo(form)]
    assert visible == ["experiment.task.reward_delay_s"]
    form.find_line.clear()
    form.changed_only.click()
    keys = {each.setting.key for each in form.findChildren(SettingRow) if each.isVisibleTo(form)}
    assert "experiment.task.trial_s" in keys
    assert "experiment.task.reward_ul" not in keys


def test_a_file_that_is_none_is_told_and_what_stood_there_stays(
    qtbot: QtBot, form: SettingsForm, tmp_path: Path
) -> None:
    opened(qtbot, form, CONFIGS / "demo.toml")
    (tmp_path / "broken.toml").write_text("rig = [")
    form.open(tmp_path / "broken.toml")
    assert "broken.toml" in form.summary.text()
    assert form.path == CONFIGS / "demo.toml"
