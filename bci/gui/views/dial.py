"""The angle of the read-out, and the target it is to reach."""

from math import cos, radians, sin

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from bci.core.decoding.angle import TARGET_DEG
from bci.core.loop_types import TaskState
from bci.gui import theme

STEP_DEG = 15
HIT_STATES = (TaskState.HIT,)


class Dial(QWidget):
    """A quarter of a clock: 0° upright, the target at 90°; the hand is the angle."""

    def __init__(self) -> None:
        super().__init__()
        self._angle_deg = float("nan")
        self._state: TaskState | None = None
        self.setMinimumSize(100, 90)

    def show_angle(self, angle_deg: float, state: TaskState | None) -> None:
        """Turn the hand; NaN: there is none yet."""
        if (repr(angle_deg), state) != (repr(self._angle_deg), self._state):
            self._angle_deg, self._state = angle_deg, state
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw arc, ticks, hand and number."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        margin = self.fontMetrics().height() * 1.2
        radius = max(20.0, min(self.width() - 3.2 * margin, self.height() - 1.5 * margin))
        centre = QPointF((self.width() - radius - 1.6 * margin) / 2, self.height() - 0.4 * margin)
        hit = self._state in HIT_STATES
        arc = QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)
        painter.setPen(QPen(QColor(theme.GREEN if hit else theme.LINE), max(2.0, radius / 25)))
        painter.drawArc(arc, 0, 90 * 16)
        for step_deg in range(0, round(TARGET_DEG) + 1, STEP_DEG):
            target = step_deg == round(TARGET_DEG)
            painter.setPen(
                QPen(QColor(theme.THRESHOLD if target else theme.DIM), 4 if target else 2)
            )
            painter.drawLine(
                self._at(centre, 0.9 * radius, step_deg), self._at(centre, radius, step_deg)
            )
        painter.setPen(QColor(theme.THRESHOLD))
        place = QRectF(centre.x() + radius + 4, centre.y() - margin, 2.4 * margin, 1.4 * margin)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, f"{TARGET_DEG:g}°")
        if self._angle_deg == self._angle_deg:
            painter.setPen(
                QPen(QColor(theme.GREEN if hit else theme.CURSOR), max(3.0, radius / 18))
            )
            painter.drawLine(centre, self._at(centre, 0.84 * radius, self._angle_deg))
        font = QFont(self.font())
        font.setPixelSize(round(max(18.0, radius / 3.2)))
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(theme.GREEN if hit else theme.TEXT))
        text = f"{self._angle_deg:.0f}°" if self._angle_deg == self._angle_deg else "–"
        size = font.pixelSize()
        box = QRectF(self.width() - 3.4 * size, 0, 3.3 * size, 1.2 * size)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, text)

    def _at(self, centre: QPointF, radius: float, angle_deg: float) -> QPointF:
        turned = radians(angle_deg)
        return QPointF(centre.x() + radius * sin(turned), centre.y() - radius * cos(turned))
