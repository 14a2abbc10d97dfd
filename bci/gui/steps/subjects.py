"""The animals: how each did over the days, and the next day of one."""

from datetime import date
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from bci.core.counted import counted
from bci.gui.day import Day, Phase
from bci.gui.history_plot import HistoryPlot
from bci.gui.next_day import NextDayRefused, next_day_file
from bci.gui.rich_text import escaped
from bci.gui.step import Step
from bci.recording.subject_history import PastSession, SubjectHistory, read_history, subjects_in

LIST_PX, SIDE_PX = 170, 330


class SubjectsPage(Step):
    """Subjects on the left, the days of the chosen one in the middle, words on the right.

    Signals
    -------
    replay
        Folder of a session that is to be looked at again.
    """

    title = "Subjects"
    replay = pyqtSignal(object)

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.histories: dict[str, SubjectHistory] = {}
        self._phase = day.phase
        self._reading = False
        self.names = QListWidget()
        self.names.setFixedWidth(LIST_PX)
        self.names.currentTextChanged.connect(self._choose)
        self.plot = HistoryPlot()
        self.words = QTextBrowser()
        self.words.setOpenLinks(False)
        self.words.anchorClicked.connect(lambda url: self.replay.emit(Path(url.toLocalFile())))
        self.start = QPushButton("Prepare the next day")
        self.start.setObjectName("go")
        self.start.clicked.connect(self.prepare_next_day)
        self.said = QLabel()
        self.said.setObjectName("small")
        self.said.setWordWrap(True)
        left = QVBoxLayout()
        left.addWidget(_heading("Subjects"))
        left.addWidget(self.names, 1)
        right = QWidget()
        right.setFixedWidth(SIDE_PX)
        side = QVBoxLayout(right)
        side.setContentsMargins(0, 0, 0, 0)
        side.addWidget(_heading("Days, the newest first"))
        side.addWidget(self.words, 1)
        side.addWidget(self.start)
        side.addWidget(self.said)
        middle = QVBoxLayout()
        middle.addWidget(
            _heading("● accuracy with its interval   ▼ chance that the baseline predicts")
        )
        middle.addWidget(self.plot, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(left)
        row.addLayout(middle, 1)
        row.addWidget(right)
        self._show(None)

    @property
    def subject(self) -> str:
        """The one that is shown; empty: none."""
        item = self.names.currentItem()
        return "" if item is None else item.text()

    def opened(self) -> None:
        """Read everything anew, in a thread."""
        if self._reading:
            return
        self._reading = True
        root = self.day.root
        self.day.work(
            lambda: {name: read_history(root, name) for name in subjects_in(root)}, self._take
        )

    def session_changed(self) -> None:
        """A session that has ended is part of the history."""
        before, self._phase = self._phase, self.day.phase
        if self._phase is Phase.ENDED and before is not Phase.ENDED and self.isVisible():
            self.opened()
        self._enable()

    def prepare_next_day(self) -> None:
        """Write a session file like the one of the newest session, and let the day have it."""
        history = self.histories.get(self.subject)
        if history is None or self.day.is_live:
            return
        try:
            path = next_day_file(history, self.day.root, date.today())
        except NextDayRefused as error:
            self.said.setText(str(error))
            return
        self.day.sets, self.day.verb, self.day.session_file = [], ["run"], path
        if self.day.phase is Phase.SETTING_UP:
            self.day.load(path)
        else:
            self.day.new_session()
        self.said.setText(f"{path} is the day's session file now: look at it on Settings, or start")

    def _take(self, histories: dict[str, SubjectHistory] | None, error: Exception | None) -> None:
        self._reading = False
        if histories is None:
            self.said.setText(f"not read: {error}")
            return
        wanted = self.subject or (self.day.session.subject if self.day.session else "")
        self.histories = histories
        blocked = self.names.blockSignals(True)
        self.names.clear()
        self.names.addItems(list(histories))
        self.names.blockSignals(blocked)
        found = self.names.findItems(wanted, Qt.MatchFlag.MatchExactly)
        self.names.setCurrentItem(found[0] if found else self.names.item(0))
        if not histories:
            self._show(None)

    def _choose(self, name: str) -> None:
        self._show(self.histories.get(name))

    def _show(self, history: SubjectHistory | None) -> None:
        if history is None:
            self.words.setHtml(f"<p>No subject in {escaped(str(self.day.root))} yet.</p>")
        else:
            self.plot.show_history(history)
            self.words.setHtml(_told(history))
        self._enable()

    def _enable(self) -> None:
        history = self.histories.get(self.subject)
        n = history.next_day(date.today().isoformat()) if history is not None else 0
        self.start.setText(f"Prepare day {n} of {self.subject}" if n else "Prepare the next day")
        self.start.setEnabled(
            history is not None and bool(history.sessions) and not self.day.is_live
        )
        self.start.setToolTip("a session runs" if self.day.is_live else "")


def _told(history: SubjectHistory) -> str:
    """The days in words, newest first, and what could not be read."""
    parts = [f'<p style="color:#ee6b2d">✕ {escaped(text)}</p>' for text in history.damaged]
    for day in reversed(history.dates):
        number = history.number(day)
        parts.append(f"<h4>Day {number} · {day}</h4>" if number else f"<h4>{day}</h4>")
        parts += [_session(each) for each in history.sessions if each.date == day]
        weight = history.weight_g(day)
        if weight == weight:
            parts.append(f"<p>{weight:g} g</p>")
        parts += [
            f"<p><i>{escaped(note.text)}</i></p>"
            for note in history.notes
            if note.at[:10] == day and note.text
        ]
    return "".join(parts)


def _session(session: PastSession) -> str:
    link = session.folder.resolve().as_uri()
    sign = "✓" if session.ok else "!"
    told = [counted(session.trials, "trial")]
    if session.accuracy[0] == session.accuracy[0]:
        value, low, high = (100 * each for each in session.accuracy)
        told.append(f"accuracy {value:.0f} % ({low:.0f} to {high:.0f})")
    if session.chance[0] == session.chance[0]:
        told.append(f"chance {100 * session.chance[0]:.0f} %")
    if session.t == session.t:
        told.append(f"T {session.t:.3f}")
    return (
        f'<p>{sign} <a style="color:#56b4e9" href="{link}">{session.at[11:16]}</a> '
        f"{escaped(session.experiment)}: {', '.join(told)}; {escaped(session.reason)}.</p>"
    )


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("heading")
    return label
