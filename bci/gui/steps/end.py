"""How the session ended, and what it leaves."""

from math import isfinite
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QRegularExpression, Qt, QUrl
from PyQt6.QtGui import QDesktopServices, QRegularExpressionValidator
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bci.gui.day import Day, Phase
from bci.gui.rich_text import escaped
from bci.gui.step import Step, StepStatus
from bci.gui.theme import GREEN, VERMILION, Light
from bci.recording.manifest import Manifest
from bci.recording.subject import DayNote, SubjectFolder, now_iso

GRAMS = QRegularExpression(r"\d{1,4}([.,]\d{0,2})?")
"""A weight below 10 kg. In a country that writes a comma, a number's point is none to Qt, and
21.5 would be 215."""
KIB = 1024
NOT_OVER = "the session is not over"
UNTOLD = "it ended without a last word: see log.jsonl, then bci recover"


class EndStep(Step):
    """Outcome, figures and files; weight and notes go into the subject's folder."""

    title = "End"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.noted: list[DayNote] = []
        self._of: Manifest | None = None
        self._readings = 0
        self.head = QLabel()
        self.head.setObjectName("title")
        self.head.setWordWrap(True)
        self.figures = _text()
        self.files = _text()
        self.files.setTextInteractionFlags(Qt.TextInteractionFlag.LinksAccessibleByMouse)
        self.files.linkActivated.connect(lambda link: QDesktopServices.openUrl(QUrl(link)))
        self.report_button = QPushButton("Open the report")
        self.report_button.clicked.connect(lambda: self._open("report"))
        self.folder_button = QPushButton("Open the folder")
        self.folder_button.clicked.connect(lambda: self._open("folder"))
        self.weight = QLineEdit()
        self.weight.setPlaceholderText("weight of the animal")
        self.weight.setValidator(QRegularExpressionValidator(GRAMS))
        self.notes = QPlainTextEdit()
        self.notes.setPlaceholderText("notes on the day")
        self.notes.setTabChangesFocus(True)
        self.save_button = QPushButton("Write down")
        self.save_button.setObjectName("go")
        self.save_button.clicked.connect(self.write_down)
        self.weight.returnPressed.connect(self.write_down)
        self.written = _text()
        self.again_button = QPushButton("Next session")
        self.again_button.setObjectName("big")
        self.again_button.clicked.connect(day.new_session)
        self._lay_out()
        self.session_changed()

    def status(self) -> StepStatus:
        """Green once the session ended well and the animal was weighed."""
        manifest = self._manifest()
        if manifest is None:
            return StepStatus(Light.IDLE, NOT_OVER)
        outcome = manifest.outcome
        if outcome.get("ok") is not True:
            return StepStatus(Light.FAIL, str(outcome.get("reason", UNTOLD)))
        if not any(note.weight_g for note in self.noted):
            return StepStatus(Light.WARN, "the animal's weight is not written down yet")
        return StepStatus(Light.OK, str(outcome.get("reason", "")))

    def session_changed(self) -> None:
        """Show what there is of the session, and what was written down after it."""
        manifest = self._manifest()
        over = manifest is not None
        if manifest is not self._of:
            # what was written down after another session is not this animal's
            self._of, self.noted = manifest, []
            self.written.clear()
        for widget in (self.weight, self.notes, self.save_button, self.folder_button):
            widget.setEnabled(over)
        self.again_button.setEnabled(self.day.phase is Phase.ENDED)
        self.report_button.setEnabled("report" in self._files())
        if manifest is None:
            self.head.setText("The session is not over")
            for label in (self.figures, self.files):
                label.clear()
            return
        ok = manifest.outcome.get("ok") is True
        look = GREEN if ok else VERMILION
        reason = escaped(str(manifest.outcome.get("reason", UNTOLD)))
        sign = "✓" if ok else "✕"
        self.head.setText(f'<span style="color:{look}">{sign}</span> {reason}')
        self.figures.setText(_figures(manifest))
        self.files.setText(_links(self._files()))
        self._read_notes(manifest)

    def write_down(self) -> None:
        """Add weight and notes to the subject's folder, in a thread; nothing where both are empty.

        Nothing is written over: what is written down later stands beside it.
        """
        manifest, folder = self._manifest(), self.day.folder
        text, weight_g = self.notes.toPlainText().strip(), self._weight_g()
        if manifest is None or folder is None or not (text or weight_g):
            return
        note = DayNote(at=now_iso(), text=text, weight_g=weight_g)
        subject = SubjectFolder(folder.parent.parent, manifest.subject)
        self.save_button.setEnabled(False)

        def done(path: Path | None, error: Exception | None) -> None:
            self.save_button.setEnabled(True)
            if path is None:
                self.day.said.emit(f"not written down: {error}")
                self.written.setText(f"✕ not written down: {escaped(str(error))}")
                return
            if self._manifest() is not manifest:
                return
            self.weight.clear()
            self.notes.clear()
            self._read_notes(manifest)

        self.day.work(lambda: subject.add(note), done)

    def _weight_g(self) -> float | None:
        try:
            weight_g = float(self.weight.text().replace(",", "."))
        except ValueError:
            return None
        return weight_g if weight_g > 0 else None

    def _read_notes(self, manifest: Manifest) -> None:
        folder = self.day.folder
        if folder is None:
            return
        subject = SubjectFolder(folder.parent.parent, manifest.subject)
        self._readings += 1
        reading = self._readings

        def done(notes: list[DayNote] | None, error: Exception | None) -> None:
            # one that was asked for earlier may come later, and knows less
            if self._manifest() is not manifest or reading != self._readings:
                return
            if notes is None:
                self.written.setText(f"✕ {escaped(str(error))}")
                return
            self.noted = [note for note in notes if note.at[:10] == manifest.started[:10]]
            self._show_notes()

        self.day.work(subject.notes, done)

    def _show_notes(self) -> None:
        lines = []
        for note in self.noted:
            weight = f"{note.weight_g:g} g  " if note.weight_g else ""
            lines.append(f"✓ {note.at[11:16]}  {weight}{escaped(note.text)}")
        self.written.setText("<br>".join(lines))

    def _manifest(self) -> Manifest | None:
        """Of the session where it is over."""
        return self.day.manifest if self.day.phase is Phase.ENDED else None

    def _files(self) -> dict[str, Path]:
        """Files that the session has left and that are there, by what they are."""
        manifest, folder = self._manifest(), self.day.folder
        if manifest is None or folder is None:
            return {}
        told = manifest.outcome.get("files")
        names = [Path(str(path)).name for path in told.values()] if isinstance(told, dict) else []
        kinds = list(told) if isinstance(told, dict) else []
        found = {kind: folder / name for kind, name in zip(kinds, names, strict=True)}
        return {kind: path for kind, path in found.items() if path.is_file()}

    def _open(self, kind: str) -> None:
        path = self.day.folder if kind == "folder" else self._files().get(kind)
        if path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.resolve())))

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.addWidget(_panel("What came of it", self.figures), 1)
        left.addWidget(_panel("Files", self.files, _beside(self.report_button, self.folder_button)))
        right = QVBoxLayout()
        unit = _beside(self.weight, QLabel("g"))
        right.addWidget(_panel("The animal", unit, self.notes, self.save_button, self.written), 1)
        right.addWidget(self.again_button)
        both = QHBoxLayout()
        both.addLayout(left, 3)
        both.addLayout(right, 2)
        column = QVBoxLayout(self)
        column.addWidget(self.head)
        column.addLayout(both, 1)


