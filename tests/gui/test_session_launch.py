"""A session that the window started is seen to its end, also once another one is set up."""

from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.gui.day import Day, Phase


def test_a_session_that_is_left_is_seen_to_its_end(qtbot: QtBot, day: Day) -> None:
    day.load(DEMO)
    day.start_session(["--no-such-option"])
    launch = day.launch
    assert launch is not None
    qtbot.waitUntil(lambda: day.phase is Phase.SETTING_UP)
    assert day.failure
    day.new_session()
    assert (day.launch, day.ending) == (None, [launch])
    qtbot.waitUntil(lambda: not day.ending)
    assert launch.exit_code() == 2
    assert not launch._place.exists()
