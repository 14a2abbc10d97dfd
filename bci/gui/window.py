"""The operator window: the way of a day above, one page of it below, what counts always there."""

from collections.abc import Sequence

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PyQt6.QtWidgets import QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from bci.gui.day import Day
from bci.gui.rail import Rail
from bci.gui.step import Step
from bci.gui.theme import scale_of, style_sheet

STATUS_MS = 1000


class OperatorWindow(QMainWindow):
    """Steps, pages, and what is always visible.

    Parameters
    ----------
    day
        What all pages read and ask.
    steps
        The way of the day, in order.
    pages
        What stands beside it: settings, subjects, replay.
    """

    def __init__(self, day: Day, steps: Sequence[Step], pages: Sequence[Step] = ()) -> None:
        super().__init__()
        self.day = day
        self.pages = [*steps, *pages]
        self._scale = 0.0
        self.setWindowTitle("two-photon-bci")
        self.rail = Rail(steps, pages)
        self._stack = QStackedWidget()
        for page in self.pages:
            self._stack.addWidget(page)
        whole = QWidget()
        self._column = QVBoxLayout(whole)
        self._column.addWidget(self.rail)
        self._column.addWidget(self._stack, 1)
        self.setCentralWidget(whole)
        self.rail.chosen.connect(self.show_page)
        for place in range(min(9, len(self.pages))):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{place + 1}"), self)
            shortcut.activated.connect(lambda place=place: self.show_page(place))
        day.ticked.connect(self._refresh)
        day.session_changed.connect(self._session_changed)
        self._status = QTimer(self)
        self._status.setInterval(STATUS_MS)
        self._status.timeout.connect(self.rail.refresh)
        self._status.start()
        self.rail.refresh()
        self.show_page(0)

    @property
    def page(self) -> Step:
        """The page that is shown."""
        return self.pages[self._stack.currentIndex()]

    def show_page(self, place: int) -> None:
        """Show a step or page."""
        self._stack.setCurrentIndex(place)
        self.rail.show_place(place)
        self.page.opened()
        self.page.refresh()

    def show_session(self) -> None:
        """Show the closed loop."""
        titles = [page.title for page in self.pages]
        self.show_page(titles.index("Session"))

    def _refresh(self) -> None:
        if self.isVisible() and not self.isMinimized():
            self.page.refresh()

    def _session_changed(self) -> None:
        for page in self.pages:
            page.session_changed()
        self.rail.refresh()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Scale text and distances with the window."""
        super().resizeEvent(event)
        scale = scale_of(self.width(), self.height())
        if abs(scale - self._scale) > 0.04:
            self._scale = scale
            self.setStyleSheet(style_sheet(scale))

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Let go; the session, where one runs, goes on."""
        self._status.stop()
        self.day.close()
        super().closeEvent(event)
