"""Outlines of thousands of ROIs: one curve a colour."""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from bci.gui import theme


class Outlines:
    """Draws the outlines of ROIs into a plot.

    Parameters
    ----------
    plot
        Below its spots, above its image.
    """

    def __init__(self, plot: pg.PlotWidget) -> None:
        self._plot = plot
        self._of_rois: tuple[NDArray[np.float32], ...] = ()
        self._colours: tuple[str, ...] = ()
        self._curves: dict[str, pg.PlotCurveItem] = {}

    @property
    def are_known(self) -> bool:
        """Whether there are any."""
        return bool(self._of_rois)

    def show(self, of_rois: Sequence[NDArray[np.float32]]) -> None:
        """Take other ROIs: x, y of the ends of lines, two points a line, of each."""
        self._of_rois, self._colours = tuple(of_rois), ()
        if not of_rois:
            self.draw(())

    def draw(self, colours: Sequence[str]) -> None:
        """Draw each ROI in its colour; nothing is done where none has changed."""
        if tuple(colours) == self._colours and self._curves:
            return
        self._colours = tuple(colours)
        of_colour: dict[str, list[NDArray[np.float32]]] = {}
        for colour, lines in zip(colours, self._of_rois, strict=False):
            of_colour.setdefault(colour, []).append(lines)
        for colour in self._curves.keys() - of_colour.keys():
            self._plot.removeItem(self._curves.pop(colour))
        for colour, several in of_colour.items():
            if colour not in self._curves:
                width = 1 if colour in (theme.DIM, theme.LINE) else 2
                curve = pg.PlotCurveItem(pen=pg.mkPen(colour, width=width), connect="pairs")
                curve.setZValue(-5)
                self._plot.addItem(curve)
                self._curves[colour] = curve
            x, y = np.concatenate(several).T
            self._curves[colour].setData(x, y)

    def lines(self) -> dict[str, int]:
        """Number of lines in each colour; for tests."""
        return {colour: len(curve.getData()[0]) // 2 for colour, curve in self._curves.items()}
