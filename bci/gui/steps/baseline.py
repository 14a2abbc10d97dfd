"""The block before the task: progress, traces, ROI scores."""

from math import isfinite, nan

import numpy as np
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bci.core.counted import counted
from bci.core.loop_types import BlockBegun, BlockKind, TaskState
from bci.gui.day import Day, Phase
from bci.gui.model import SessionModel
from bci.gui.pace import Pace
from bci.gui.permissions import Action, refusals
from bci.gui.step import Step, StepStatus
from bci.gui.theme import Light, scale_of
from bci.gui.views.grating import GratingView
from bci.gui.views.heat_map import EnsembleTraces, HeatMap, RoiActivity
from bci.gui.views.score_table import LIKE, SIDE, ScoreTable
from bci.gui.words import clock

DRAW_S = 0.24
LEFT_SHARE = 0.42
NO_BLOCK = "the session has no baseline block"
NOT_BEGUN = "it comes with the session"
RECORDED = "recorded"
SCORING = "scoring the ROIs …"
STATES_BEFORE = (None, TaskState.WAITING)


class BaselineStep(Step):
    """How far the baseline is, what the neurons do meanwhile, and what they are like after it."""

    title = "Baseline"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self._progress = 0.0
        self._is_recorded = False
        self._pace = Pace(DRAW_S)
        self.head = QLabel()
        self.head.setObjectName("title")
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.about = QLabel()
        self.about.setObjectName("dim")
        self.about.setWordWrap(True)
        self.grating = GratingView()
        self.activity = RoiActivity()
        self.heat_map, self.traces = HeatMap(), EnsembleTraces()
        self.traces.bottom.setStyle(showValues=True)
        self.score_button = QPushButton("Score the ROIs  F5")
        self.score_button.setShortcut("F5")
        self.score_button.clicked.connect(self.score)
        day.scoring.changed.connect(self._scored)
        self.again_button = QPushButton("Repeat the baseline")
        self.again_button.clicked.connect(self.repeat)
        self.table = ScoreTable()
        # nothing is chosen here, and there is less room
        for column in (SIDE, LIKE):
            self.table.setColumnHidden(column, True)
        self.session_changed()
        self._lay_out()

    def status(self) -> StepStatus:
        """Amber while it is recorded, green after it."""
        day = self.day
        if day.scoring.trouble:
            return StepStatus(Light.FAIL, day.scoring.trouble)
        why = self._missing()
        if why:
            return StepStatus(Light.IDLE, why)
        if day.model.state is TaskState.BASELINE:
            return StepStatus(Light.WARN, f"{100 * self._progress:.0f} % recorded")
        return StepStatus(Light.OK, RECORDED)

    def refresh(self) -> None:
        """Draw how far it is."""
        if not self._pace.due():
            return
        day, model = self.day, self.day.model
        self._count(model)
        self._tell(model)
        command = model.command[1] if model.command is not None else None
        self.grating.show_state(model.session, command, model.now_ns)
        self.activity.update(model)
        self.heat_map.draw(model, self.activity)
        self.traces.draw(model, self.activity)
        cannot_score = self._missing() or (
            "it is being recorded" if model.state is TaskState.BASELINE else self._busy
        )
        self.score_button.setEnabled(not cannot_score)
        self.score_button.setToolTip(cannot_score)
        cannot_begin = refusals(day)[Action.BEGIN]
        self.again_button.setEnabled(not cannot_begin)
        self.again_button.setToolTip(cannot_begin or "T and lo then come from the new one")

    def session_changed(self) -> None:
        """Another session has another baseline."""
        self._progress, self._is_recorded = 0.0, False
        self._scored()

    def score(self) -> None:
        """Run the baseline through the loop, all ROIs at once."""
        if not self._missing():
            self.day.scoring.score()

    def repeat(self) -> None:
        """Record another baseline, between two blocks."""
        if not refusals(self.day)[Action.BEGIN]:
            self.day.ask(BlockBegun(BlockKind.BASELINE))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the size of what is read, and the two plots below each other."""
        super().resizeEvent(event)
        window = self.window()
        size = window.size() if window is not None else self.size()
        scale = scale_of(size.width(), size.height())
        for plot in (self.heat_map, self.traces):
            plot.scale_text(round(11 * scale), round(44 * scale))

    @property
    def _busy(self) -> str:
        return SCORING if self.day.scoring.busy else ""

    def _scored(self) -> None:
        """Show the scores that there are."""
        scored, session = self.day.scoring.scored, self.day.session
        self._pace.hurry()
        if scored is not None:
            settings = scored.baseline.session.experiment.ensembles
            self.table.scores.show_scores(scored.scores, settings)
            self.table.resizeColumnsToContents()
        elif session is not None:
            self.table.scores.show_scores(None, session.experiment.ensembles)

    def _missing(self) -> str:
        """Why there is no baseline, not even a part of one; empty: there is."""
        day = self.day
        experiment = None if day.session is None else day.session.experiment
        if experiment is not None and experiment.baseline is None:
            return NO_BLOCK
        if day.phase is Phase.SETTING_UP or day.folder is None:
            return NOT_BEGUN
        begun = self._is_recorded or day.model.state not in STATES_BEFORE
        return "" if begun or day.phase is Phase.ENDED else NOT_BEGUN

    def _count(self, model: SessionModel) -> None:
        """Follow the progress that control tells; a baseline once left is recorded."""
        telemetry = model.telemetry
        if model.state is TaskState.BASELINE:
            self._progress = telemetry.progress if telemetry is not None else self._progress
        elif model.calibration is not None or model.state not in STATES_BEFORE:
            self._is_recorded = True
            self._progress = 1.0

    def _tell(self, model: SessionModel) -> None:
        session = self.day.session
        block = session.experiment.baseline if session is not None else None
        self.progress.setValue(round(1000 * self._progress))
        why = self._missing()
        if block is None or why:
            self.head.setText("Baseline")
            self.about.setText(self.day.scoring.trouble or why)
            self.progress.setFormat("")
            return
        gone, whole = clock(self._progress * block.duration_s), clock(block.duration_s)
        self.progress.setFormat(f"{gone} of {whole}")
        recording = model.state is TaskState.BASELINE
        self.head.setText(f"Baseline {gone} of {whole}" if recording else "Baseline: recorded")
        level = _median(model)
        told = [
            f"the animal sees {block.stimulus}",
            f"median F {level:.0f} counts" if isfinite(level) else "",
            f"{counted(model.lost_frames, 'frame')} lost",
            self._busy,
        ]
        if model.calibration is not None:
            found = model.calibration
            told.append(f"T {found.t:.3f}, lo {found.lo:.3f}; chance {model.chance.words}")
            told += found.warnings
        self.about.setText(self.day.scoring.trouble or " · ".join(part for part in told if part))

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.score_button)
        buttons.addWidget(self.again_button)
        screen = QFrame()
        screen.setObjectName("panel")
        inside = QHBoxLayout(screen)
        inside.addWidget(self.grating)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.head, self.progress, self.about):
            column.addWidget(widget)
        column.addWidget(screen, 2)
        column.addLayout(buttons)
        column.addWidget(self.table, 3)
        right = QVBoxLayout()
        right.setSpacing(2)
        right.addWidget(self.heat_map, 3)
        right.addWidget(self.traces, 3)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(left, round(100 * LEFT_SHARE))
        row.addLayout(right, round(100 * (1 - LEFT_SHARE)))


def _median(model: SessionModel) -> float:
    """Median over all ROIs of the newest fluorescence above dark, counts; NaN: none yet."""
    ring, info = model.fluorescence, model.info
    if ring is None or info is None or ring.total < 2:
        return nan
    # the newest column may lack planes that are still to come
    column = ring.values[:, (ring.total - 2) % len(ring.t_ns)]
    known = column[np.isfinite(column)]
    return float(np.median(known)) - info.dark_counts if len(known) else nan
