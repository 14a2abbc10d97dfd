"""The scores of every ROI, to be sorted and chosen from."""

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QObject,
    QSortFilterProxyModel,
    Qt,
    pyqtSignal,
)
from PyQt6.QtGui import QColor, QKeyEvent
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from bci.analysis.baseline.proposal import shortcomings
from bci.analysis.baseline.scores import RoiScore, Scores
from bci.config.ensembles import EnsembleChoice
from bci.gui import theme
from bci.gui.choice import MINUS, NONE, PLUS

COLUMNS: tuple[tuple[str, str, Callable[[RoiScore], Any], str], ...] = (
    ("ROI", "{}", lambda roi: roi.label, "region of interest"),
    ("", "{}", lambda _: "", "P+ or P−"),
    ("SNR", "{:.0f}", lambda roi: roi.snr, "median event over the SD of the noise"),
    ("Hz", "{:.2f}", lambda roi: roi.event_rate_hz, "events a second"),
    ("drift", "{:+.0%}", lambda roi: roi.drift, "change of F0 over the baseline"),
    ("τ", "{:.2f}", lambda roi: roi.decay_s, "decay constant of the mean transient, s"),
    ("r", "{:.2f}", lambda roi: roi.correlation_max, "largest correlation with another ROI"),
    ("90°−0°", "{:+.2f}", lambda roi: roi.tuning, "response to the target's grating minus 0°"),
    ("short of", "{}", lambda _: "", "why it is no candidate: experiment.ensembles"),
    ("like", "{}", lambda roi: roi.most_like, "the ROI of that r: the same neuron?"),
)
"""Name, form, value, and what it tells."""
SIDE, SNR, WHY_NOT, LIKE = 1, 2, 8, 9
COLOURS = {PLUS: theme.P_PLUS, MINUS: theme.P_MINUS}
NARROWEST_PX = 34
ROWS_MEASURED = 50
KEYS = {
    Qt.Key.Key_Plus: PLUS,
    Qt.Key.Key_Minus: MINUS,
    Qt.Key.Key_Delete: NONE,
    Qt.Key.Key_Backspace: NONE,
}


class ScoreModel(QAbstractTableModel):
    """One row an ROI of the decoded plane."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[RoiScore] = []
        self.faults: dict[str, str] = {}
        self._side_of: Callable[[str], str] = lambda _: NONE

    def show_scores(self, scores: Scores | None, settings: EnsembleChoice) -> None:
        """Take other scores; None: none."""
        self.beginResetModel()
        rois = [] if scores is None else [r for r in scores.rois if r.plane == scores.plane]
        self.rows = rois
        self.faults = {roi.label: ", ".join(shortcomings(roi, roi.plane, settings)) for roi in rois}
        self.endResetModel()

    def show_sides(self, side_of: Callable[[str], str]) -> None:
        """Take another choice."""
        self._side_of = side_of
        if self.rows:
            self.dataChanged.emit(
                self.index(0, 0), self.index(len(self.rows) - 1, len(COLUMNS) - 1)
            )

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Number of ROIs."""
        return len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Number of columns."""
        return len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Name of a column, and what it tells."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section][0]
            case Qt.ItemDataRole.ToolTipRole:
                return COLUMNS[section][3]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows, what it is sorted by, its colour."""
        roi, column = self.rows[index.row()], index.column()
        side = self._side_of(roi.label)
        value = COLUMNS[column][2](roi)
        if column == SIDE:
            value = side
        elif column == WHY_NOT:
            value = self.faults[roi.label]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return COLUMNS[column][1].format(value) if value == value else "–"
            case Qt.ItemDataRole.ToolTipRole if column == WHY_NOT:
                return value
            case Qt.ItemDataRole.UserRole:
                return value if value == value else float("-inf")
            case Qt.ItemDataRole.ForegroundRole:
                colour = COLOURS.get(side) or (theme.DIM if self.faults[roi.label] else theme.TEXT)
                return QColor(colour)
            case Qt.ItemDataRole.TextAlignmentRole:
                right = isinstance(value, float)
                flag = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
                return int(flag | Qt.AlignmentFlag.AlignVCenter)
        return None


class ScoreTable(QTableView):
    """The table; + and − put the marked ROI into an ensemble, Delete takes it out.

    Signals
    -------
    assigned(str, str)
        Label and side.
    marked(str)
        Label of the row that is marked now.
    """

    assigned = pyqtSignal(str, str)
    marked = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.scores = ScoreModel(self)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self.scores)
        self._sorted.setSortRole(Qt.ItemDataRole.UserRole)
        self.setModel(self._sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(SNR, Qt.SortOrder.DescendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is not None and down is not None:
            down.hide()
            # words may be shortened where there is no room: a tooltip tells them in full
            across.setSectionResizeMode(WHY_NOT, QHeaderView.ResizeMode.Stretch)
            across.setMinimumSectionSize(NARROWEST_PX)
            # of thousands of rows some tell how wide a column must be
            across.setResizeContentsPrecision(ROWS_MEASURED)
            self.resizeColumnsToContents()
        selection = self.selectionModel()
        assert selection is not None
        selection.currentRowChanged.connect(lambda *_: self.marked.emit(self.current))

    @property
    def current(self) -> str:
        """Label of the marked row; empty: none is marked."""
        index = self._sorted.mapToSource(self.currentIndex())
        return self.scores.rows[index.row()].label if index.isValid() else ""

    def labels(self) -> list[str]:
        """Labels in the order that is shown."""
        order = (self._sorted.mapToSource(self._sorted.index(row, 0)) for row in range(self.n_rows))
        return [self.scores.rows[index.row()].label for index in order]

    @property
    def n_rows(self) -> int:
        """Rows that are shown."""
        return self._sorted.rowCount()

    def mark(self, label: str) -> None:
        """Mark the row of an ROI and bring it into sight."""
        shown = self.labels()
        if label in shown and label != self.current:
            self.setCurrentIndex(self._sorted.index(shown.index(label), 0))

    def changeEvent(self, event: QEvent | None) -> None:
        """Give columns the width that another size of the text needs."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self.resizeColumnsToContents()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Take + and − and Delete."""
        side = KEYS.get(Qt.Key(event.key())) if event is not None else None
        if side is None or not self.current:
            super().keyPressEvent(event)
            return
        self.assigned.emit(self.current, side)
