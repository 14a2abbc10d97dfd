"""Where the ROIs of a plane lie, and what they are."""

from collections.abc import Callable, Sequence
from math import ceil, isfinite, sqrt

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QFont

from bci.core.stream_types import Roi
from bci.gui import theme
from bci.gui.choice import MINUS, PLUS
from bci.gui.plane_pictures import PlanePicture
from bci.gui.views.outlines import Outlines

# of spots; the sign within an outline is small
SPOT_PX, CHOSEN_PX, SIGN_PX = 11, 17, 8
NAME_PX = 12
# more ROIs than these are drawn small: they lie on each other
MANY, SMALL_PX = 300, 6
LOOKS = {PLUS: (theme.P_PLUS, "o"), MINUS: (theme.P_MINUS, "s")}
EDGES = (theme.P_PLUS, theme.P_MINUS, theme.DIM, theme.LINE, theme.TEXT)
UNKNOWN = "positions are not told: ROIs in the order of the table"
SPACING_PX = 40.0
# names stay legible on a bright cell
BEHIND_NAMES = (0, 0, 0, 110)
# of an image's values, black to white: single hot pixels do not darken the rest
CONTRAST_PERCENTILES = (1.0, 99.5)


class RoiMap(pg.PlotWidget):  # type: ignore[misc]
    """One plane seen from above; a click on an ROI tells which.

    Signals
    -------
    picked(str)
        Label of the ROI.
    """

    picked = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        item = self.getPlotItem()
        item.hideButtons()
        item.setAspectLocked(True)
        # rows of an image count from the top
        item.invertY(True)
        for side in ("left", "bottom"):
            item.hideAxis(side)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setZValue(-10)
        self.addItem(self._image)
        self.outlines = Outlines(self)
        self._spots = pg.ScatterPlotItem(pxMode=True, hoverable=True, tip=None)
        self._spots.sigClicked.connect(self._clicked)
        self.addItem(self._spots)
        self._texts: list[pg.TextItem] = []
        self._rois: tuple[Roi, ...] = ()
        self._at: NDArray[np.float64] = np.zeros((0, 2))
        self.are_places_known = True

    def show_rois(self, rois: Sequence[Roi]) -> None:
        """Take other ROIs."""
        if tuple(rois) == self._rois:
            return
        self._rois = tuple(rois)
        self._at, self.are_places_known = places_of(rois)
        self.getPlotItem().setTitle(None if self.are_places_known else UNKNOWN, color=theme.DIM)
        self.show_picture(PlanePicture())

    def show_picture(self, picture: PlanePicture) -> None:
        """Lay an image below the ROIs and outlines round them, as far as there are any."""
        image = picture.image
        known = picture.outlines if len(picture.outlines) == len(self._rois) else ()
        self.outlines.show(known)
        if image is not None:
            rows, columns = image.shape
            levels = np.nanpercentile(image, CONTRAST_PERCENTILES)
            self._image.setImage(image, levels=(levels[0], max(levels[1], levels[0] + 1e-9)))
            self._image.setRect(-0.5, -0.5, columns, rows)
            self.setRange(xRange=(0, columns), yRange=(0, rows), padding=0.02)
            return
        self._image.clear()
        if len(self._at):
            low, high = self._at.min(axis=0) - SPACING_PX, self._at.max(axis=0) + SPACING_PX
            self.setRange(xRange=(low[0], high[0]), yRange=(low[1], high[1]), padding=0.02)

    def draw(
        self,
        side_of: Callable[[str], str],
        *,
        names: bool = False,
        dim: Callable[[str], bool] = lambda _: False,
        current: str = "",
    ) -> None:
        """Draw every ROI by its side: its outline where it is known, else a spot.

        Parameters
        ----------
        side_of
            P+, P− or nothing, of a label.
        names
            Whether all are named, not the chosen alone.
        dim
            True for ROIs that cannot be chosen.
        current
            Label of the one that is marked.
        """
        spots, named, edges = [], [], []
        # one object a look: each other one is painted anew, thousands of ROIs or not
        pens = {colour: pg.mkPen(colour, width=2) for colour in EDGES}
        brushes = {colour: pg.mkBrush(colour) for colour, _ in LOOKS.values()}
        scale = theme.shown_scale(self)
        spot_px = scale * (SPOT_PX if len(self._rois) <= MANY else SMALL_PX)
        chosen_px = scale * (SIGN_PX if self.outlines.are_known else CHOSEN_PX)
        for roi, at in zip(self._rois, self._at, strict=True):
            side = side_of(roi.label)
            colour, symbol = LOOKS.get(side, (theme.DIM, "o"))
            hollow = not side
            edge = theme.TEXT if roi.label == current else colour
            faint = theme.LINE if dim(roi.label) and roi.label != current else edge
            edges.append(faint)
            is_told_by_outline = self.outlines.are_known and hollow and roi.label != current
            spots.append(
                {
                    "pos": at,
                    "size": chosen_px if side or roi.label == current else spot_px,
                    "symbol": symbol,
                    "brush": None if hollow else brushes[colour],
                    # a spot that is not seen can still be clicked
                    "pen": None if is_told_by_outline else pens[faint],
                    "data": roi.label,
                }
            )
            if names or side or roi.label == current:
                named.append((at, roi.label, colour if side else theme.TEXT))
        # the chosen lie on top of the others
        spots.sort(key=lambda spot: spot["size"])
        self._spots.setData(spots)
        self.outlines.draw(edges)
        self._name(named)

    def spots(self) -> dict[str, str]:
        """Symbol of each ROI that is drawn; for tests."""
        return {point.data(): point.symbol() for point in self._spots.points()}

    def _name(self, named: Sequence[tuple[NDArray[np.float64], str, str]]) -> None:
        while len(self._texts) > len(named):
            self.removeItem(self._texts.pop())
        while len(self._texts) < len(named):
            text = pg.TextItem(anchor=(0.5, 1.3), fill=BEHIND_NAMES)
            self.addItem(text)
            self._texts.append(text)
        font = QFont(self.font())
        font.setPixelSize(round(NAME_PX * theme.shown_scale(self)))
        for text, (at, label, colour) in zip(self._texts, named, strict=True):
            text.setFont(font)
            text.setText(label, color=colour)
            text.setPos(*at)

    def _clicked(self, _: object, points: Sequence[pg.SpotItem]) -> None:
        if len(points):
            self.picked.emit(str(points[0].data()))


def places_of(rois: Sequence[Roi]) -> tuple[NDArray[np.float64], bool]:
    """X and y of every ROI, shape (n, 2), and whether the stream told them.

    Where it did not tell all, they are laid out in rows.
    """
    known = bool(rois) and all(isfinite(roi.x_px) and isfinite(roi.y_px) for roi in rois)
    if known:
        return np.array([(roi.x_px, roi.y_px) for roi in rois]), True
    columns = max(1, ceil(sqrt(1.5 * len(rois))))
    at = [(i % columns * SPACING_PX, i // columns * SPACING_PX) for i in range(len(rois))]
    return np.array(at, dtype=np.float64).reshape(len(rois), 2), not rois
