"""The day at the rig, as the window's pages see it: settings, the session, requests, work."""

import logging
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from bci.config import Override, SettingsError
from bci.config.session import Session
from bci.gui.background import Background
from bci.gui.client import SessionClient, Then
from bci.gui.launch import Launch
from bci.gui.model import SessionModel
from bci.gui.scoring import Scoring
from bci.recording.manifest import Manifest, NoManifest, read_manifest
from bci.session.check import Check
from bci.session.day import DayOptions, load_day
from bci.session.run import all_faults
from bci.stream.operator import OperatorRequest, Reply

log = logging.getLogger("bci.gui")

T = TypeVar("T")

FRAME_MS = 33
LOOK_S = 0.5

NO_SESSION = "no session runs: start one on the Rig step"


class Phase(StrEnum):
    """Where the day stands."""

    SETTING_UP = "setting up"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


class Day(QObject):
    """What the pages of the window share; made for the window's thread, and never waits.

    Parameters
    ----------
    session_file
        Session file; None: the day begins with a session that runs already, or a recorded one.
    sets
        Of `--set`, KEY=VALUE.
    root
        Folder of all subjects.
    duration_s
        As in `bci run`.
    verb
        What starts the session, before the session file: run, or replay and its recording.
    options
        What `verb` asks of the subject's day; None: nothing but its folder.

    Attributes
    ----------
    session
        Its settings, resolved; None while `faults` has any.
    faults
        What is wrong with the settings.
    failure
        What was said where the last start came to nothing.
    folder
        Of the session that runs or ran; None before.
    manifest
        Of `folder`, read again now and then; its `outcome` tells how the session ended.
    model
        What is known of the session.
    phase
        Where the day stands.
    preflight
        Of the newest complete one; stored with the session that is started next.
    ending
        Sessions before this one whose processes have not ended yet.
    scoring
        Scores of the session's baseline.

    Signals
    -------
    session_changed
        Settings, folder or model are others than before.
    ticked
        At most 30 times a second: the model has taken in what came.
    said(str)
        A line for the operator: what a request led to.
    tried
        Everything was tried: a screen was open for a while.
    closing
        Whatever works in a thread should end now: it will be waited for.
    """

    session_changed = pyqtSignal()
    ticked = pyqtSignal()
    said = pyqtSignal(str)
    tried = pyqtSignal()
    closing = pyqtSignal()

    def __init__(
        self,
        session_file: Path | None = None,
        sets: Sequence[str] = (),
        root: Path = Path("sessions"),
        duration_s: float | None = None,
        verb: Sequence[str] = ("run",),
        options: DayOptions | None = None,
    ) -> None:
        super().__init__()
        self.session_file = session_file
        self.sets = list(sets)
        self.root = root
        self.duration_s = duration_s
        self.verb = list(verb)
        self.options = options or DayOptions(root)
        self.session: Session | None = None
        self.faults: list[str] = []
        self.failure: list[str] = []
        self.folder: Path | None = None
        self.manifest: Manifest | None = None
        self.phase = Phase.SETTING_UP
        self.preflight: list[Check] = []
        self.launch: Launch | None = None
        self.ending: list[Launch] = []
        self._background = Background()
        self.scoring = Scoring(root, self._background, self)
        self.session_changed.connect(self._turn_scoring)
        self._client: SessionClient | None = None
        self._told_fault = False
        self._look_at_s = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._tick)
        if session_file is not None:
            self.load(session_file)
        self.model = self._empty_model()
        self._timer.start()

    # -- settings ----------------------------------------------------------------------------

    def load(self, session_file: Path, sets: Sequence[str] | None = None) -> None:
        """Take a session file; its faults, if any, are in `faults`."""
        self.session_file = session_file
        self.sets = self.sets if sets is None else list(sets)
        recording = Path(self.verb[1]) if self.verb[0] == "replay" else None
        try:
            overrides = [Override.parse(text) for text in self.sets]
            session = load_day(session_file, overrides, self.options, all_faults, recording)
            self.session, self.faults = session, []
        except SettingsError as error:
            self.session, self.faults = None, [str(fault) for fault in error.faults]
        if self.phase is Phase.SETTING_UP:
            self.model = self._empty_model()
        self.session_changed.emit()

    def _empty_model(self) -> SessionModel:
        return SessionModel(self.session)

    # -- the session -------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """True while a session starts or runs."""
        return self.phase in (Phase.STARTING, Phase.RUNNING)

    @property
    def can_ask(self) -> bool:
        """Whether control of the running session takes requests."""
        return self.phase is Phase.RUNNING and self._client is not None and self._client.can_ask

    @property
    def is_supervised(self) -> bool:
        """Whether the session's supervisor answers."""
        return self._client is None or self._client.supervised

    @property
    def is_orphaned(self) -> bool:
        """Whether the session has ended without its supervisor, which tells nobody how."""
        manifest = self.manifest
        return self.phase is Phase.ENDED and manifest is not None and not manifest.is_over

    def start_session(self, arguments: Sequence[str] = ()) -> None:
        """Start the session in processes of its own, which this window only watches.

        Parameters
        ----------
        arguments
            Further ones of `bci run`.
        """
        if self.is_live or self.session_file is None:
            return
        self._leave()
        command = [*self.verb, str(self.session_file), f"--out={self.root}", *arguments]
        command += [part for text in self.sets for part in ("--set", text)]
        if self.duration_s is not None:
            command.append(f"--duration={self.duration_s}")
        self._let_go()
        self.launch = Launch(command, self.preflight)
        self.phase, self.failure = Phase.STARTING, []
        self.folder, self.manifest = None, None
        self.model = self._empty_model()
        self.session_changed.emit()

    def attach(self, folder: Path) -> None:
        """Watch the session of this folder.

        Raises
        ------
        NoManifest
            Where the folder holds no session.
        """
        manifest = read_manifest(folder)
        self._leave()
        self.folder, self.manifest = folder, manifest
        self.session = manifest.session_settings()
        self.model = SessionModel(self.session, folder)
        self.phase = Phase.ENDED if manifest.is_over else Phase.RUNNING
        self._client = SessionClient(folder, is_over=manifest.is_over)
        self._told_fault = False
        self.session_changed.emit()

    def new_session(self) -> None:
        """Go back to setting up, once a session has ended."""
        if self.is_live:
            return
        self._leave()
        self._let_go()
        self.phase, self.folder, self.manifest = Phase.SETTING_UP, None, None
        if self.verb[0] == "run":
            # a single block, or what an interrupted session left over, has been run
            self.verb, self.options = ["run"], DayOptions(self.root)
        if self.session_file is not None:
            self.load(self.session_file)
        else:
            self.model = self._empty_model()
            self.session_changed.emit()

    def ask(self, request: OperatorRequest, then: Then | None = None) -> None:
        """Ask the running session; a refusal is told by `said`, and `then` is called later."""
        answered = then or self._tell_refusal
        if self._client is None or self.phase is Phase.ENDED:
            answered(Reply(False, NO_SESSION))
            return
        self._client.ask(request, answered)

    def _tell_refusal(self, reply: Reply) -> None:
        if not reply.accepted:
            self.said.emit(reply.reason)

    # -- work that takes time ----------------------------------------------------------------

    def work(
        self, function: Callable[[], T], then: Callable[[T | None, Exception | None], None]
    ) -> None:
        """Do something slow in a thread; `then` gets its result, or its error, in the window's.

        Nothing is begun any more once the day is closed: a timer or a key may come after it.
        """
        self._background.work(function, then)

    # -- thirty times a second ---------------------------------------------------------------

    def _tick(self) -> None:
        self._background.finish()
        if time.monotonic() >= self._look_at_s:
            self._look_at_s = time.monotonic() + LOOK_S
            self._look()
        client = self._client
        if client is not None:
            for chunk in client.take():
                self.model.take(chunk)
            telemetry = client.take_telemetry()
            if telemetry is not None:
                self.model.take_telemetry(telemetry)
            for then, reply in client.answers():
                then(reply)
            self.model.now_ns = self._now_ns()
            if client.fault and not self._told_fault:
                self._told_fault = True
                self.said.emit(
                    f"this window no longer follows the session ({client.fault}): close it, then "
                    f"run bci attach {self.folder}"
                )
        self.ticked.emit()

    def _now_ns(self) -> int:
        """Up to when views draw: a session that is over stands still at its last decision."""
        decisions = self.model.decisions
        if self.phase is Phase.ENDED and len(decisions):
            return int(decisions.rows[-1]["t_ns"])
        return time.perf_counter_ns()

    def _look(self) -> None:
        """See whether the session has begun, or ended; twice a second."""
        self.ending = [launch for launch in self.ending if not launch.forget()]
        if self.phase is Phase.STARTING and self.launch is not None:
            folder = self.launch.folder()
            if folder is not None:
                launch = self.launch
                self.attach(folder)
                self.launch = launch
            elif self.launch.failure():
                self.phase = Phase.SETTING_UP
                self.failure = self.launch.failure()
                self.said.emit(f"not started: {' '.join(self.failure)}")
                self.session_changed.emit()
        elif self.folder is not None and (self.phase is Phase.RUNNING or self._lacks_outcome()):
            self._look_whether_over(self.folder)

    def _look_whether_over(self, folder: Path) -> None:
        try:
            self.manifest = read_manifest(folder)
        except NoManifest as error:
            log.info("manifest: %s", error)
            return
        was = self.phase
        if self.manifest.is_over or self._has_lost_supervisor():
            self.phase = Phase.ENDED
        if self.phase is not was or self.manifest.is_over:
            self.session_changed.emit()

    def _lacks_outcome(self) -> bool:
        """Whether it was taken for over before anybody told how it ended."""
        told = self.manifest is not None and self.manifest.is_over
        return self.phase is Phase.ENDED and self.folder is not None and not told

    def _has_lost_supervisor(self) -> bool:
        """Whether the journal was closed and nobody is left to write how it ended."""
        client, launch = self._client, self.launch
        if launch is not None and launch.exit_code() is None:
            return False
        return client is not None and not client.supervised and self.model.end is not None

    def _turn_scoring(self) -> None:
        self.scoring.turn_to(self.folder)

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _let_go(self) -> None:
        """Leave a session to its end: its files are written, its processes may still be there."""
        if self.launch is not None:
            self.ending.append(self.launch)
            self.launch = None

    def close(self) -> None:
        """Let go of everything; the session, where one runs, goes on."""
        self._background.refuse_more()
        self.closing.emit()
        self._timer.stop()
        self._leave()
        self.scoring.close()
        self._background.close()
        self._let_go()
        for launch in self.ending:
            launch.forget()
