"""What all ROIs do: nothing of a session that is no longer shown stays behind."""

from pathlib import Path

import pyqtgraph as pg
from pytestqt.qtbot import QtBot

from bci.gui.model import SessionModel
from bci.gui.replay.player import Player
from bci.gui.views.heat_map import EnsembleTraces, HeatMap, RoiActivity


def shown(plot: pg.PlotWidget) -> list[object]:
    drawn = (pg.InfiniteLine, pg.PlotCurveItem, pg.TextItem, pg.ImageItem)
    items = [item for item in plot.getPlotItem().items if isinstance(item, drawn)]
    return [item for item in items if item.isVisible() and getattr(item, "image", item) is not None]


def test_without_a_session_nothing_is_drawn_and_with_one_its_own_rows(
    qtbot: QtBot, finished_session: Path
) -> None:
    heat_map, traces, activity = HeatMap(), EnsembleTraces(), RoiActivity()
    qtbot.addWidget(heat_map)
    qtbot.addWidget(traces)

    def draw(model: SessionModel) -> None:
        activity.update(model)
        heat_map.draw(model, activity)
        traces.draw(model, activity)

    player = Player(finished_session)
    player.index.read()
    player.go_to(player.length_s)
    nothing = SessionModel(None)
    for _ in range(2):
        draw(nothing)
        assert not shown(heat_map)
        assert not shown(traces)
        assert not heat_map.left.style["showValues"]
        draw(player.model)
        assert len(shown(heat_map)) == 2
        assert len(shown(traces)) == 4
        assert heat_map.getPlotItem().getViewBox().viewRange()[1] == [0, 40]
    player.close()
