"""The days of a subject, figure above figure over the same days."""

from datetime import date

import numpy as np
import pyqtgraph as pg

from bci.gui import theme
from bci.recording.subject_history import PastSession, SubjectHistory

FIGURES = ("accuracy", "rewards / min", "T", "volume, µl", "weight, g")
TICKS_SHOWN = 16
WIDTH_OF_LABELS_PX = 74


class HistoryPlot(pg.GraphicsLayoutWidget):  # type: ignore[misc]
    """Accuracy against chance, rewards, T, volume and weight; all share the days."""

    def __init__(self) -> None:
        super().__init__()
        self.setBackground(theme.PANEL)
        self.plots: dict[str, pg.PlotItem] = {}
        first: pg.PlotItem | None = None
        for row, name in enumerate(FIGURES):
            plot = self.addPlot(row=row, col=0)
            plot.setLabel("left", name)
            plot.showGrid(x=True, y=True, alpha=0.15)
            plot.setMenuEnabled(False)
            plot.hideButtons()
            plot.getAxis("left").enableAutoSIPrefix(False)
            plot.getAxis("left").setWidth(WIDTH_OF_LABELS_PX)
            plot.getAxis("bottom").setStyle(showValues=row == len(FIGURES) - 1)
            if first is None:
                first = plot
            else:
                plot.setXLink(first)
            self.plots[name] = plot
        self.plots["accuracy"].setYRange(0, 1, padding=0.02)
        self.ci.layout.setRowStretchFactor(0, 2)

    def show_history(self, history: SubjectHistory) -> None:
        """Draw all days of a subject."""
        dates = history.dates
        for plot in self.plots.values():
            plot.clear()
        self._days(history)
        at = _places(history.sessions, dates)
        accuracy, chance = (
            np.array([getattr(s, name) for s in history.sessions], float).reshape(-1, 3)
            for name in ("accuracy", "chance")
        )
        plot = self.plots["accuracy"]
        self._interval(plot, at, chance, theme.GREY, "t", -0.08)
        self._interval(plot, at, accuracy, theme.SKY, "o", 0.0)
        for name, field, colour in (
            ("rewards / min", "rewards_per_min", theme.GREEN),
            ("T", "t", theme.THRESHOLD),
            ("volume, µl", "volume_ul", theme.BLUE),
        ):
            values = np.array([getattr(s, field) for s in history.sessions], float)
            self._line(self.plots[name], at, values, colour)
        weights = np.array([history.weight_g(day) for day in dates], float)
        self._line(self.plots["weight, g"], np.arange(1.0, len(dates) + 1), weights, theme.PURPLE)

    def _interval(
        self,
        plot: pg.PlotItem,
        at: np.ndarray,
        values: np.ndarray,
        colour: str,
        symbol: str,
        aside: float,
    ) -> None:
        known = np.isfinite(values).all(axis=1)
        x, (y, low, high) = at[known] + aside, values[known].T
        if len(x):
            bars = pg.ErrorBarItem(
                x=x, y=y, top=high - y, bottom=y - low, beam=0.06, pen=pg.mkPen(colour, width=2)
            )
            plot.addItem(bars)
        self._line(plot, x, y, colour, symbol)

    def _line(
        self, plot: pg.PlotItem, at: np.ndarray, values: np.ndarray, colour: str, symbol: str = "o"
    ) -> None:
        known = np.isfinite(values)
        plot.plot(
            at[known],
            values[known],
            pen=pg.mkPen(colour, width=1.5),
            symbol=symbol,
            symbolSize=8,
            symbolBrush=colour,
            symbolPen=None,
        )

    def _days(self, history: SubjectHistory) -> None:
        dates = history.dates
        step = max(1, -(-len(dates) // TICKS_SHOWN))
        ticks = [
            (place, f"{history.number(day) or '–'}\n{_short(day)}")
            for place, day in enumerate(dates, start=1)
            if (place - 1) % step == 0
        ]
        bottom = self.plots[FIGURES[-1]]
        bottom.getAxis("bottom").setTicks([ticks])
        bottom.getAxis("bottom").setHeight(40)
        bottom.setXRange(0.5, max(1, len(dates)) + 0.5, padding=0)


def _short(day: str) -> str:
    try:
        return f"{date.fromisoformat(day):%d %b}"
    except ValueError:
        return day


def _places(sessions: list[PastSession], dates: list[str]) -> np.ndarray:
    """Where each session stands: the sessions of one day beside each other."""
    places = []
    for session in sessions:
        same = [other for other in sessions if other.date == session.date]
        among = same.index(session) / (2 * len(same))
        places.append(dates.index(session.date) + 1 + among)
    return np.array(places, float)
