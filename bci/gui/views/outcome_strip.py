"""Every trial of the session, one bar each, and how the hit rate runs."""

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from bci.core.counted import counted
from bci.core.loop_types import Outcome
from bci.gui import theme
from bci.gui.model import SessionModel

RUNNING_TRIALS = 20
WIDEST_PX = 14.0
COLOURS = {
    Outcome.HIT: theme.GREEN,
    Outcome.MISS: theme.ORANGE,
    Outcome.ABORT: theme.GREY,
    Outcome.NONE: theme.GREY,
}
HEIGHTS = {Outcome.HIT: 1.0, Outcome.MISS: 0.45, Outcome.ABORT: 0.2, Outcome.NONE: 0.45}
"""Height and colour both tell the outcome."""


class OutcomeStrip(QWidget):
    """Tall green: hit. Half, orange: miss. Low, grey: cut off. Line: hit rate of 20 trials."""

    def __init__(self) -> None:
        super().__init__()
        self._model: SessionModel | None = None
        self._drawn = -1
        self.setMinimumHeight(46)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def draw(self, model: SessionModel) -> None:
        """Draw the trials so far, where there are new ones."""
        if model is self._model and len(model.trials) == self._drawn:
            return
        self._model, self._drawn = model, len(model.trials)
        passive = model.outcomes[Outcome.NONE]
        self.setToolTip(
            (f"{passive} passive, " if passive else "")
            + f"{counted(model.outcomes[Outcome.HIT], 'hit')}, "
            f"{counted(model.outcomes[Outcome.MISS], 'miss', 'misses')}, "
            f"{model.outcomes[Outcome.ABORT]} cut off; line: hit rate of the last "
            f"{RUNNING_TRIALS}"
        )
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw bars, from left to right, narrower as there are more."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.PANEL))
        trials = self._model.trials if self._model is not None else []
        if not trials:
            painter.setPen(QColor(theme.DIM))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no trial has ended yet")
            return
        height = self.height() - 8.0
        width = min(WIDEST_PX, (self.width() - 8.0) / len(trials))
        gap = 1.0 if width > 3 else 0.0
        for place, (_, trial) in enumerate(trials):
            tall = HEIGHTS[trial.outcome] * height
            bar = QRectF(4 + place * width, 4 + height - tall, max(0.5, width - gap), tall)
            painter.fillRect(bar, QColor(COLOURS[trial.outcome]))
        self._draw_rate(painter, width, height)

    def _draw_rate(self, painter: QPainter, width: float, height: float) -> None:
        assert self._model is not None
        outcomes = [trial.outcome for _, trial in self._model.trials]
        points = []
        for place in range(RUNNING_TRIALS - 1, len(outcomes)):
            window = outcomes[place - RUNNING_TRIALS + 1 : place + 1]
            hits, misses = window.count(Outcome.HIT), window.count(Outcome.MISS)
            if hits + misses:
                rate = hits / (hits + misses)
                points.append(QPointF(4 + (place + 0.5) * width, 4 + height * (1 - rate)))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.TEXT), 2))
        if points:
            painter.drawPolyline(QPolygonF(points))
