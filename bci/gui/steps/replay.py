"""A recorded session in the views of a running one, with a line of time to go along."""

import time
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)

from bci.config import SettingsError
from bci.gui.day import Day, Phase
from bci.gui.replay.player import SPEEDS, Player
from bci.gui.replay.time_line import TimeLine
from bci.gui.step import Step
from bci.gui.views.session_view import SessionView
from bci.gui.words import moment, time_of_day
from bci.recording.contents import DamagedJournal
from bci.recording.manifest import NoManifest

BEFORE_TRIAL_S = 3.0
"""A trial is shown from so long before the end of the one before it."""
LONGEST_STEP_S = 0.2
"""Of the clock: a window that was busy does not leap."""


class ReplayPage(Step):
    """Open, play, go anywhere: the session view on a journal."""

    title = "Replay"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.player: Player | None = None
        self._wanted_s: float | None = None
        self._last_s = time.monotonic()
        self._n_drawn = (-1, -1)
        self.open_button = QPushButton("Open…")
        self.open_button.clicked.connect(self._ask)
        self.told = QLabel("Open the folder of a session that is over.")
        self.told.setObjectName("small")
        self.view = SessionView()
        self.time_line = TimeLine()
        self.time_line.sought.connect(self.seek)
        self.play_button = QPushButton("▶  Play")
        self.play_button.setToolTip("P")
        self.play_button.clicked.connect(self.toggle)
        self.speed_box = QComboBox()
        self.speed_box.addItems([f"× {speed:g}" for speed in SPEEDS])
        self.speed_box.setCurrentIndex(SPEEDS.index(1.0))
        self.speed_box.activated.connect(self._set_speed)
        self.back_button, self.next_button = QPushButton("◀ trial"), QPushButton("trial ▶")
        self.back_button.clicked.connect(lambda: self.leap(-1))
        self.next_button.clicked.connect(lambda: self.leap(1))
        self.trial_box = QSpinBox()
        self.trial_box.setPrefix("trial ")
        self.trial_box.setKeyboardTracking(False)
        self.trial_box.valueChanged.connect(self.go_to_trial)
        self.clock = QLabel()
        self._lay_out()
        day.closing.connect(self._close)
        for keys, action in (
            (Qt.Key.Key_P, self.toggle),
            (Qt.Key.Key_PageUp, lambda: self.leap(-1)),
            (Qt.Key.Key_PageDown, lambda: self.leap(1)),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(action)
        self._enable()

    def load(self, folder: Path) -> None:
        """Show a session from its beginning; why it cannot be shown is told."""
        self._close()
        try:
            player = Player(folder)
        except (NoManifest, SettingsError, OSError) as error:
            self.told.setText(f"✕ {error}")
            return
        self.player = player
        self.told.setText(str(folder))
        self.told.setToolTip(str(folder))
        self._n_drawn = (-1, -1)
        self._set_speed(self.speed_box.currentIndex())
        self.day.work(player.index.read, lambda _, error: self._read(player, error))
        self._enable()

    def opened(self) -> None:
        """Begin with the session that is over, where none was chosen."""
        day = self.day
        if self.player is None and day.phase is Phase.ENDED and day.folder is not None:
            self.load(day.folder)

    def session_changed(self) -> None:
        """A session that runs now is not looked at here: give its memory back."""
        if self.day.is_live:
            self._close()
            self._enable()

    def refresh(self) -> None:
        """Let time go on, and draw."""
        now_s = time.monotonic()
        passed_s, self._last_s = min(now_s - self._last_s, LONGEST_STEP_S), now_s
        player = self.player
        if player is None:
            return
        wanted_s, self._wanted_s = self._wanted_s, None
        try:
            if wanted_s is not None:
                player.go_to(wanted_s)
            elif player.playing:
                player.advance(passed_s)
            elif not player.model.now_ns:
                player.go_to(0.0)
        except DamagedJournal as error:
            self._refuse(error)
            return
        self._draw(player)

    def seek(self, now_s: float) -> None:
        """Go to a time, s; of many asked for between two drawings the last counts."""
        self._wanted_s = now_s

    def toggle(self) -> None:
        """Play or pause; from the end, play from the beginning."""
        player = self.player
        if player is None:
            return
        player.playing = not player.playing
        if player.playing and player.index.done and player.now_s >= player.length_s:
            self.seek(0.0)
        self._enable()

    def leap(self, by: int) -> None:
        """Go so many trials on or back from the one that is shown."""
        player = self.player
        if player is None or not player.index.trials:
            return
        now_ns = player.model.now_ns
        if self._wanted_s is not None:
            now_ns = player.index.start_ns + round(self._wanted_s * 1e9)
        current = player.index.trial_after(now_ns + round(BEFORE_TRIAL_S * 1e9))
        number = current.number if current is not None else len(player.index.trials) + 1
        self.go_to_trial(min(len(player.index.trials), max(1, number + by)))

    def go_to_trial(self, number: int) -> None:
        """Show a trial, by its number from 1, from shortly before its beginning."""
        player = self.player
        if player is None or player.index.trial(number) is None:
            return
        before = player.index.trial(number - 1)
        t_ns = player.index.start_ns if before is None else before.t_ns
        if before is None:
            first = player.index.trials[0]
            t_ns = max(t_ns, first.t_ns - round(self._longest_trial_s() * 1e9))
        self.seek(max(0.0, (t_ns - player.index.start_ns) * 1e-9 - BEFORE_TRIAL_S))

    def _longest_trial_s(self) -> float:
        session = self.player.model.session if self.player is not None else None
        task = session.experiment.task if session is not None else None
        return 0.0 if task is None else task.trial_s + task.hit_s + task.miss_s

    def _draw(self, player: Player) -> None:
        index, model = player.index, player.model
        self.view.refresh(model)
        trials = [(1e-9 * (each.t_ns - index.start_ns), each.outcome) for each in index.trials]
        now_s, length_s, first_s = player.now_s, player.length_s, player.first_frame_s
        self.time_line.show_session(now_s, length_s, first_s, trials)
        of_day = time_of_day(model.now_ns, model.start)
        self.clock.setText(f"{moment(now_s - first_s)} of {moment(length_s - first_s)}   {of_day}")
        blocked = self.trial_box.blockSignals(True)
        self.trial_box.setMaximum(max(1, len(trials)))
        if not self.trial_box.hasFocus():
            self.trial_box.setValue(min(len(model.trials) + 1, max(1, len(trials))))
        self.trial_box.blockSignals(blocked)
        self._enable()

    def _read(self, player: Player, error: Exception | None) -> None:
        if player is not self.player:
            return
        if isinstance(error, DamagedJournal):
            self._refuse(error)
        elif error is not None:
            self.told.setText(f"✕ {player.folder}: {error}")
        elif player.index.position < player.index.size and player.model.end is None:
            ended = player.index.marks and player.index.done
            if not ended:
                self.told.setText(
                    f"✕ {player.folder}: nothing in its journal can be shown: "
                    "it is damaged, or of another version of this program"
                )

    def _refuse(self, error: DamagedJournal) -> None:
        """Show nothing of a journal whose records were made up, and say why."""
        self._close()
        self.told.setText(f"✕ {error}")
        self._enable()

    def _set_speed(self, place: int) -> None:
        if self.player is not None:
            self.player.speed = SPEEDS[place]

    def _enable(self) -> None:
        player = self.player
        there = player is not None
        playing = player is not None and player.playing
        trials = player is not None and bool(player.index.trials)
        for widget in (self.play_button, self.speed_box, self.time_line):
            widget.setEnabled(there)
        for stepping in (self.back_button, self.next_button, self.trial_box):
            stepping.setEnabled(trials)
        self.play_button.setText("❚❚  Pause" if playing else "▶  Play")
        self.open_button.setEnabled(not self.day.is_live)

    def _ask(self) -> None:
        folder = str(self.player.folder.parent if self.player is not None else self.day.root)
        dialog = QFileDialog(self.window(), "Folder of a session", folder)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.fileSelected.connect(lambda name: self.load(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _close(self) -> None:
        if self.player is not None:
            self.player.close()
            self.player = None

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.told, 1)
        top.addWidget(self.clock)
        below = QHBoxLayout()
        below.addWidget(self.open_button)
        below.addWidget(self.play_button)
        below.addWidget(self.speed_box)
        below.addWidget(self.time_line, 1)
        below.addWidget(self.back_button)
        below.addWidget(self.trial_box)
        below.addWidget(self.next_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(self.view, 1)
        column.addLayout(below)
