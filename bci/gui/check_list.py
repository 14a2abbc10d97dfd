"""Checks one below the other: sign, name, what was found, what to do."""

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QLabel, QWidget

from bci.gui.preflight_run import PreflightRun
from bci.gui.rich_text import escaped
from bci.gui.theme import LOOKS, Light
from bci.session.check import Status

LIGHTS = {Status.OK: Light.OK, Status.WARN: Light.WARN, Status.FAIL: Light.FAIL}
TRYING = "trying …"


class CheckList(QWidget):
    """Shows a pre-flight as far as it has come."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, tuple[QLabel, QLabel, QLabel]] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 8, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(7)
        self._grid.setColumnStretch(2, 1)

    def show_run(self, run: PreflightRun) -> None:
        """Show what it has found by now."""
        if tuple(self._rows) != run.names:
            self._make_rows(run.names)
        found, current = dict(run.found), run.current
        for name, (sign, title, told) in self._rows.items():
            check = found.get(name)
            if check is None:
                _set(sign, LOOKS[Light.IDLE].sign, LOOKS[Light.IDLE].colour)
                _set(title, name)
                _set(told, TRYING if name == current else "")
                continue
            look = LOOKS[LIGHTS[check.status]]
            _set(sign, look.sign, look.colour)
            _set(title, name)
            text = escaped(check.message)
            if check.solution:
                text += f'<br><span style="color:{look.colour}">→ {escaped(check.solution)}</span>'
            _set(told, text)

    def texts(self) -> dict[str, str]:
        """What is shown beside each check."""
        return {name: told.text() for name, (_, _, told) in self._rows.items()}

    def _make_rows(self, names: tuple[str, ...]) -> None:
        for row in self._rows.values():
            for label in row:
                self._grid.removeWidget(label)
                label.deleteLater()
        self._grid.setRowStretch(len(self._rows), 0)
        self._rows = {}
        top = Qt.AlignmentFlag.AlignTop
        for place, name in enumerate(names):
            sign, title, told = QLabel(), QLabel(), QLabel()
            told.setWordWrap(True)
            told.setTextFormat(Qt.TextFormat.RichText)
            told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            for column, label in enumerate((sign, title, told)):
                self._grid.addWidget(label, place, column, top)
            self._rows[name] = (sign, title, told)
        self._grid.setRowStretch(len(names), 1)


def _set(label: QLabel, text: str, colour: str = "") -> None:
    """Change a label where it says something else."""
    if label.text() != text:
        label.setText(text)
    style = f"color: {colour}; font-weight: 700;" if colour else ""
    if label.styleSheet() != style:
        label.setStyleSheet(style)
