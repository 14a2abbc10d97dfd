"""The distribution of s3 in the baseline, with T and lo."""

import numpy as np
import pyqtgraph as pg

from bci.analysis.baseline.calibration import Calibrated
from bci.gui import theme
from bci.gui.views.plots import TimePlot, curve

N_BINS = 80


class DistributionPlot(TimePlot):
    """s3 as bars, its left half mirrored, the normal curve of mu and sigma, T and lo."""

    def __init__(self) -> None:
        super().__init__("density", seconds=True)
        self.bottom.setLabel("s3")
        self.bottom.enableAutoSIPrefix(False)
        # edges of bars are one more than bars, even where there are none
        steps = {"x": [0.0, 0.0], "y": [0.0], "stepMode": "center"}
        filled = {"fillLevel": 0, "brush": pg.mkBrush(theme.LINE)}
        self._bars = curve(self, theme.GREY, 1.0, **steps, **filled)
        self._mirrored = curve(self, theme.TEXT, 1.0, **steps)
        self._normal = curve(self, theme.BLUE, 1.5)
        self._t = _upright(self, theme.THRESHOLD, "T {value:.3g}", 0.9)
        self._lo = _upright(self, theme.P_MINUS, "lo {value:.3g}", 0.75)

    def draw(self, found: Calibrated | None) -> None:
        """Draw a calibration; None: nothing."""
        for item in (self._bars, self._mirrored, self._normal, self._t, self._lo):
            item.setVisible(found is not None)
        if found is None:
            return
        s3, result = found.s3, found.result
        low, high = min(float(s3.min()), result.lo), max(float(s3.max()), result.t)
        margin = 0.04 * (high - low)
        edges = np.linspace(low, high, N_BINS + 1)
        median = float(np.median(s3))
        left = s3[s3 <= median]
        for item, values in (
            (self._bars, s3),
            (self._mirrored, np.concatenate([left, 2 * median - left])),
        ):
            counts, _ = np.histogram(values, edges)
            item.setData(edges, counts / (len(values) * np.diff(edges)))
        x = np.linspace(low, high, 200)
        height = np.exp(-(((x - result.mu) / result.sigma) ** 2) / 2)
        self._normal.setData(x, height / (result.sigma * np.sqrt(2 * np.pi)))
        self._t.setValue(result.t)
        self._lo.setValue(result.lo)
        self.setXRange(low - margin, high + margin, padding=0)


def _upright(plot: TimePlot, colour: str, text: str, height: float) -> pg.InfiniteLine:
    line = pg.InfiniteLine(
        angle=90,
        pen=pg.mkPen(colour, width=2),
        label=text,
        labelOpts={"position": height, "color": colour, "anchors": [(0, 0.5), (1, 0.5)]},
    )
    line.setVisible(False)
    plot.addItem(line)
    return line
