"""P+, P− and the threshold that the baseline gives."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from bci.analysis.baseline.calibration import Calibrated
from bci.core.ensembles import CHOSEN_BEFORE, FEWEST, are_chosen_within
from bci.core.loop_types import EnsemblesSet, TaskState
from bci.gui.baseline_work import Scored
from bci.gui.choice import NEXT, ChoiceBook, Sides
from bci.gui.choice_words import figures, listed, origin
from bci.gui.day import Day, Phase
from bci.gui.rich_text import breakable
from bci.gui.step import Step, StepStatus
from bci.gui.theme import P_MINUS, P_PLUS, Light, shown_scale
from bci.gui.views.distribution import DistributionPlot
from bci.gui.views.roi_map import RoiMap
from bci.gui.views.score_table import ScoreTable
from bci.stream.operator import Reply

NO_BASELINE = "no baseline yet: it comes with the session"
SCORE_FIRST = "score the ROIs first"
SCORING = "scoring the ROIs …"
HELP = "click in the map, or + − and Delete in the table"


class EnsemblesStep(Step):
    """Scores of every ROI, the choice, and what T and chance come of it.

    Whatever takes time is done beside the window; a choice that changes meanwhile is calibrated
    again.
    """

    title = "Ensembles"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.scored: Scored | None = None
        self.found: Calibrated | None = None
        self.book = ChoiceBook()
        self.trouble = ""
        self.busy = ""
        self._seed: int | None = None
        self._calibrated: Sides | None = None
        self._is_sure = False
        self.head = QLabel()
        self.head.setObjectName("title")
        self.score_button = QPushButton("Score the ROIs  F5")
        self.score_button.setShortcut("F5")
        self.propose_button = QPushButton("Propose")
        self.seed = QSpinBox()
        self.seed.setRange(0, 99_999)
        self.seed.setPrefix("seed ")
        self.split_button = QPushButton("Split anew")
        self.undo_button = QPushButton("Undo")
        self.rest_button = QPushButton()
        self.use_button = QPushButton("Use these")
        self.use_button.setObjectName("go")
        self.table, self.map, self.plot = ScoreTable(), RoiMap(), DistributionPlot()
        self.ensembles, self.figures, self.note = (_text() for _ in range(3))
        self.note.setObjectName("dim")
        self._lay_out()
        self.score_button.clicked.connect(self.score)
        day.scoring.changed.connect(self._scored)
        self.propose_button.clicked.connect(self.propose)
        self.split_button.clicked.connect(self.split)
        self.undo_button.clicked.connect(self.undo)
        self.rest_button.clicked.connect(self.go_on_with_the_rest)
        self.use_button.clicked.connect(self.use)
        self.table.assigned.connect(self.assign)
        self.table.marked.connect(lambda _: self._draw())
        self.map.picked.connect(self._cycle)
        self.session_changed()

    # -- how it stands -----------------------------------------------------------------------

    def status(self) -> StepStatus:
        """Green once a choice has its threshold."""
        if self.trouble:
            return StepStatus(Light.FAIL, self.trouble.splitlines()[0])
        if self.busy:
            return StepStatus(Light.WARN, self.busy)
        if self.scored is None:
            why = self._no_baseline()
            return StepStatus(Light.IDLE if why else Light.WARN, why or SCORE_FIRST)
        if self.scored.missing and set(self.scored.missing) & set(self.book.sides.labels):
            return StepStatus(Light.FAIL, f"missing today: {', '.join(self.scored.missing)}")
        if self.found is None:
            return StepStatus(Light.WARN, self._incomplete() or "T is not known yet")
        result = self.found.result
        light = Light.WARN if result.warnings else Light.OK
        return StepStatus(light, f"T {result.t:.3f}, chance {result.chance_words}")

    def refresh(self) -> None:
        """Let the buttons tell what can be done now."""
        why, scored = self._no_baseline(), self.scored
        self.score_button.setEnabled(not why and not self.busy)
        self.score_button.setToolTip(why)
        for button in (self.propose_button, self.split_button, self.seed):
            button.setEnabled(scored is not None)
            button.setToolTip("" if scored is not None else SCORE_FIRST)
        self.undo_button.setEnabled(self.book.can_undo)
        missing = () if scored is None else scored.missing
        self.rest_button.setVisible(bool(set(missing) & set(self.book.sides.labels)))
        self.rest_button.setText(f"Go on without {', '.join(missing)}")
        refused = self._cannot_use()
        self.use_button.setEnabled(not refused)
        self.use_button.setToolTip(refused)
        self.head.setText(self.busy or self.trouble.partition("\n")[0] or "P+ and P−")

    def session_changed(self) -> None:
        """Another session has another baseline; one that has ended has its own still."""
        if self.scored is not None and self.scored is self.day.scoring.scored:
            return
        self.scored, self.found, self.trouble, self.busy = None, None, "", ""
        self._calibrated, self._is_sure, self._seed = None, False, None
        self.book.clear()
        session = self.day.session
        if session is not None:
            self.seed.setValue(session.experiment.ensembles.seed)
            self.table.scores.show_scores(None, session.experiment.ensembles)
        self.map.show_rois(())
        self._draw()

    # -- what the operator does --------------------------------------------------------------

    def score(self) -> None:
        """Run the baseline of the session through the loop, all ROIs at once."""
        if not self._no_baseline() and not self.busy:
            self.trouble = ""
            self.day.scoring.score()

    def propose(self) -> None:
        """Take the best candidates, split by the seed."""
        if self.scored is None:
            return
        try:
            sides = self.scored.proposed(self.seed.value())
        except ValueError as error:
            self._fail(error)
            return
        self._seed = self.seed.value()
        self._set(sides)

    def split(self) -> None:
        """Propose with the next seed."""
        self.seed.setValue(self.seed.value() + 1)
        self.propose()

    def assign(self, label: str, side: str) -> None:
        """Put an ROI into an ensemble, or out of both."""
        if self.scored is None or label not in self.scored.scores.labels:
            self.day.said.emit(f"{label} had no value in some frames: it cannot be decoded")
            return
        self._seed = None
        self._set(self.book.sides.with_roi(label, side))

    def undo(self) -> None:
        """The choice before this one."""
        self.book.undo()
        self._chosen()

    def go_on_with_the_rest(self) -> None:
        """Leave out what is missing today; the animal's own ensembles stay as they are."""
        if self.scored is not None:
            self._set(self.book.sides.without(self.scored.missing))

    def use(self) -> None:
        """Give the choice to the running session, or keep it for the animal."""
        scored, found, sides = self.scored, self.found, self.book.sides
        if scored is None or found is None or self._cannot_use():
            return
        if self.day.phase is Phase.RUNNING:
            how = "by hand" if self._seed is None else f"split with seed {self._seed}"
            self.day.ask(EnsemblesSet(sides.plus, sides.minus, f"operator, {how}"), self._answered)
            return
        if scored.stored is not None and not scored.is_stored(sides) and not self._is_sure:
            self._is_sure = True
            self.use_button.setText(f"Really choose anew for {found.session.subject}")
            return
        self.day.scoring.keep(sides, self._seed, self._kept)

    # -- inside ------------------------------------------------------------------------------

    def _scored(self) -> None:
        """Take scores that are new, whichever page asked for them."""
        scoring = self.day.scoring
        self.busy = SCORING if scoring.busy else "" if self.busy == SCORING else self.busy
        if scoring.trouble:
            self._fail(RuntimeError(scoring.trouble))
        scored = scoring.scored
        if scored is None or scored is self.scored:
            self.refresh()
            return
        self.scored = scored
        settings = scored.baseline.session.experiment.ensembles
        self.table.scores.show_scores(scored.scores, settings)
        self.map.show_rois(scored.baseline.info.plane_rois(scored.scores.plane))
        self.table.resizeColumnsToContents()
        self.book.clear()
        self.book.set(scored.first_choice())
        if not self.book.sides.labels:
            self.propose()
        self._chosen()

    def _kept(self, files: dict[str, str] | None, error: Exception | None) -> None:
        self.use_button.setText("Use these")
        if files is None:
            self._fail(error)
            return
        self.day.said.emit(f"kept: {', '.join(files.values())}")

    def _answered(self, reply: Reply) -> None:
        self.day.said.emit(
            "the session decodes these from now on" if reply.accepted else reply.reason
        )

    def _cycle(self, label: str) -> None:
        self.table.mark(label)
        self.assign(label, NEXT[self.book.sides.side_of(label)])

    def _set(self, sides: Sides) -> None:
        self.book.set(sides)
        self._chosen()

    def _chosen(self) -> None:
        """The choice is another: show it, and find its threshold."""
        self.trouble, self._is_sure = "", False
        self.use_button.setText("Use these")
        if self._calibrated != self.book.sides:
            self.found = self._calibrated = None
            self._calibrate()
        self._draw()

    def _calibrate(self) -> None:
        scored, sides = self.scored, self.book.sides
        if scored is None or self.busy or self._incomplete():
            return
        self.busy = "finding T …"

        def done(found: Calibrated | None, error: Exception | None) -> None:
            self.busy = SCORING if self.day.scoring.busy else ""
            if self.scored is not scored or self.book.sides != sides:
                self._calibrate()
                return
            self.found, self._calibrated = found, sides
            if found is None:
                self._fail(error)
            self._draw()

        self.day.scoring.calibrate(sides, self._seed, done)

    def _fail(self, error: Exception | None) -> None:
        self.trouble = str(error)
        self._draw()

    def _no_baseline(self) -> str:
        """Why there is nothing to score; empty: there is."""
        day, state = self.day, self.day.model.state
        if day.folder is None:
            return NO_BASELINE
        experiment = None if day.session is None else day.session.experiment
        if experiment is None or experiment.baseline is None:
            return "the session has no baseline block"
        if state is TaskState.BASELINE:
            return "the baseline is being recorded"
        return NO_BASELINE if state is None and day.phase is not Phase.ENDED else ""

    def _incomplete(self) -> str:
        """What the choice lacks; empty: nothing."""
        if self.scored is None:
            return SCORE_FIRST
        sides = self.book.sides
        absent = [label for label in sides.labels if label not in self.scored.scores.labels]
        if absent:
            return f"missing today: {', '.join(absent)}"
        if len(sides.plus) < FEWEST:
            return f"P+ needs {FEWEST} ROIs or more"
        if self.scored.n_sides == 2 and len(sides.minus) < FEWEST:
            return f"P− needs {FEWEST} ROIs or more"
        return (
            "P− must be empty: one population" if self.scored.n_sides == 1 and sides.minus else ""
        )

    def _cannot_use(self) -> str:
        """Why the choice cannot be used now; empty: it can."""
        incomplete = self._incomplete()
        if incomplete or self.found is None:
            return incomplete or self.trouble or "T is being found"
        if self.day.phase is Phase.RUNNING:
            return self._not_now()
        return "" if self.day.phase in (Phase.RUNNING, Phase.ENDED) else "no session"

    def _not_now(self) -> str:
        """Why the running session takes no other ensembles at this moment."""
        session, telemetry = self.day.session, self.day.model.telemetry
        if session is not None and not are_chosen_within(session.experiment):
            return CHOSEN_BEFORE
        in_block = telemetry is None or bool(telemetry.block)
        if in_block or self.day.model.state is not TaskState.WAITING:
            return "ensembles are chosen between two blocks of a session that waits for them"
        return ""

    def _draw(self) -> None:
        """Show the choice everywhere."""
        sides, scored = self.book.sides, self.scored
        self.table.scores.show_sides(sides.side_of)
        faults = self.table.scores.faults
        self.map.draw(
            sides.side_of, dim=lambda label: bool(faults.get(label)), current=self.table.current
        )
        self.plot.draw(self.found)
        self.ensembles.setText(
            f'<span style="color:{P_PLUS}">P+ ●</span> {listed(sides.plus)}<br>'
            f'<span style="color:{P_MINUS}">P− ■</span> {listed(sides.minus)}'
        )
        self.figures.setText("" if self.found is None else figures(self.found))
        self.note.setText(breakable(self.trouble).replace("\n", "<br>") or origin(scored))
        self.refresh()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the size of what is read."""
        super().resizeEvent(event)
        self.plot.scale_text(round(11 * shown_scale(self)), round(44 * shown_scale(self)))
        self._draw()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.head, 1)
        for widget in (
            self.score_button, self.propose_button, self.seed, self.split_button,
            self.undo_button, self.rest_button, self.use_button,
        ):  # fmt: skip
            top.addWidget(widget)
        right = QSplitter(Qt.Orientation.Vertical)
        right.addWidget(_panel(f"Field of view: {HELP}", self.map))
        below = QWidget()
        row = QHBoxLayout(below)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(_panel("s3 of the baseline", self.plot), 1)
        row.addWidget(_panel("The choice", self.ensembles, self.figures, self.note), 1)
        right.addWidget(below)
        right.setSizes([300, 300])
        both = QSplitter(Qt.Orientation.Horizontal)
        both.addWidget(_panel("Scores: click a heading to sort", self.table))
        both.addWidget(right)
        both.setSizes([700, 540])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(both, 1)


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    # lines break where the panel ends, also those of a table
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _panel(title: str, *widgets: QWidget) -> QFrame:
    panel = QFrame()
    panel.setObjectName("panel")
    column = QVBoxLayout(panel)
    column.setContentsMargins(8, 6, 8, 6)
    head = QLabel(title)
    head.setObjectName("heading")
    column.addWidget(head)
    if not all(isinstance(widget, QLabel) for widget in widgets):
        for widget in widgets:
            column.addWidget(widget, 1)
        return panel
    # text that does not fit is scrolled, never squeezed
    inside, area = QWidget(), QScrollArea()
    lines = QVBoxLayout(inside)
    lines.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        lines.addWidget(widget)
    lines.addStretch()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(inside)
    column.addWidget(area, 1)
    return panel
