"""s3 against lo and T, over bands that tell the state of the task."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from bci.config.session import Session
from bci.core.decoding.registry import s_unit
from bci.core.loop_types import Outcome, TaskState
from bci.gui import theme
from bci.gui.model import SHOWN_S, SessionModel
from bci.gui.views.plots import TimePlot, curve, level, place

POINTS = 1200
"""Of the curve, at most: more than there are pixels are not seen."""
BAND_COLUMNS = 600
BAND_ROWS = 4
"""Qt does not draw an image of one row stretched so far."""
BAND_ALPHA = 70
BANDS = {
    TaskState.BASELINE: theme.PURPLE,
    TaskState.RUN: theme.BLUE,
    TaskState.HIT: theme.GREEN,
    TaskState.MISS: theme.ORANGE,
    TaskState.PAUSED: theme.YELLOW,
}


class CursorPlot(TimePlot):
    """The read-out of the last minute."""

    def __init__(self) -> None:
        super().__init__("s3")
        self._bands = pg.ImageItem(_empty_bands())
        self._bands.setZValue(-10)
        self.addItem(self._bands)
        self._curve = curve(self, theme.CURSOR, 1.5, connect="finite")
        self._t = level(self, theme.THRESHOLD, "T {value:.3g}")
        self._lo = level(self, theme.DIM, "lo {value:.3g}")
        self._hits = pg.ScatterPlotItem(
            symbol="t", size=12, pen=None, brush=pg.mkBrush(theme.GREEN), pxMode=True
        )
        self.addItem(self._hits)
        self._colours = _band_colours()
        self._range = (0.0, 0.0)
        self._of: Session | None = None

    def draw(self, model: SessionModel) -> None:
        """Draw the minute up to `model.now_ns`."""
        if model.session is not self._of and model.session is not None:
            self._of = model.session
            self.left.setLabel(f"s3  {s_unit(self._of.experiment.decoder)}")
        rows = model.decisions.since(model.now_ns - round(SHOWN_S * 1e9))
        seconds = (rows["t_ns"] - model.now_ns) * 1e-9
        s3 = rows["s3"].astype(np.float64)
        self._set_range(s3, model.t, model.lo)
        low, high = self._range
        self._curve.setData(*thinned(seconds, s3))
        place(self._t, model.t)
        place(self._lo, model.lo)
        self._draw_bands(seconds, rows["state"], low, high)
        hits = [
            (t_ns - model.now_ns) * 1e-9
            for t_ns, trial in model.trials[-40:]
            if trial.outcome is Outcome.HIT
        ]
        self._hits.setData(hits, [high - 0.06 * (high - low)] * len(hits))

    def _set_range(self, s3: NDArray[np.float64], t: float, lo: float) -> None:
        known = [value for value in (t, lo) if value == value]
        finite = s3[np.isfinite(s3)]
        if len(finite):
            known += [float(finite.min()), float(finite.max())]
        if not known:
            known = [0.0, 1.0]
        margin = 0.08 * (max(known) - min(known)) or 0.1
        wanted = (min(known) - margin, max(known) + 2 * margin)
        low, high = self._range
        room = high - low
        # the axis rests while everything fits and is not small in it
        fits = low <= wanted[0] + margin and high >= wanted[1] - margin
        if not fits or room > 1.6 * (wanted[1] - wanted[0]):
            self._range = wanted
            self.setYRange(*wanted, padding=0)

    def _draw_bands(
        self, seconds: NDArray[np.float64], states: NDArray[np.uint8], low: float, high: float
    ) -> None:
        centres = (np.arange(BAND_COLUMNS) + 0.5) * (SHOWN_S / BAND_COLUMNS) - SHOWN_S
        image = _empty_bands()
        if len(seconds):
            places = np.searchsorted(seconds, centres, side="right") - 1
            known = places >= 0
            image[known] = self._colours[states[places[known]]][:, None]
        self._bands.setImage(image, autoLevels=False, levels=None)
        self._bands.setRect(pg.QtCore.QRectF(-SHOWN_S, low, SHOWN_S, high - low))


def thinned(
    x: NDArray[np.float64], y: NDArray[np.float64], points: int = POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most so many points, the smallest and the largest of each stretch among them."""
    stride = 2 * -(-len(y) // points)
    if len(y) <= points:
        return x, y
    whole = len(y) // stride * stride
    blocks = y[:whole].reshape(-1, stride)
    extremes = np.stack([blocks.min(axis=1), blocks.max(axis=1)], axis=1).reshape(-1)
    times = x[:whole].reshape(-1, stride)[:, [0, stride // 2]].reshape(-1)
    return np.append(times, x[whole:]), np.append(extremes, y[whole:])


def _empty_bands() -> NDArray[np.uint8]:
    return np.zeros((BAND_COLUMNS, BAND_ROWS, 4), np.uint8)


def _band_colours() -> NDArray[np.uint8]:
    """Red, green, blue, alpha of each state, shape (256, 4)."""
    table = np.zeros((256, 4), np.uint8)
    for state, colour in BANDS.items():
        table[state] = (*pg.mkColor(colour).getRgb()[:3], BAND_ALPHA)
    return table
