"""Licks, drops and the wheel over the last minute."""

import numpy as np
import pyqtgraph as pg

from bci.gui import theme
from bci.gui.model import SHOWN_S, SessionModel
from bci.gui.views.plots import TimePlot, curve

LICK_LOW, LICK_HIGH = 1.1, 1.5
DROP = 2.1
WHEEL_S = 0.25
"""Stretch over which speed is told."""


class TickPlot(TimePlot):
    """Ticks for licks, drops above them, the wheel's speed below, scaled to what it did."""

    def __init__(self) -> None:
        super().__init__("", seconds=True)
        self._licks = curve(self, theme.PURPLE, 1.2, connect="pairs")
        self._wheel = curve(self, theme.GREEN, 1.0)
        self._drops = pg.ScatterPlotItem(
            symbol="o", size=9, pen=None, brush=pg.mkBrush(theme.SKY), pxMode=True
        )
        self.addItem(self._drops)
        self.left.setTicks([[(0.5, "wheel"), (1.3, "licks"), (DROP, "drops")]])
        self.setYRange(0, 2.4, padding=0)

    def draw(self, model: SessionModel) -> None:
        """Draw the minute up to `model.now_ns`."""
        now_ns, since_ns = model.now_ns, model.now_ns - round(SHOWN_S * 1e9)
        licks_s = (model.licks.since(since_ns) - now_ns) * 1e-9
        heights = np.tile([LICK_LOW, LICK_HIGH], len(licks_s))
        self._licks.setData(np.repeat(licks_s, 2), heights)
        drops_s = (model.rewards.since(since_ns) - now_ns) * 1e-9
        self._drops.setData(drops_s, np.full(len(drops_s), DROP))
        wheel = model.wheel.since(since_ns)
        if len(wheel) < 2:
            self._wheel.setData([], [])
            return
        edges = np.arange(-SHOWN_S, WHEEL_S / 2, WHEEL_S)
        positions = np.interp(edges, (wheel["t_ns"] - now_ns) * 1e-9, wheel["position"])
        speed = np.abs(np.diff(positions)) / WHEEL_S
        top = float(speed.max()) or 1.0
        self._wheel.setData(edges[:-1] + WHEEL_S / 2, 0.95 * speed / top)
