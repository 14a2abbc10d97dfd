"""A session as it runs, or ran: everything that a model holds, on one page."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from bci.gui.model import SessionModel
from bci.gui.pace import Pace
from bci.gui.theme import scale_of
from bci.gui.views.accuracy import AccuracyBar
from bci.gui.views.cursor_plot import CursorPlot
from bci.gui.views.dial import Dial
from bci.gui.views.figures import Figures
from bci.gui.views.grating import GratingView
from bci.gui.views.heat_map import EnsembleTraces, HeatMap, RoiActivity
from bci.gui.views.latency_table import LatencyTable
from bci.gui.views.outcome_strip import OutcomeStrip
from bci.gui.views.tick_plot import TickPlot

LEFT_SHARE = 0.33
LATENCY_FROM_PX = 560
CURSOR_S, IMAGE_S, FIGURES_S = 0.09, 0.24, 0.5
"""How often curves, images and figures are drawn: what moves fast is drawn often."""


class SessionView(QWidget):
    """Left: what the animal sees, and how it does. Right: the last minute. Below: all trials."""

    def __init__(self) -> None:
        super().__init__()
        self.grating, self.dial = GratingView(), Dial()
        self.accuracy, self.figures, self.latency = AccuracyBar(), Figures(), LatencyTable()
        self.read_out, self.ticks = CursorPlot(), TickPlot()
        self.heat_map, self.traces = HeatMap(), EnsembleTraces()
        self.outcomes = OutcomeStrip()
        self.activity = RoiActivity()
        self._cursor_pace, self._image_pace = Pace(CURSOR_S), Pace(IMAGE_S)
        self._figures_pace = Pace(FIGURES_S)
        self._model: SessionModel | None = None
        self._left = self._left_side()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(8)
        grid.addWidget(self._left, 0, 0)
        grid.addWidget(self._right_side(), 0, 1)
        grid.addWidget(self.outcomes, 1, 0, 1, 2)
        grid.setColumnStretch(1, 1)
        grid.setRowStretch(0, 1)

    def _left_side(self) -> QWidget:
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        above = QHBoxLayout()
        above.setSpacing(6)
        above.addWidget(_panel(self.grating), 3)
        above.addWidget(_panel(self.dial), 2)
        column.addLayout(above, 3)
        column.addWidget(_panel(self.accuracy), 1)
        column.addWidget(self.figures)
        column.addWidget(self.latency)
        return whole

    def _right_side(self) -> QWidget:
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for plot, share in ((self.read_out, 4), (self.heat_map, 3), (self.traces, 3)):
            column.addWidget(plot, share)
        column.addWidget(self.ticks, 2)
        return whole

    def refresh(self, model: SessionModel) -> None:
        """Draw what the model holds now; each part as often as it is worth."""
        if model is not self._model:
            self._model = model
            for pace in (self._cursor_pace, self._image_pace, self._figures_pace):
                pace.hurry()
        command = model.command[1] if model.command is not None else None
        self.grating.show_state(model.session, command, model.now_ns)
        rows = model.decisions.rows
        angle_deg = float(rows[-1]["angle_deg"]) if len(rows) else float("nan")
        self.dial.show_angle(angle_deg, model.state)
        if self._cursor_pace.due():
            self.read_out.draw(model)
        if self._image_pace.due():
            self.activity.update(model)
            self.heat_map.draw(model, self.activity)
            self.traces.draw(model, self.activity)
            self.ticks.draw(model)
        if self._figures_pace.due():
            self.accuracy.draw(model)
            self.figures.draw(model)
            self.latency.draw(model)
            self.outcomes.draw(model)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the proportions, and the size of what is read."""
        super().resizeEvent(event)
        self._left.setFixedWidth(round(LEFT_SHARE * self.width()))
        window = self.window()
        size = window.size() if window is not None else self.size()
        scale = scale_of(size.width(), size.height())
        for plot in (self.read_out, self.heat_map, self.traces, self.ticks):
            plot.scale_text(round(11 * scale), round(58 * scale))
        self.outcomes.setFixedHeight(round(50 * scale))
        # where alarms take room, what is looked at least goes first
        self.latency.setVisible(self.height() > LATENCY_FROM_PX * scale)


def _panel(widget: QWidget) -> QFrame:
    frame = QFrame()
    frame.setObjectName("panel")
    row = QHBoxLayout(frame)
    row.setContentsMargins(8, 6, 8, 6)
    row.addWidget(widget, 1, Qt.AlignmentFlag(0))
    return frame
