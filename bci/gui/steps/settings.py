"""The settings of the session: to be changed before it, to be read during and after it."""

from pathlib import Path

from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from bci.config import Override, SettingsError
from bci.config.draft import Draft
from bci.config.session import Session
from bci.gui.day import Day, Phase
from bci.gui.settings.form import SettingsForm
from bci.gui.settings.locks import Use
from bci.gui.step import Step, StepStatus
from bci.gui.theme import Light
from bci.session.run import all_faults

NOT_LIVE = "a session runs: it keeps the settings that it began with"
NOT_RIGHT = "the settings have faults"
NOT_SAVED = "changed and not saved: save them under a new name first"
NO_FILE = "these settings are in no session file: save them first"


class SettingsPage(Step):
    """Every setting on a form; a new session file becomes the day's."""

    title = "Settings"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.form = SettingsForm(day.work, all_faults)
        self.form.checked.connect(lambda _: self._enable())
        self.use_button = QPushButton("Use for the next session")
        self.use_button.setObjectName("go")
        self.use_button.clicked.connect(self.use)
        self._why = QLabel()
        self._why.setObjectName("dim")
        bottom = QHBoxLayout()
        bottom.addWidget(self._why, 1)
        bottom.addWidget(self.use_button)
        column = QVBoxLayout(self)
        column.addWidget(self.form, 1)
        column.addLayout(bottom)
        self._shown: tuple[Path | None, Use, Session | None] | None = None
        self.session_changed()

    def status(self) -> StepStatus:
        """Red where no session can start with the settings."""
        if self.day.faults:
            return StepStatus(Light.FAIL, self.day.faults[0])
        return StepStatus(Light.IDLE, "")

    def refresh(self) -> None:
        """Keep the button true to what stands on the form."""
        self._enable()

    def session_changed(self) -> None:
        """Show what the day has now, unless that is on the form already."""
        day = self.day
        use = {Phase.SETTING_UP: Use.NEXT, Phase.ENDED: Use.RECORDED}.get(day.phase, Use.RUNNING)
        session = None if use is Use.NEXT else day.session
        shown = (day.session_file if use is Use.NEXT else day.folder, use, session)
        if shown == self._shown:
            return
        self._shown = shown
        if session is not None:
            self.form.show_draft(Draft.of(session), day.folder, use)
        elif day.session_file is not None:
            self._open(day.session_file)
        self._enable()

    def use(self) -> None:
        """Let the next session be run with what was saved."""
        path, day = self.form.path, self.day
        if self._reason() or path is None:
            return
        day.sets, day.verb, day.session_file = [], ["run"], path
        self._shown = (path, Use.NEXT, None)
        if day.phase is Phase.SETTING_UP:
            day.load(path)
        else:
            day.new_session()

    def _open(self, path: Path) -> None:
        """Show the day's session file as the command line changed it."""
        day = self.day
        recording = Path(day.verb[1]) if day.verb[0] == "replay" else None
        try:
            overrides = [Override.parse(text) for text in day.sets]
            draft, unread = Draft.read(path, overrides, recording)
        except SettingsError as error:
            self.form.tell(list(error.faults))
            return
        self.form.show_draft(draft, path, unread=unread)

    def _reason(self) -> str:
        """Why the settings on the form cannot be those of the next session; empty: they can."""
        form = self.form
        if self.day.is_live:
            return NOT_LIVE
        if form.session is None:
            return NOT_RIGHT if form.faults else "being checked"
        if form.path is None or form.use is not Use.NEXT:
            return NO_FILE
        return NOT_SAVED if form.draft.changed else ""

    def _enable(self) -> None:
        reason = self._reason()
        is_in_use = self.form.path == self.day.session_file and not self.day.sets
        self.use_button.setEnabled(not reason and not is_in_use)
        self._why.setText(reason or ("the next session runs with these" if is_in_use else ""))
