"""Plots of the last minute: how they look, and their common axis of time."""

import os

os.environ.setdefault("PYQTGRAPH_QT_LIB", "PyQt6")

from typing import Any

import pyqtgraph as pg
from PyQt6.QtGui import QFont

from bci.gui import theme
from bci.gui.model import SHOWN_S

pg.setConfigOptions(antialias=False, background=theme.PANEL, foreground=theme.DIM)


class TimePlot(pg.PlotWidget):  # type: ignore[misc]
    """A plot whose right edge is now; nobody scrolls it by accident.

    Parameters
    ----------
    label
        Of the vertical axis.
    seconds
        Whether the axis of time is told.
    """

    def __init__(self, label: str, *, seconds: bool = False) -> None:
        super().__init__(enableMenu=False)
        item = self.getPlotItem()
        item.hideButtons()
        item.setMouseEnabled(False, False)
        item.setContentsMargins(0, 6, 6, 4)
        self.left, self.bottom = item.getAxis("left"), item.getAxis("bottom")
        self.left.setLabel(label)
        self.left.enableAutoSIPrefix(False)
        self.bottom.setStyle(showValues=seconds)
        self.setXRange(-SHOWN_S, 0, padding=0)

    def scale_text(self, pixels: int, left_px: int) -> None:
        """Write everything so large, with so much room left of the plot."""
        self.left.setWidth(left_px)
        font = QFont(self.font())
        font.setPixelSize(pixels)
        for axis in (self.left, self.bottom):
            axis.setStyle(tickFont=font)
            axis.label.setFont(font)
        for item in self.getPlotItem().items:
            text = item if isinstance(item, pg.TextItem) else getattr(item, "label", None)
            if isinstance(text, pg.TextItem):
                text.setFont(font)


def curve(plot: TimePlot, colour: str, width: float = 1.0, **how: Any) -> Any:
    """A curve of the plot, without points."""
    item = pg.PlotCurveItem(pen=pg.mkPen(colour, width=width), skipFiniteCheck=False, **how)
    plot.addItem(item)
    return item


def level(plot: TimePlot, colour: str, text: str) -> Any:
    """A horizontal line with a name; NaN hides it."""
    line = pg.InfiniteLine(
        angle=0,
        pen=pg.mkPen(colour, width=1.5, style=pg.QtCore.Qt.PenStyle.DashLine),
        label=text,
        labelOpts={
            "position": 0.02,
            "color": colour,
            "fill": theme.PANEL,
            "anchors": [(0, 1), (0, 1)],
        },
    )
    line.setVisible(False)
    plot.addItem(line)
    return line


def place(line: Any, value: float) -> None:
    """Move a level; NaN hides it."""
    line.setVisible(value == value)
    if value == value and line.value() != value:
        line.setValue(value)
