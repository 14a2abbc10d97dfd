"""A table of the settings on the form: folds, and holds its settings and the tables in it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bci.config.fault import Fault
from bci.config.outline import Setting, Table
from bci.gui.settings.row import SettingRow

INDENT_PX = 22


class Group(QFrame):
    """One table, which can be folded; unfolds where something in it has become wrong.

    Its rows are made when they are first seen, because most tables stay folded.

    Signals
    -------
    edited, reset
        As of `SettingRow`, of whatever is in it.
    """

    edited = pyqtSignal(str, object)
    reset = pyqtSignal(str)

    def __init__(self, table: Table, indent_px: int = 0, *, unfolded: bool = False) -> None:
        super().__init__()
        self._indent_px = indent_px
        self.table = table
        self._shape: tuple[Any, ...] | None = None
        self._lock = ""
        self._told_of: set[str] = set()
        self.rows: dict[str, SettingRow] = {}
        self.groups: dict[str, Group] = {}
        self.head = QPushButton()
        self.head.setObjectName("fold")
        self.head.setCheckable(True)
        self.head.setChecked(unfolded)
        self.head.toggled.connect(self._fold)
        self.used = QCheckBox("used")
        self.used.setVisible(table.optional)
        self.used.clicked.connect(lambda on: self.edited.emit(table.key, {} if on else None))
        self.kind = QComboBox()
        self.kind.addItems(list(table.variants))
        self.kind.setPlaceholderText(table.usual)
        self.kind.setVisible(len(table.variants) > 1)
        self.kind.activated.connect(lambda _: self._choose())
        self._told = QLabel()
        self._told.setObjectName("small")
        self._told.setWordWrap(True)
        self.fault = QLabel()
        self.fault.setProperty("state", "wrong")
        self.fault.setWordWrap(True)
        self.fault.hide()
        top = QHBoxLayout()
        for widget in (self.head, self.used, self.kind):
            top.addWidget(widget)
        top.addWidget(self._told, 1)
        self._body = QWidget()
        self._inside = QVBoxLayout(self._body)
        self._inside.setContentsMargins(INDENT_PX, 0, 0, 4)
        self._inside.setSpacing(2)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addLayout(top)
        whole.addWidget(self.fault)
        whole.addWidget(self._body)
        self._values: Any = None
        self._fold(unfolded)

    def show_values(self, values: Any) -> None:
        """Show a table as it is written; None: it is not there."""
        self._values = values
        self._fit()
        table = values if isinstance(values, Mapping) else {}
        for name, row in self.rows.items():
            row.show_value(table.get(name))
        for name, group in self.groups.items():
            group.show_values(table.get(name))
        self.used.setChecked(values is not None)
        if len(self.table.variants) > 1:
            kinds: list[Any] = list(self.table.variants)
            kind = table.get("kind")
            self.kind.setCurrentIndex(kinds.index(kind) if kind in kinds else -1)
        self._tell()

    def show_faults(self, faults: Sequence[Fault]) -> None:
        """Tell each setting what is wrong with it, and open where something is."""
        key = self.table.key
        here = {key, f"{key}.kind"} if len(self.table.variants) > 1 else {key}
        mine = [fault for fault in faults if key and fault.key in here]
        inside = [fault for fault in faults if not key or fault.key.startswith(f"{key}.")]
        keys = {fault.key for fault in inside}
        if keys - self._told_of:
            self.head.setChecked(True)
        self._told_of = keys
        self.fault.setText("\n".join(f"✕ {fault}" for fault in mine))
        self.fault.setVisible(bool(mine))
        for row in self.rows.values():
            row.show_faults([fault for fault in faults if fault.key == row.setting.key])
        for group in self.groups.values():
            group.show_faults(faults)

    def lock(self, reason: str) -> None:
        """Let nobody change anything in it, and say why."""
        self._lock = reason
        for widget in (self.used, self.kind):
            widget.setEnabled(not reason)
            widget.setToolTip(f"locked: {reason}" if reason else "")
        for row in self.rows.values():
            row.lock(reason)
        for group in self.groups.values():
            group.lock(reason)

    def filter(self, text: str, changed_only: bool) -> bool:
        """Show the settings alone that match; True where there are any."""
        self._build_all(bool(text or changed_only))
        found = False
        for row in self.rows.values():
            fits = row.matches(text) and (row.differs or not changed_only)
            row.setVisible(fits)
            found = found or fits
        for group in self.groups.values():
            found = group.filter(text, changed_only) or found
        narrowed = bool(text or changed_only)
        self.setVisible(found or not narrowed)
        self._body.setVisible(self.head.isChecked() or (narrowed and found))
        return found

    @property
    def unfolded(self) -> list[str]:
        """Keys of the tables in it, and of itself, that stand open."""
        if not self.head.isChecked():
            return []
        own = [self.table.key] if self.table.key else []
        return [*own, *(key for group in self.groups.values() for key in group.unfolded)]

    def unfold(self, keys: Collection[str]) -> None:
        """Open these of the tables in it."""
        for group in self.groups.values():
            if group.table.key in keys:
                group.head.setChecked(True)
            group.unfold(keys)

    def row_of(self, key: str) -> SettingRow | None:
        """The row of a setting, its group unfolded; None where it is not on the form now."""
        for row in self.rows.values():
            if row.setting.key == key:
                self.head.setChecked(True)
                return row
        for group in self._open_groups(key):
            found = group.row_of(key)
            if found is not None:
                self.head.setChecked(True)
                return found
        return None

    def _open_groups(self, key: str) -> Iterator["Group"]:
        if not self.rows and not self.groups:
            self._build()
            self.show_values(self._values)
        for group in self.groups.values():
            if key.startswith(f"{group.table.key}."):
                yield group

    def _choose(self) -> None:
        """Another kind: what both have stays, the rest would be no keys of the new one."""
        kind = self.kind.currentText()
        names = {row.name for row in self.table.variants[kind]}
        old = self._values if isinstance(self._values, Mapping) else {}
        kept = {name: value for name, value in old.items() if name in names}
        self.edited.emit(self.table.key, {"kind": kind, **kept})

    def _fold(self, unfolded: bool) -> None:
        if unfolded:
            self._build_all(True)
        self._body.setVisible(unfolded)
        self._tell()

    def _build_all(self, wanted: bool) -> None:
        if wanted and self._shape is None:
            self._build()
            self.show_values(self._values)

    def _fit(self) -> None:
        """Make the rows anew where the table has another form than they."""
        if self._shape is not None and self._shape != self._form():
            self._build()

    def _form(self) -> tuple[Any, ...]:
        absent = self.table.optional and self._values is None
        return () if absent else self.table.rows(self._values)

    def _build(self) -> None:
        self._shape = self._form()
        for old in (*self.rows.values(), *self.groups.values()):
            self._inside.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.rows, self.groups = {}, {}
        # settings first: a table between them would hide that they belong to this one
        for row in sorted(self._shape, key=lambda row: isinstance(row, Table)):
            if isinstance(row, Setting):
                made = self.rows[row.name] = SettingRow(row, self._indent_px)
                made.edited.connect(self.edited)
                made.reset.connect(self.reset)
                self._inside.addWidget(made)
            else:
                group = self.groups[row.name] = Group(row, self._indent_px + INDENT_PX)
                group.edited.connect(self.edited)
                group.reset.connect(self.reset)
                self._inside.addWidget(group)
        self.lock(self._lock)

    def _tell(self) -> None:
        sign = "▾" if self.head.isChecked() else "▸"
        self.head.setText(f"{sign} {self.table.name.replace('_', ' ')}")
        helps = self.table.helps
        kind = self.kind.currentText() or self.table.usual if len(helps) > 1 else ""
        told = [helps.get(kind, ""), self.table.note]
        n_changed = sum(1 for _ in _written(self.table, self._values))
        if self.table.optional and self._values is None:
            told.append("not used")
        elif n_changed:
            told.append(f"● {n_changed} set")
        self._told.setText("  ".join(part for part in told if part) if self.table.key else "")


def _written(table: Table, values: Any) -> Iterator[str]:
    """Keys in a table that hold something else than their default."""
    if not isinstance(values, Mapping):
        return
    for row in table.rows(values):
        value = values.get(row.name)
        if isinstance(row, Table):
            yield from _written(row, value)
        elif value is not None and value != row.default:
            yield row.key
