"""The read-out of the last minute is in the unit of its signal."""

import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.config import Override, load_session
from bci.gui.model import SessionModel
from bci.gui.views.cursor_plot import CursorPlot


@pytest.mark.parametrize(("signal", "unit"), [("dff", "dF/F"), ("raw", "counts")])
def test_axis_names_the_unit_of_the_signal(qtbot: QtBot, signal: str, unit: str) -> None:
    plot = CursorPlot()
    qtbot.addWidget(plot)
    plot.draw(SessionModel(load_session(DEMO, [Override("experiment.decoder.signal", signal)])))
    assert plot.left.labelText == f"s3  {unit}"
