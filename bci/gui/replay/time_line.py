"""The whole of a session as a line: its trials, what is read of it, where one is."""

from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from bci.core.loop_types import Outcome
from bci.gui import theme
from bci.gui.words import moment

COLOURS = {
    Outcome.HIT: theme.GREEN,
    Outcome.MISS: theme.ORANGE,
    Outcome.ABORT: theme.GREY,
    Outcome.NONE: theme.GREY,
}
HEIGHTS = {Outcome.HIT: 1.0, Outcome.MISS: 0.5, Outcome.ABORT: 0.25, Outcome.NONE: 0.45}
HEIGHT_PX = 34
STEP_S, LEAP_S = 1.0, 10.0


class TimeLine(QWidget):
    """Click or drag to go to a place; the arrow keys go a second, with Shift ten.

    Signals
    -------
    sought(float)
        Seconds since the first record of the session.
    """

    sought = pyqtSignal(float)

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(HEIGHT_PX)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("time line")
        self._length_s = 0.0
        self._now_s = 0.0
        self._first_frame_s = 0.0
        self._trials: Sequence[tuple[float, Outcome]] = ()

    def show_session(
        self,
        now_s: float,
        length_s: float,
        first_frame_s: float,
        trials: Sequence[tuple[float, Outcome]],
    ) -> None:
        """Show the position, the length, and the end of each trial; s since the first record.

        The times that are written count from the first frame.
        """
        self._now_s, self._length_s, self._trials = now_s, length_s, trials
        self._first_frame_s = first_frame_s
        self.update()

    def seconds_at(self, x: float) -> float:
        """Time under a place of the widget."""
        share = min(1.0, max(0.0, x / max(1, self.width() - 1)))
        return share * self._length_s

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go there."""
        self._seek(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go along with the mouse while it is pressed; tell the time under it always."""
        if event is None:
            return
        self.setToolTip(moment(self.seconds_at(event.position().x()) - self._first_frame_s))
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._seek(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Go a step."""
        steps = {Qt.Key.Key_Left: -1.0, Qt.Key.Key_Right: 1.0}
        if event is None or event.key() not in steps:
            super().keyPressEvent(event)
            return
        far = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        wanted_s = self._now_s + steps[Qt.Key(event.key())] * (LEAP_S if far else STEP_S)
        self.sought.emit(min(self._length_s, max(0.0, wanted_s)))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the line."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.PANEL))
        if self._length_s <= 0:
            return
        height, per_s = self.height() - 8.0, (self.width() - 1) / self._length_s
        for t_s, outcome in self._trials:
            tall = HEIGHTS[outcome] * height
            bar = QRectF(t_s * per_s - 1, 4 + height - tall, 2.0, tall)
            painter.fillRect(bar, QColor(COLOURS[outcome]))
        x = self._now_s * per_s
        passed = QColor(theme.SKY)
        passed.setAlpha(40)
        painter.fillRect(QRectF(0, 0, x, self.height()), passed)
        painter.setPen(QPen(QColor(theme.TEXT), 3))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        if self.hasFocus():
            painter.setPen(QColor(theme.SKY))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _seek(self, event: QMouseEvent | None) -> None:
        if event is not None and self._length_s > 0:
            self.sought.emit(self.seconds_at(event.position().x()))
