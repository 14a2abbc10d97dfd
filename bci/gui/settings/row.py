"""One setting on the form: name, editor, unit, way back, help, what is wrong."""

from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from bci.config.fault import Fault
from bci.config.outline import Setting, words_of
from bci.gui.settings.editors import editor_for, text_of

NAME_PX, EDITOR_PX, UNIT_PX, BACK_PX = 190, 270, 70, 34


class SettingRow(QWidget):
    """A setting and everything that can be said of it.

    Parameters
    ----------
    setting
        What it shows.
    indent_px
        By how much it stands further right than others: editors stand below each other.

    Signals
    -------
    edited
        Its key and the value as a file would hold it; None: nothing.
    reset
        Its key: back to the default.
    """

    edited = pyqtSignal(str, object)
    reset = pyqtSignal(str)

    def __init__(self, setting: Setting, indent_px: int = 0) -> None:
        super().__init__()
        self.setting = setting
        self.editor = editor_for(setting)
        self.editor.setMinimumWidth(EDITOR_PX)
        self.editor.setMaximumWidth(EDITOR_PX)
        self.name = QLabel(_words(setting))
        self.name.setFixedWidth(max(1, NAME_PX - indent_px))
        self.name.setBuddy(self.editor)
        self._unit = QLabel(setting.unit)
        self._unit.setObjectName("dim")
        self._unit.setFixedWidth(UNIT_PX)
        self.back = QPushButton("↺")
        self.back.setObjectName("flat")
        self.back.setFixedWidth(BACK_PX)
        self.back.setToolTip(f"back to the default: {_default(setting)}")
        self.back.clicked.connect(lambda: self.reset.emit(setting.key))
        told = setting.help or setting.allowed
        self._help = QLabel(told)
        self._help.setObjectName("small")
        self._help.setWordWrap(True)
        self.fault = QLabel()
        self.fault.setProperty("state", "wrong")
        self.fault.setWordWrap(True)
        self.fault.hide()
        self._tip = f"{setting.key}\n{setting.allowed}; default: {_default(setting)}"
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 1, 0, 1)
        top = Qt.AlignmentFlag.AlignTop
        centre = Qt.AlignmentFlag.AlignVCenter
        for column, widget in enumerate((self.name, self.editor, self._unit, self.back)):
            grid.addWidget(widget, 0, column, top if column == 1 else centre)
        grid.addWidget(self._help, 0, 4, centre)
        hint = self.back.sizePolicy()
        hint.setRetainSizeWhenHidden(True)
        self.back.setSizePolicy(hint)
        grid.addWidget(self.fault, 1, 1, 1, 4)
        grid.setColumnStretch(4, 1)
        self.editor.edited.connect(lambda value: self.edited.emit(setting.key, value))
        self.lock("")

    @property
    def differs(self) -> bool:
        """True where it holds something else than its default."""
        return bool(self.name.property("differs"))

    def show_value(self, value: Any) -> None:
        """Show what is written, None for nothing, and whether that is the default."""
        self.editor.show_value(value)
        differs = value is not None and value != self.setting.default
        self.name.setText(f"● {_words(self.setting)}" if differs else _words(self.setting))
        self.name.setProperty("differs", differs)
        restyle(self.name)
        self.back.setVisible(value is not None and not self.setting.needed)

    def show_faults(self, faults: Sequence[Fault]) -> None:
        """Tell what is wrong with it; nothing where nothing is."""
        self.fault.setText("\n".join(f"✕ {fault}" for fault in faults))
        self.fault.setVisible(bool(faults))
        self.editor.setProperty("state", "wrong" if faults else "")
        restyle(self.editor)

    def lock(self, reason: str) -> None:
        """Let nobody change it, and say why; an empty reason unlocks."""
        self.editor.setEnabled(not reason)
        self.back.setEnabled(not reason)
        tip = f"{self._tip}\n\nlocked: {reason}" if reason else self._tip
        for widget in (self.name, self.editor, self._help):
            widget.setToolTip(tip)

    def matches(self, text: str) -> bool:
        """True where the text stands in its key or its help."""
        text = text.casefold().strip()
        told = (self.setting.key, _words(self.setting), self.setting.help)
        return any(text in each.casefold() for each in told)


def restyle(widget: QWidget) -> None:
    """Apply the style sheet again after a property has changed, to what is in it too."""
    for each in (widget, *widget.findChildren(QWidget)):
        style = each.style()
        if style is not None:
            style.unpolish(each)
            style.polish(each)


def _words(setting: Setting) -> str:
    return words_of(setting.name) if setting.unit else setting.name.replace("_", " ")


def _default(setting: Setting) -> str:
    if setting.needed:
        return "there is none"
    return "none" if setting.default is None else text_of(setting.default, setting.kind)