def _figures(manifest: Manifest) -> str:
    """The figures of a session as a table."""
    summary = manifest.outcome.get("summary")
    if not isinstance(summary, dict) or not summary:
        return "no figures: it ended before its first frame"
    performance = summary.get("performance")
    told: dict[str, Any] = performance if isinstance(performance, dict) else {}
    rows = [
        ("trials", _number(summary.get("trials"), "{:.0f}")),
        ("hits, misses", f"{_number(summary.get('hits'))}, {_number(summary.get('misses'))}"),
        ("accuracy", _interval([told.get(f"accuracy{end}") for end in ("", "_low", "_high")])),
        ("chance that the baseline predicts", str(summary.get("chance_words") or "unknown")),
        ("rewards", _number(summary.get("rewards_done"))),
        ("rewards per minute in trials", _number(told.get("rewards_per_min"), "{:.1f}")),
        ("rewards per minute of RUN", _number(told.get("rewards_per_run_min"), "{:.1f}")),
        ("volume", f"{_number(summary.get('volume_ul'), '{:.1f}')} µl"),
        ("volume today", f"{_number(summary.get('today_ul'), '{:.1f}')} µl"),
        ("T", _number(summary.get("t"), "{:.3f}")),
        ("frames lost", _number(summary.get("lost_frames"))),
        ("entries in the ledger", _number(summary.get("ledger_entries"))),
    ]
    cells = "".join(
        f'<tr><td style="padding-right:24px">{escaped(name)}</td><td><b>{escaped(value)}</b></td>'
        "</tr>"
        for name, value in rows
    )
    return f"<table cellspacing=3>{cells}</table>"


def _number(value: Any, form: str = "{:g}") -> str:
    known = isinstance(value, int | float) and isfinite(value)
    return form.format(value) if known else "–"


def _interval(values: list[Any]) -> str:
    value, low, high = (
        _number(100 * each if isinstance(each, float | int) else None, "{:.0f}") for each in values
    )
    return "–" if value == "–" else f"{value} % ({low} to {high})"


def _links(files: dict[str, Path]) -> str:
    lines = []
    for kind, path in files.items():
        size = path.stat().st_size / KIB
        told = f"{size / KIB:,.1f} MB" if size > KIB else f"{size:,.0f} kB"
        link = QUrl.fromLocalFile(str(path.resolve())).toString()
        name = escaped(str(path))
        lines.append(f'{kind}: <a style="color:#56b4e9" href="{link}">{name}</a>  {told}')
    return "<br>".join(lines)


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    return label


def _beside(*widgets: QWidget) -> QWidget:
    whole = QWidget()
    row = QHBoxLayout(whole)
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return whole


def _panel(title: str, *widgets: QWidget) -> QFrame:
    panel = QFrame()
    panel.setObjectName("panel")
    column = QVBoxLayout(panel)
    head = QLabel(title)
    head.setObjectName("heading")
    column.addWidget(head)
    for widget in widgets:
        column.addWidget(widget, 1 if isinstance(widget, QPlainTextEdit) else 0)
    column.addStretch()
    return panel
