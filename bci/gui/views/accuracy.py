"""Accuracy with its interval against what the baseline alone predicts."""

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from bci.core.loop_types import Outcome
from bci.core.performance import wilson_interval
from bci.gui import theme
from bci.gui.model import SessionModel
from bci.gui.words import percent

Interval = tuple[float, float, float]
NOTHING: Interval = (float("nan"),) * 3
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def observed(model: SessionModel) -> Interval:
    """Accuracy so far and Wilson's interval, 0-1; NaN before the first outcome."""
    hits, misses = model.outcomes[Outcome.HIT], model.outcomes[Outcome.MISS]
    if not hits + misses:
        return NOTHING
    low, high = wilson_interval(hits, hits + misses)
    return hits / (hits + misses), low, high


def predicted(model: SessionModel) -> Interval:
    """Chance predicted for the same trials and its interval, 0-1; NaN where there is none."""
    return model.chance.now


class AccuracyBar(QWidget):
    """Two rows on one scale: the animal above, chance below."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[str, str, Interval, str]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(78)

    def draw(self, model: SessionModel) -> None:
        """Draw how it stands."""
        rows = [
            ("accuracy", theme.GREEN, observed(model), "–"),
            ("chance", theme.YELLOW, predicted(model), model.chance.words or "–"),
        ]
        if repr(rows) != repr(self._rows):
            self._rows = rows
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw both intervals and tell their figures."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = self.fontMetrics()
        left = metrics.horizontalAdvance("accuracy") + 10.0
        right = metrics.horizontalAdvance("100 % (100–100)") + 8.0
        scale = QRectF(left, 2, max(20.0, self.width() - left - right), self.height() - 4)
        painter.setPen(QPen(QColor(theme.LINE), 1))
        for tick in TICKS:
            x = scale.left() + tick * scale.width()
            painter.drawLine(QPointF(x, scale.top()), QPointF(x, scale.bottom()))
        height = scale.height() / max(1, len(self._rows))
        for place, row in enumerate(self._rows):
            box = QRectF(0, scale.top() + place * height, self.width(), height)
            self._draw_row(painter, box, scale, *row)

    def _draw_row(
        self,
        painter: QPainter,
        box: QRectF,
        scale: QRectF,
        name: str,
        colour: str,
        figures: Interval,
        otherwise: str,
    ) -> None:
        value, low, high = figures
        middle = box.center().y()
        painter.setPen(QColor(theme.DIM))
        vertical = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(box, vertical | Qt.AlignmentFlag.AlignLeft, name)
        text = percent(value) if value == value else otherwise
        if low == low:
            text += f" ({100 * low:.0f}–{100 * high:.0f})"
            painter.setPen(QPen(QColor(colour), max(4.0, box.height() / 5)))
            painter.drawLine(
                QPointF(scale.left() + low * scale.width(), middle),
                QPointF(scale.left() + high * scale.width(), middle),
            )
        if value == value:
            painter.setPen(QPen(QColor(theme.TEXT), 2))
            painter.setBrush(QColor(colour))
            radius = max(4.0, box.height() / 5)
            place = QPointF(scale.left() + value * scale.width(), middle)
            painter.drawEllipse(place, radius, radius)
        painter.setPen(QColor(theme.TEXT))
        painter.drawText(box, vertical | Qt.AlignmentFlag.AlignRight, text)
