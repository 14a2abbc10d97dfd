"""The settings of a session as a form: every table and setting, every fault at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from bci.config.check import faults_of
from bci.config.draft import Draft
from bci.config.fault import Fault, SettingsError
from bci.config.load import Rules
from bci.config.outline import outline
from bci.config.session import Session
from bci.gui.rich_text import escaped
from bci.gui.settings.group import Group
from bci.gui.settings.locks import REASONS, Use

CHECK_AFTER_MS = 150
SCROLL_AFTER_MS = 50
MARGIN_PX = 120
FAULTS_SHOWN = 6
UNFOLDED = ("rig", "experiment")

Checked = tuple[Session | None, list[Fault]]
Work = Callable[[Callable[[], Any], Callable[[Any, Exception | None], None]], None]
"""`Day.work`: does the first in a thread; the second gets result or error in the window's."""


class SettingsForm(QWidget):
    """Shows a session file, changes it, tells all that is wrong with it, saves it as a new one.

    Parameters
    ----------
    work
        Where what takes time is done.
    outside
        What this computer has to say against the settings: the source, the board.

    Signals
    -------
    checked
        The session that the settings make, None where they make none.
    """

    checked = pyqtSignal(object)

    def __init__(self, work: Work, outside: Rules = lambda _: []) -> None:
        super().__init__()
        self._work = work
        self._outside = outside
        self.draft = Draft({})
        self.path: Path | None = None
        self.session: Session | None = None
        self.faults: list[Fault] = []
        self.use = Use.NEXT
        self.unfolded: tuple[str, ...] = UNFOLDED
        self._checked_revision = -1
        self._unread: list[Fault] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(CHECK_AFTER_MS)
        self._timer.timeout.connect(self._check)
        self._wanted = ""
        self._scroll_timer = QTimer(self)
        self._scroll_timer.setSingleShot(True)
        self._scroll_timer.setInterval(SCROLL_AFTER_MS)
        self._scroll_timer.timeout.connect(self._scroll_to)
        self.root = Group(outline(), unfolded=True)
        self.root.head.hide()
        self.root.edited.connect(self._edited)
        self.root.reset.connect(self._reset)
        self._make_head()
        self._lay_out()
        self._keys()

    def open(self, path: Path) -> None:
        """Show a session file, wrong as it may be; one that cannot be read is told."""
        try:
            draft, unread = Draft.read(path)
        except SettingsError as error:
            self.tell(list(error.faults))
            return
        self.show_draft(draft, path, unread=unread)

    def show_draft(
        self,
        draft: Draft,
        path: Path | None,
        use: Use = Use.NEXT,
        unread: Sequence[Fault] = (),
    ) -> None:
        """Show settings from wherever they come.

        Parameters
        ----------
        draft
            Them; the form changes it.
        path
            The file they are from, None where they are from none.
        use
            What they are for, which says what may be changed.
        unread
            What could not be read of them.
        """
        self.draft, self.path, self._unread = draft, path, list(unread)
        self._checked_revision = -1
        self.set_use(use)
        self._show()
        self.root.unfold(self.unfolded)
        self._check()

    def set_use(self, use: Use) -> None:
        """Lock what this use does not let change, and say why."""
        self.use = use
        self.root.lock(REASONS[use])
        self.banner.setText(f"Locked: {REASONS[use]}")
        self.banner.setVisible(bool(REASONS[use]))
        self._enable()

    def save(self, path: Path) -> bool:
        """Write the settings as a session file of their own; False, with the reason shown, if not.

        What was locked because it is recorded is free in the new file.
        """
        try:
            self.draft.save(path)
        except OSError as error:
            self.tell([Fault("file", str(path), f"{error.strerror or error}", "save elsewhere")])
            return False
        self.path = path
        if self.use is Use.RECORDED:
            self.set_use(Use.NEXT)
        self._enable()
        return True

    def offer(self, files: Sequence[Path]) -> None:
        """Offer session files that were used before, those that are still there."""
        menu = QMenu(self.open_button)
        menu.addAction("Look for a file…", self._ask_open)
        menu.addSeparator()
        for path in files:
            if path.is_file():
                menu.addAction(str(path), lambda path=path: self.open(path))
        self.open_button.setMenu(menu)

    def go_to(self, key: str) -> None:
        """Show the setting with this key, and put the cursor there."""
        row = self.root.row_of(key)
        if row is None:
            return
        row.setVisible(True)
        self._wanted = key
        # once the unfolded tables have their places
        self._scroll_timer.start()
        row.editor.setFocus()

    def _scroll_to(self) -> None:
        row = self.root.row_of(self._wanted)
        if row is not None:
            self._scroll.ensureWidgetVisible(row, 0, MARGIN_PX)

    def undo(self) -> None:
        """Take the last change back."""
        if self.use is Use.NEXT:
            self.draft.undo()
            self._changed()

    def redo(self) -> None:
        """Make the change again that was taken back."""
        if self.use is Use.NEXT:
            self.draft.redo()
            self._changed()

    def _edited(self, key: str, value: Any) -> None:
        if self.use is not Use.NEXT:
            return
        self.draft.put(key, value)
        self._changed()

    def _reset(self, key: str) -> None:
        if self.use is Use.NEXT:
            self.draft.reset(key)
            self._changed()

    def _changed(self) -> None:
        self._unread = [f for f in self._unread if self.draft.get(f.key) is None]
        self._show()
        self._timer.start()

    def _show(self) -> None:
        self.root.show_values(self.draft.values)
        self._filter()
        self._enable()

    def _check(self) -> None:
        """Try the settings in a thread: a source may be a large file, a board a line."""
        draft, revision, unread = Draft(self.draft.values), self.draft.revision, self._unread
        owner = self.draft

        def check() -> Checked:
            return draft.check(lambda tried: [*faults_of(tried), *self._outside(tried)])

        def show(found: Checked | None, error: Exception | None) -> None:
            if owner is not self.draft or revision != self.draft.revision:
                return
            session, faults = found or (None, [Fault("settings", None, str(error), "see the log")])
            read = {fault.key for fault in unread}
            faults = [fault for fault in faults if fault.key.partition(".")[0] not in read]
            self._checked_revision = revision
            self.session = None if faults or unread else session
            self.tell([*unread, *faults])
            self.checked.emit(self.session)

        self._work(check, show)

    @property
    def settled(self) -> bool:
        """True where what stands on the form has been checked."""
        return self._checked_revision == self.draft.revision and not self._timer.isActive()

    def tell(self, faults: list[Fault]) -> None:
        """Show what is wrong, above the form and at each setting; nothing where nothing is."""
        self.faults = faults
        self.root.show_faults(faults)
        shown = faults[:FAULTS_SHOWN]
        lines = [
            f'<a style="color:#ee9a6d" href="#{fault.key}">✕ {fault.key}</a> '
            f"{escaped(str(fault).removeprefix(fault.key))}"
            for fault in shown
        ]
        if len(faults) > len(shown):
            lines.append(f"… and {len(faults) - len(shown)} more")
        n = len(faults)
        head = f"<b>{n} fault{'s' * (n != 1)}: no session starts with these settings</b>"
        self.summary.setText("<br>".join([head, *lines]) if faults else "")
        self.summary.setVisible(bool(faults))
        self._enable()

    def _filter(self) -> None:
        self.root.filter(self.find_line.text(), self.changed_only.isChecked())

    def _enable(self) -> None:
        free = self.use is Use.NEXT
        self.undo_button.setEnabled(free and self.draft.can_undo)
        self.redo_button.setEnabled(free and self.draft.can_redo)
        self.save_button.setEnabled(bool(self.draft.values))
        name = self.path.name if self.path is not None else "no file"
        mark = " ●" if self.draft.changed else ""
        self.file_label.setText(f"{name}{mark}")
        self.file_label.setToolTip(str(self.path or "") + ("\nnot saved" if mark else ""))

    def _ask_open(self) -> None:
        self._dialog(QFileDialog.AcceptMode.AcceptOpen, self.open)

    def _ask_save(self) -> None:
        self._dialog(QFileDialog.AcceptMode.AcceptSave, self.save)

    def _dialog(self, mode: QFileDialog.AcceptMode, then: Callable[[Path], Any]) -> None:
        folder = str(self.path.parent if self.path is not None else Path.cwd())
        dialog = QFileDialog(self.window(), "Session file", folder, "Session files (*.toml)")
        dialog.setAcceptMode(mode)
        dialog.setDefaultSuffix("toml")
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.fileSelected.connect(lambda name: then(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _make_head(self) -> None:
        self.file_label = QLabel()
        self.file_label.setObjectName("title")
        self.open_button = QPushButton("Open…")
        self.open_button.clicked.connect(self._ask_open)
        self.save_button = QPushButton("Save as…")
        self.save_button.clicked.connect(self._ask_save)
        self.undo_button = QPushButton("Undo")
        self.undo_button.clicked.connect(self.undo)
        self.redo_button = QPushButton("Redo")
        self.redo_button.clicked.connect(self.redo)
        self.find_line = QLineEdit()
        self.find_line.setPlaceholderText("find a setting")
        self.find_line.setClearButtonEnabled(True)
        self.find_line.textChanged.connect(self._filter)
        self.changed_only = QCheckBox("changed only")
        self.changed_only.setToolTip("show the settings alone that differ from their defaults")
        self.changed_only.toggled.connect(self._filter)
        self.banner = QLabel()
        self.banner.setWordWrap(True)
        self.banner.setProperty("state", "locked")
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.summary.setProperty("state", "wrong")
        self.summary.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.summary.linkActivated.connect(lambda link: self.go_to(QUrl(link).fragment()))

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.file_label)
        top.addStretch()
        for button in (self.open_button, self.save_button, self.undo_button, self.redo_button):
            top.addWidget(button)
        second = QHBoxLayout()
        second.addWidget(self.find_line, 1)
        second.addWidget(self.changed_only)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 8, 0)
        column.addWidget(self.root)
        column.addStretch()
        self._scroll.setWidget(inner)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(top)
        whole.addLayout(second)
        whole.addWidget(self.banner)
        whole.addWidget(self.summary)
        whole.addWidget(self._scroll, 1)

    def _keys(self) -> None:
        for keys, action in (
            (QKeySequence.StandardKey.Undo, self.undo),
            (QKeySequence.StandardKey.Redo, self.redo),
            (QKeySequence.StandardKey.Find, self.find_line.setFocus),
            (QKeySequence.StandardKey.Open, self._ask_open),
            (QKeySequence.StandardKey.Save, self._ask_save),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)
