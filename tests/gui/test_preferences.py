import json
import logging
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO, REPLAY

from bci.gui.day import Day
from bci.gui.pages import make_window
from bci.gui.preferences import (
    BROKEN_SUFFIX,
    FILES_KEPT,
    Preferences,
    read_preferences,
    remember,
    restore,
    write_preferences,
)
from bci.gui.steps.settings import SettingsPage
from bci.gui.window import OperatorWindow


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> OperatorWindow:
    window = make_window(Day(DEMO, root=tmp_path))
    qtbot.addWidget(window)
    return window


def form_of(window: OperatorWindow) -> SettingsPage:
    return next(page for page in window.pages if isinstance(page, SettingsPage))


def test_what_is_remembered_comes_back(window: OperatorWindow, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "window.json"
    before = Preferences((30, 40, 1290, 810), unfolded=("rig", "rig.board", "rig.board.valve"))
    restore(window, before.with_file(REPLAY))
    window.show()
    form = form_of(window).form
    assert form.root.groups["rig"].groups["board"].groups["valve"].head.isChecked()
    menu = form.open_button.menu()
    assert menu is not None
    offered = {action.text(): action for action in menu.actions()}
    offered[str(REPLAY)].trigger()
    assert form.path == REPLAY
    write_preferences(path, remember(window, before.with_file(REPLAY)))
    found = read_preferences(path)
    assert found.geometry == (30, 40, window.width(), window.height())
    assert found.session_files == (str(DEMO), str(REPLAY))
    assert "rig.board.valve" in found.unfolded


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\x00", b'{"geometry": "wide"}', b'{"geometry": [1, 2]}', b"null"],
)
def test_a_broken_file_is_set_aside_and_the_window_starts(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "window.json"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert read_preferences(path) == Preferences()
    assert "window.json" in caplog.text
    assert not path.exists()
    assert path.with_name(path.name + BROKEN_SUFFIX).read_bytes() == content
    write_preferences(path, Preferences(maximized=True))
    assert read_preferences(path).maximized


def test_a_place_that_cannot_be_read_or_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "window.json").mkdir()
    assert read_preferences(tmp_path / "window.json") == Preferences()
    (tmp_path / "file").write_text("")
    write_preferences(tmp_path / "file" / "window.json", Preferences())
    assert "not written" in caplog.text
    assert read_preferences(tmp_path / "nowhere" / "window.json") == Preferences()


@pytest.mark.parametrize("geometry", [(90_000, 90_000, 900, 700), (0, -5000, 900, 700)])
def test_a_window_is_never_put_where_no_screen_is(
    window: OperatorWindow, geometry: tuple[int, int, int, int]
) -> None:
    restore(window, Preferences(geometry))
    assert abs(window.x()) < 5000
    assert abs(window.y()) < 4000


def test_files_are_kept_once_and_not_for_ever(tmp_path: Path) -> None:
    found = Preferences()
    for number in (*range(20), 19):
        found = found.with_file(tmp_path / f"{number}.toml")
    assert len(found.session_files) == FILES_KEPT
    assert found.session_files[0].endswith("19.toml")
    assert len(set(found.session_files)) == FILES_KEPT


def test_later_versions_may_remember_more(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    path.write_text(json.dumps({"maximized": True, "colour": "pink"}))
    assert read_preferences(path).maximized
