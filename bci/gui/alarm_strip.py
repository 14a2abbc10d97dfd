"""Alarms at the top of the window, in words; never in the way of a button."""

import html

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bci.gui.alarms import Alarm, AlarmBook
from bci.gui.theme import DIM, LOOKS, PANEL
from bci.gui.words import time_of_day
from bci.recording.records import JournalStart

SHOWN = 2


class AlarmStrip(QWidget):
    """The worst alarms, each acknowledged by a click; no room is taken where there are none.

    Parameters
    ----------
    book
        What stands.

    Attributes
    ----------
    lines
        One an alarm, from above; those without one are hidden.
    """

    def __init__(self, book: AlarmBook) -> None:
        super().__init__()
        self._book = book
        self._heard = 0
        self._is_heard = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        self.lines = [_Line() for _ in range(SHOWN)]
        for line in self.lines:
            line.clicked.connect(self._acknowledge)
            column.addWidget(line)
        self._more = QLabel()
        self._more.setObjectName("small")
        column.addWidget(self._more)
        self.refresh(None)

    def refresh(self, start: JournalStart | None) -> None:
        """Show what stands.

        Parameters
        ----------
        start
            Ties the session's clock to the time of day.
        """
        alarms = self._book.alarms
        for place, line in enumerate(self.lines):
            line.tell(alarms[place] if place < len(alarms) else None, start)
        n_more = len(alarms) - SHOWN
        self._more.setVisible(n_more > 0)
        self._more.setText(f"and {n_more} more: click those above to see them")
        self.setVisible(bool(alarms))
        if self._book.raised > self._heard and self._is_heard:
            QApplication.beep()
        self._heard = self._book.raised

    def make_heard(self, heard: bool) -> None:
        """Let a new alarm be heard, or not."""
        self._is_heard = heard

    def _acknowledge(self, alarm: Alarm) -> None:
        self._book.acknowledge(alarm)


class _Line(QFrame):
    clicked = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self._alarm: Alarm | None = None
        self._told = ""
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 4, 10, 4)
        row.addWidget(self._text, 1)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("click: seen")

    def tell(self, alarm: Alarm | None, start: JournalStart | None) -> None:
        """Show an alarm, or nothing."""
        self._alarm = alarm
        self.setVisible(alarm is not None)
        if alarm is None:
            return
        text = _words(alarm, start)
        if text == self._told:
            return
        self._told = text
        colour = LOOKS[alarm.light].colour
        self.setStyleSheet(
            f"_Line {{ background: {PANEL}; border: 2px solid {colour}; border-radius: 5px; }}"
        )
        self._text.setText(text)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take the click: the operator has seen it."""
        if self._alarm is not None and event is not None:
            event.accept()
            self.clicked.emit(self._alarm)


def _words(alarm: Alarm, start: JournalStart | None) -> str:
    look = LOOKS[alarm.light]
    since = time_of_day(alarm.since_ns, start)
    when = f"{since}"
    if alarm.count > 1:
        when += f", {alarm.count} ×, last {time_of_day(alarm.last_ns, start)}"
    over = "" if alarm.over_ns is None else f", over {time_of_day(alarm.over_ns, start)}"
    return (
        f"<span style='color:{look.colour}'><b>{look.sign} {html.escape(alarm.what)}</b></span>"
        f" <span style='color:{DIM}'>since {when}{over}.</span>"
        f" <b>Done:</b> {html.escape(alarm.did)}."
        f" <b>You:</b> {html.escape(alarm.do)}."
    )
