"""The grating as the animal sees it, drawn from the commanded state of the screen."""

from math import exp

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import (
    QBrush,
    QColor,
    QImage,
    QPainter,
    QPaintEvent,
    QPixmap,
    QRadialGradient,
    QTransform,
)
from PyQt6.QtWidgets import QWidget

from bci.config.session import Session
from bci.core.stimulus_types import ScreenKind, StimulusCommand
from bci.gui import theme

TILE = 64
"""Pixels of one cycle, before it is scaled."""
STOPS = 16


class GratingView(QWidget):
    """The animal's screen, small: turned, drifting, frozen, grey or black as commanded.

    Angles grow clockwise as seen: 0° vertical bars, 90° horizontal; drift is rightward at 0° and
    downward at 90°.
    """

    def __init__(self) -> None:
        super().__init__()
        self._session: Session | None = None
        self._command: StimulusCommand | None = None
        self._phase = 0.0
        self._now_ns = 0
        self._tile = QPixmap()
        self._made_of: tuple[float, float] | None = None
        self.setMinimumSize(120, 90)

    def show_state(
        self, session: Session | None, command: StimulusCommand | None, now_ns: int
    ) -> None:
        """Draw this state of the screen at this time."""
        passed_s = (now_ns - self._now_ns) * 1e-9
        self._now_ns = now_ns
        drifts = command is not None and command.screen is ScreenKind.GRATING
        if drifts and command is not None and 0 < passed_s < 1:
            self._phase = (self._phase + passed_s * command.temporal_freq_hz) % 1.0
        moved = drifts and command is not None and command.temporal_freq_hz > 0
        if moved or command is not self._command or session is not self._session:
            self._session, self._command = session, command
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the screen in its own proportions."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        screen = self._screen()
        session, command = self._session, self._command
        if session is None or command is None:
            painter.fillRect(screen, QColor(theme.PANEL))
            painter.setPen(QColor(theme.DIM))
            painter.drawText(screen, Qt.AlignmentFlag.AlignCenter, "no screen yet")
            return
        grey = round(127.5 * (1 + session.rig.screen.background))
        black = command.screen is ScreenKind.BLACK
        painter.fillRect(screen, QColor(0, 0, 0) if black else QColor(grey, grey, grey))
        if command.screen in (ScreenKind.GRATING, ScreenKind.FROZEN):
            self._draw_grating(painter, screen, session, command, grey)
        painter.setPen(QColor(theme.LINE))
        painter.drawRect(screen)

    def _screen(self) -> QRectF:
        whole = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        if self._session is None:
            return whole
        wanted = self._session.rig.screen.width_px / self._session.rig.screen.height_px
        width = min(whole.width(), whole.height() * wanted)
        height = width / wanted
        centre = whole.center()
        return QRectF(centre.x() - width / 2, centre.y() - height / 2, width, height)

    def _draw_grating(
        self,
        painter: QPainter,
        screen: QRectF,
        session: Session,
        command: StimulusCommand,
        grey: int,
    ) -> None:
        stimulus = session.experiment.stimulus
        cycles = stimulus.spatial_freq
        if stimulus.spatial_freq_unit == "cycles_per_deg":
            # small angles suffice for a picture of the screen
            rig = session.rig.screen
            cycles *= 57.3 * rig.width_cm / rig.distance_cm
        period = screen.width() / max(cycles, 0.1)
        brush = QBrush(self._cycle(grey, command.contrast))
        turn = QTransform()
        turn.translate(self._phase * period, 0)
        turn.scale(period / TILE, 1)
        brush.setTransform(turn)
        half = screen.width() + screen.height()
        painter.save()
        painter.setClipRect(screen)
        painter.translate(screen.center())
        painter.rotate(command.orientation_deg)
        painter.fillRect(QRectF(-half, -half, 2 * half, 2 * half), brush)
        painter.restore()
        self._draw_mask(painter, screen, session, grey)

    def _draw_mask(self, painter: QPainter, screen: QRectF, session: Session, grey: int) -> None:
        stimulus = session.experiment.stimulus
        if stimulus.mask == "full":
            return
        rig = session.rig.screen
        deg = screen.width() / (57.3 * rig.width_cm / rig.distance_cm)
        centre = screen.center() + QPointF(
            stimulus.position_deg[0] * deg, -stimulus.position_deg[1] * deg
        )
        if stimulus.mask == "circle":
            radius = stimulus.circle_diameter_deg * deg / 2
            stops = [(0.0, 0.0), (0.98, 0.0), (1.0, 1.0)]
        else:
            sigma = stimulus.gabor_sigma_width * screen.width()
            radius = 3.5 * sigma
            stops = [
                (place / STOPS, 1 - exp(-0.5 * (3.5 * place / STOPS) ** 2))
                for place in range(STOPS + 1)
            ]
        gradient = QRadialGradient(centre, radius)
        for place, hidden in stops:
            gradient.setColorAt(place, QColor(grey, grey, grey, round(255 * hidden)))
        painter.fillRect(screen, QBrush(gradient))

    def _cycle(self, grey: int, contrast: float) -> QPixmap:
        if self._made_of != (grey, contrast):
            wave = np.sin(2 * np.pi * (np.arange(TILE) + 0.5) / TILE)
            room = min(grey, 255 - grey)
            row = np.round(grey + room * contrast * wave).astype(np.uint8)
            image = np.ascontiguousarray(np.tile(row, (4, 1)))
            picture = QImage(image.tobytes(), TILE, 4, TILE, QImage.Format.Format_Grayscale8)
            self._tile = QPixmap.fromImage(picture.copy())
            self._made_of = (grey, contrast)
        return self._tile
