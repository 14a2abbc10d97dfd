"""Is everything there that a session needs: the pre-flight."""

import msgspec
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QScrollArea, QVBoxLayout

from bci.config.session import Session
from bci.gui.check_list import LIGHTS, CheckList
from bci.gui.day import Day, Phase
from bci.gui.monitors import NAME as MONITORS
from bci.gui.monitors import NOT_SHOWN, look_at_monitors
from bci.gui.preflight_run import PreflightRun, stored_run
from bci.gui.step import Step, StepStatus
from bci.gui.theme import Light
from bci.session.check import Check, Status, Trial
from bci.session.preflight import all_trials, quick_trials

QUICK_ALONE = "stream, board, screen and light are not tried yet: Try everything"


class RigStep(Step):
    """Tries everything that a session needs, and says of each what to do.

    What takes no time is looked at at once; what opens the screen, the board and the stream waits
    for the operator.
    """

    title = "Rig"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.run = PreflightRun([])
        self._of: Session | None = None
        self._is_whole = False
        self._is_trying = False
        self._monitors = NOT_SHOWN
        self.head = QLabel()
        self.head.setObjectName("title")
        self.about = QLabel()
        self.about.setObjectName("dim")
        self.about.setWordWrap(True)
        self.try_button = QPushButton("Try everything  F5")
        self.try_button.setObjectName("big")
        self.try_button.clicked.connect(self.try_everything)
        shortcut = QShortcut(QKeySequence(Qt.Key.Key_F5), self)
        shortcut.activated.connect(self.try_everything)
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.checks = CheckList()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self.checks)
        top = QHBoxLayout()
        top.addWidget(self.head, 1)
        top.addWidget(self.try_button)
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addWidget(self.about)
        column.addWidget(self.progress)
        column.addWidget(scroll, 1)
        day.closing.connect(lambda: self.run.stop())
        self.session_changed()

    def status(self) -> StepStatus:
        """The worst of the checks, or what is still to be tried."""
        if self.day.faults:
            return StepStatus(Light.FAIL, self.day.faults[0])
        if not self.run.names:
            return StepStatus(Light.IDLE, "no session file")
        if self.run.current:
            return StepStatus(Light.WARN, f"trying: {self.run.current}")
        worst = self.run.worst
        told = [check for check in self.run.checks if check.status is worst]
        if worst is Status.FAIL:
            return StepStatus(Light.FAIL, _words(told[0]))
        if not self._is_whole and not self.day.is_live:
            return StepStatus(Light.WARN, QUICK_ALONE)
        if worst is Status.WARN:
            names = ", ".join(check.name for check in told)
            return StepStatus(Light.WARN, f"{names}: look at them before the animal is in place")
        return StepStatus(LIGHTS[worst], "everything is there")

    def refresh(self) -> None:
        """Show how far the pre-flight has come."""
        run, day = self.run, self.day
        self._look_at_monitors()
        self.checks.show_run(run)
        busy = self._is_trying
        allowed = day.session is not None and not busy and not day.is_live
        self.try_button.setEnabled(allowed)
        self.try_button.setToolTip(self._why_not(busy))
        self.progress.setVisible(busy)
        self.progress.setMaximum(max(1, len(run.names)))
        self.progress.setValue(len(run.found))
        if busy:
            self.progress.setFormat(f"{run.current} …  %v of %m")

    def session_changed(self) -> None:
        """Other settings are other checks."""
        day, session = self.day, self.day.session
        self._describe()
        if day.phase in (Phase.RUNNING, Phase.ENDED) and day.manifest is not None:
            if self._of is not session:
                self._begin(_stored(day.manifest.preflight), session, whole=False, start=False)
            return
        if session is None:
            self._begin(PreflightRun([]), None, whole=False, start=False)
        elif self._of != session:
            trials = [*quick_trials(session, day.root), self._monitors_trial()]
            self._begin(PreflightRun(trials), session, whole=False)

    def try_everything(self) -> None:
        """Really use stream, board, screen and disk."""
        session = self.day.session
        if session is None or self._is_trying or self.day.is_live:
            return
        trials = [*all_trials(session, self.day.root), self._monitors_trial()]
        self._begin(PreflightRun(trials), session, whole=True)

    def _begin(
        self, run: PreflightRun, session: Session | None, *, whole: bool, start: bool = True
    ) -> None:
        self.run.stop()
        self.day.preflight = []
        self.run, self._of, self._is_whole = run, session, whole
        # from now on, and not only once a thread is free for it
        self._is_trying = start
        if start:
            self.day.work(run.run, lambda _, __: self._done(run))
        self.refresh()

    def _done(self, run: PreflightRun) -> None:
        if run is self.run:
            self._is_trying = False
            if self._is_whole:
                self.day.preflight = run.checks if run.complete else []
                self.day.tried.emit()
        self.refresh()

    def _monitors_trial(self) -> Trial:
        """Qt is asked in the window's thread alone: what was seen last is what is found."""
        return Trial(MONITORS, lambda: self._monitors)

    def _look_at_monitors(self) -> None:
        """Follow the window as it is moved, until a session begins."""
        session, window = self.day.session, self.window()
        if session is None or window is None or self.day.phase is not Phase.SETTING_UP:
            return
        self._monitors = look_at_monitors(session.rig.screen, window)
        if MONITORS in self.run.found:
            self.run.found[MONITORS] = self._monitors

    def _describe(self) -> None:
        day, session = self.day, self.day.session
        if session is None:
            self.head.setText("No session file" if day.session_file is None else "Settings")
            self.about.setText("\n".join(day.faults) or "Open one on the page Settings.")
            return
        self.head.setText(f"{session.subject} on {session.rig.name}")
        file = "" if day.session_file is None else f"{day.session_file}: "
        self.about.setText(
            f"{file}experiment {session.experiment.name}, source {session.rig.source.kind}, "
            f"board {session.rig.board.kind}, screen {session.rig.screen.backend}"
        )

    def _why_not(self, busy: bool) -> str:
        if self.day.session is None:
            return "no settings to try"
        if self.day.is_live:
            return "a session runs and uses them"
        return "being tried" if busy else "opens stream, board and screen for some seconds"


def _stored(preflight: list[dict[str, object]]) -> PreflightRun:
    try:
        return stored_run(msgspec.convert(preflight, list[Check]))
    except msgspec.ValidationError:
        return PreflightRun([])


def _words(check: Check) -> str:
    return f"{check.name}: {check.message}" + (f" → {check.solution}" if check.solution else "")
