"""The operator window: the way of a day above, one page of it below, what counts always there."""

from collections.abc import Sequence

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PyQt6.QtWidgets import QMainWindow, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from bci.core.stimulus_types import ScreenHello
from bci.gui.alarm_strip import AlarmStrip
from bci.gui.alarms import AlarmBook
from bci.gui.controls import Controls
from bci.gui.day import Day
from bci.gui.following import page_of
from bci.gui.header import Header
from bci.gui.keyboard import Keyboard
from bci.gui.light_bar import LightBar
from bci.gui.lights import lamps
from bci.gui.pace import Pace
from bci.gui.rail import Rail
from bci.gui.step import Step
from bci.gui.theme import scale_of, style_sheet

STATUS_MS = 1000
SAID_MS = 6000
LOOK_S = 0.2
"""How often what is always visible is brought up to date."""


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
        self._screen: ScreenHello | None = None
        self.setWindowTitle("two-photon-bci")
        self.rail = Rail(steps, pages)
        self._stack = QStackedWidget()
        # a page gives way to alarms: the buttons below it stay on the screen
        self._stack.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        for page in self.pages:
            self._stack.addWidget(page)
        self.alarms, self.keyboard = AlarmBook(model=day.model), Keyboard(self)
        self.header, self.controls = Header(day), Controls(day)
        self.alarm_strip, self.light_bar = AlarmStrip(self.alarms), LightBar()
        whole = QWidget()
        whole.setObjectName("page")
        column = QVBoxLayout(whole)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(8)
        for widget in (self.header, self.alarm_strip, self.rail):
            column.addWidget(widget)
        column.addWidget(self._stack, 1)
        column.addWidget(self.controls)
        column.addWidget(self.light_bar)
        self.setCentralWidget(whole)
        self.rail.chosen.connect(self.show_page)
        for place in range(min(9, len(self.pages))):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{place + 1}"), self)
            shortcut.activated.connect(lambda place=place: self.show_page(place))
        day.ticked.connect(self._refresh)
        day.session_changed.connect(self._session_changed)
        day.said.connect(self._say)
        day.tried.connect(self.keyboard.take)
        self.light_bar.sound.toggled.connect(self.alarm_strip.make_heard)
        self._look = Pace(LOOK_S)
        self._moment = page_of(day.phase, day.model.state)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(SAID_MS)
        self._quiet.timeout.connect(self.light_bar.message.clear)
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

    def _say(self, text: str) -> None:
        """Show what became of a request, for a while."""
        self.light_bar.message.setText(text)
        self._quiet.start()

    def _refresh(self) -> None:
        if self._look.due():
            self._look_around()
        if self.isVisible() and not self.isMinimized():
            self.page.refresh()

    def _look_around(self) -> None:
        """Bring what is always visible up to date."""
        day = self.day
        self._raise_alarms(live=day.is_live)
        self.alarm_strip.refresh(day.model.start)
        self.header.refresh()
        self.controls.refresh()
        self._follow()
        self._watch_screen()
        self.keyboard.refresh()

    def _raise_alarms(self, *, live: bool) -> None:
        shining = lamps(self.day.model, live=live, supervised=self.day.is_supervised)
        self.light_bar.show_lamps(shining)
        if live:
            self.alarms.update(self.day.model, shining)

    def _watch_screen(self) -> None:
        """See whether a screen of the animal has opened."""
        seen, self._screen = self._screen, self.day.model.screen
        if self.day.is_live and self._screen is not None and self._screen is not seen:
            self.keyboard.take()

    def _follow(self) -> None:
        """Go on with the day where the page shown is that of the moment that is over.

        In front, too: with one monitor the animal's screen opens on top of us.
        """
        now = page_of(self.day.phase, self.day.model.state)
        if now is None or now == self._moment:
            return
        before, self._moment = self._moment, now
        if self.page.title == before:
            self.show_page([page.title for page in self.pages].index(now))
            self.raise_()

    def _session_changed(self) -> None:
        if self.alarms.model is not self.day.model:
            self.alarms.begin(self.day.model)
        elif self.day.is_orphaned:
            # found out by the same look that ends the day: told before it is over
            self._raise_alarms(live=True)
        self.controls.session_changed()
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
