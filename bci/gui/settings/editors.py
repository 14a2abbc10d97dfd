"""One editor for each kind of setting: what it shows is what a file would say."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QEvent, pyqtSignal
from PyQt6.QtGui import QKeySequence, QWheelEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)

from bci.config.outline import Kind, Setting
from bci.config.toml_text import NotToml, parse_toml

LINES_SHOWN = 5
NONE = "none"


class Editor(QWidget):
    """Shows the value of one setting and tells when somebody changes it.

    Signals
    -------
    edited
        The value as a file would hold it, None where nothing is to be written.
    """

    edited = pyqtSignal(object)

    def show_value(self, value: Any) -> None:
        """Show what is written; None: nothing. Tells nobody."""
        raise NotImplementedError


class LineEditor(Editor):
    """One line: numbers, text, dates, paths, and whatever else TOML can say.

    What cannot be read as its kind is kept as text, so that its fault can be told.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        self._shown: Any = None
        self.line = _Line()
        if setting.default is not None:
            self.line.setPlaceholderText(text_of(setting.default, setting.kind))
        elif setting.optional:
            self.line.setPlaceholderText(NONE)
        self.line.textEdited.connect(self._edited)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line)
        self.setFocusProxy(self.line)
        if setting.kind is Kind.PATH:
            browse = QPushButton("…")
            browse.setToolTip("look for the file or folder")
            browse.clicked.connect(self._browse)
            row.addWidget(browse)

    def show_value(self, value: Any) -> None:
        """Show it, unless it is what already stands there in other words."""
        if value is None or value != self._shown or not self.line.text():
            self.line.setText("" if value is None else text_of(value, self._setting.kind))
        self._shown = value

    def _edited(self, text: str) -> None:
        self._shown = value_of(text, self._setting.kind)
        self.edited.emit(self._shown)

    def _browse(self) -> None:
        dialog = QFileDialog(self.window(), f"{self._setting.key}", self.line.text())
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.fileSelected.connect(self._chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _chosen(self, path: str) -> None:
        self.line.setText(str(Path(path)))
        self._edited(self.line.text())


class ChoiceEditor(Editor):
    """One of a few words; a word that is none of them is shown as it is."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        self.box = _Box()
        self._values: list[Any] = []
        self._fill(None)
        self.box.activated.connect(lambda place: self.edited.emit(self._values[place]))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.box)
        self.setFocusProxy(self.box)

    def show_value(self, value: Any) -> None:
        """Choose it; nothing written chooses the default."""
        self._fill(value)
        shown = self._setting.default if value is None else value
        self.box.setCurrentIndex(self._values.index(shown) if shown in self._values else -1)

    def _fill(self, value: Any) -> None:
        strange = [] if value is None or value in self._setting.choices else [value]
        none = [None] if self._setting.optional else []
        self._values = [*none, *self._setting.choices, *strange]
        self.box.clear()
        self.box.addItems([NONE if each is None else str(each) for each in self._values])
        self.box.setCurrentIndex(-1)


class TruthEditor(Editor):
    """Yes or no."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        self.box = QCheckBox()
        self.box.clicked.connect(self._clicked)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.box)
        row.addStretch()
        self.setFocusProxy(self.box)

    def show_value(self, value: Any) -> None:
        """Tick it or not; what is neither yes nor no is shown as a word beside it."""
        shown = self._setting.default if value is None else value
        self.box.setChecked(shown is True)
        self.box.setText({True: "yes", False: "no", None: ""}.get(shown, str(shown)))

    def _clicked(self, ticked: bool) -> None:
        self.box.setText("yes" if ticked else "no")
        self.edited.emit(ticked)


class TextsEditor(Editor):
    """A list of texts, one a line: labels of ROIs, names of people."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._default = list(setting.default or ())
        self._shown: Any = None
        self.text = _Lines()
        self.text.setPlaceholderText("one a line" + ("" if setting.needed else ", or none"))
        self.text.textChanged.connect(self._edited)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text)
        self.setFocusProxy(self.text)
        self._fit()

    def show_value(self, value: Any) -> None:
        """Show each on a line of its own."""
        shown = self._default if value is None else value
        if shown == self._shown:
            return
        self._shown = shown
        lines = [str(each) for each in shown] if isinstance(shown, list) else [str(shown)]
        blocked = self.text.blockSignals(True)
        self.text.setPlainText("\n".join(lines))
        self.text.blockSignals(blocked)
        self._fit()

    def _edited(self) -> None:
        lines = [line.strip() for line in self.text.toPlainText().splitlines()]
        self._shown = [line for line in lines if line]
        self._fit()
        self.edited.emit(self._shown)

    def _fit(self) -> None:
        n_lines = min(LINES_SHOWN, max(1, self.text.blockCount()))
        self.text.setFixedHeight(n_lines * self.text.fontMetrics().lineSpacing() + 22)


def editor_for(setting: Setting) -> Editor:
    """The editor of a setting."""
    match setting.kind:
        case Kind.CHOICE:
            return ChoiceEditor(setting)
        case Kind.TRUTH:
            return TruthEditor(setting)
        case Kind.TEXTS:
            return TextsEditor(setting)
        case _:
            return LineEditor(setting)


def text_of(value: Any, kind: Kind) -> str:
    """A value as it is typed."""
    if isinstance(value, list) and kind is Kind.NUMBERS:
        return ", ".join(text_of(each, kind) for each in value)
    if isinstance(value, str | date | Path):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return json.dumps(value, default=str, ensure_ascii=False)


def value_of(text: str, kind: Kind) -> Any:
    """What was typed, as a file would hold it; None: nothing.

    Where it cannot be read as what the setting holds, the text itself.
    """
    text = text.strip()
    if not text:
        return None
    if kind in (Kind.TEXT, Kind.PATH, Kind.DATE):
        return text
    try:
        return parse_toml(f"value = [{text}]" if kind is Kind.NUMBERS else f"value = {text}")[
            "value"
        ]
    except NotToml:
        return text


class _Line(QLineEdit):
    """A line whose undo is that of the form."""

    def event(self, event: QEvent | None) -> bool:
        if event is not None and event.type() is QEvent.Type.ShortcutOverride:
            for keys in (QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo):
                if event.matches(keys):  # type: ignore[attr-defined]
                    event.ignore()
                    return False
        return super().event(event)


class _Lines(QPlainTextEdit):
    """Lines whose undo is that of the form; the Tab key goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)


class _Box(QComboBox):
    """A box that a wheel turned over it in passing does not change."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()
