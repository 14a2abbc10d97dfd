"""Activity of all ROIs over the last minute, thousands of them in one image."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from bci.gui import theme
from bci.gui.model import SHOWN_S, SessionModel
from bci.gui.rings import FluorescenceRing
from bci.gui.views.dff_image import DffImage
from bci.gui.views.plots import TimePlot, curve

LUT = pg.colormap.get("inferno").getLookupTable(nPts=256)
TRACE_DFF = 1.0
"""Distance of two traces, dF/F."""


class RoiActivity:
    """Which ROIs stand where: P+ above, P− below it, then all others in table order."""

    def __init__(self) -> None:
        self._ring: FluorescenceRing | None = None
        self._labels: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self.image: DffImage | None = None
        self.n_plus = self.n_minus = 0

    def update(self, model: SessionModel) -> None:
        """Take in what is new; begin again with another stream or other ensembles."""
        ring, info = model.fluorescence, model.info
        if ring is None or info is None:
            self.image = self._ring = None
            return
        labels = model.ensembles
        if ring is not self._ring or labels != self._labels:
            self._ring, self._labels = ring, labels
            plus, minus = model.places(labels[0]), model.places(labels[1])
            rest = np.setdiff1d(np.arange(len(info.rois)), np.concatenate([plus, minus]))
            self.n_plus, self.n_minus = len(plus), len(minus)
            self.image = DffImage(ring, info, np.concatenate([plus, minus, rest]).astype(np.intp))
        assert self.image is not None
        self.image.update()


class HeatMap(TimePlot):
    """One image, one row a ROI."""

    def __init__(self) -> None:
        super().__init__("ROIs")
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setLookupTable(LUT)
        self.addItem(self._image)
        pen = pg.mkPen(theme.TEXT, width=1)
        self._line = pg.InfiniteLine(angle=0, pen=pen)
        self.addItem(self._line)
        self.getPlotItem().getViewBox().invertY(True)
        self._n_rows = 0
        self._tell_rows(0)

    def draw(self, model: SessionModel, activity: RoiActivity) -> None:
        """Draw the minute up to `model.now_ns`."""
        image, ring = activity.image, model.fluorescence
        if image is None or ring is None or ring.total == 0:
            self._image.clear()
            self._tell_rows(0)
            return
        self._tell_rows(image.n_rows)
        self._line.setValue(activity.n_plus + activity.n_minus)
        self._image.setImage(image.image(), autoLevels=False, levels=(0, 255))
        order = ring.order()
        first_s = (int(ring.t_ns[order[0]]) - model.now_ns) * 1e-9
        last_s = (int(ring.t_ns[order[-1]]) - model.now_ns) * 1e-9
        width_s = (last_s - first_s) * len(order) / max(1, len(order) - 1) or 0.1
        self._image.setRect(pg.QtCore.QRectF(first_s, 0, width_s, image.n_rows))

    def _tell_rows(self, n_rows: int) -> None:
        """Let the axis have so many rows; none: no numbers, and no line below P+ and P−."""
        self._line.setVisible(n_rows > 0)
        if n_rows != self._n_rows or not n_rows:
            self._n_rows = n_rows
            self.left.setStyle(showValues=n_rows > 0)
            self.setYRange(0, max(1, n_rows), padding=0)


class EnsembleTraces(TimePlot):
    """dF/F of the neurons of P+ and P−, below each other."""

    def __init__(self) -> None:
        super().__init__("dF/F")
        self._plus = curve(self, theme.P_PLUS, 1.2, connect="finite")
        self._minus = curve(self, theme.P_MINUS, 1.2, connect="finite")
        self._names = [pg.TextItem("P+", theme.P_PLUS, anchor=(0, 0.5), fill=theme.PANEL)]
        self._names.append(pg.TextItem("P−", theme.P_MINUS, anchor=(0, 0.5), fill=theme.PANEL))
        for name in self._names:
            self.addItem(name, ignoreBounds=True)
        self.left.setStyle(showValues=False)
        self._shape = (0, 0)

    def draw(self, model: SessionModel, activity: RoiActivity) -> None:
        """Draw the minute up to `model.now_ns`."""
        image, ring = activity.image, model.fluorescence
        n_plus, n_minus = activity.n_plus, activity.n_minus
        there = image is not None and ring is not None and ring.total > 0
        for item in (self._plus, self._minus, *self._names):
            item.setVisible(there)
        if image is None or ring is None or not there:
            return
        if (n_plus, n_minus) != self._shape:
            self._shape = (n_plus, n_minus)
            self.setYRange(-TRACE_DFF * (n_plus + n_minus) + 0.3, TRACE_DFF * 1.5, padding=0)
            middles = (-(n_plus - 1) / 2, -n_plus - (n_minus - 1) / 2)
            for name, middle in zip(self._names, middles, strict=True):
                name.setPos(-SHOWN_S * 0.995, TRACE_DFF * middle)
        seconds = (ring.t_ns[ring.order()] - model.now_ns) * 1e-9
        rows = np.arange(n_plus + n_minus)
        traces = image.dff(rows) - TRACE_DFF * rows[:, None]
        self._plus.setData(*_joined(seconds, traces[:n_plus]))
        self._minus.setData(*_joined(seconds, traces[n_plus:]))


def _joined(
    seconds: NDArray[np.floating[Any]], traces: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Traces after one another as one curve, with a gap between two."""
    n = len(traces)
    x = np.tile(np.append(seconds, np.nan), n)
    y = np.concatenate([traces, np.full((n, 1), np.nan)], axis=1).reshape(-1)
    return x.astype(np.float64), y.astype(np.float64)
