"""Control's line to the board: what it does, what it told, what the subject has had."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from bci.config.session import Session
from bci.core.board_types import BoardEvent
from bci.recording.journal import Journal
from bci.recording.records import Topic
from bci.recording.reward_ledger import RewardLedger, ledger_path, read_ledger, volume_on
from bci.session.reward_budget import RewardBudget
from hardware.board.interface import Board
from hardware.board.kinds import open_board
from hardware.board.virtual import VirtualBoard


class BoardLine:
    """The board of a session, with the subject's reward ledger.

    Parameters
    ----------
    session
        Resolved settings.
    name
        Of the session, for the ledger.
    folder
        Of the session.
    journal
        Gets what the board tells at its closing.

    Attributes
    ----------
    board
        Once it is open.
    budget
        What the subject has had today.

    Raises
    ------
    OSError
        Where the subject's ledger is there and cannot be read.
    """

    board: Board

    def __init__(self, session: Session, name: str, folder: Path, journal: Journal) -> None:
        settings, task = session.rig.board, session.experiment.task
        self._settings = settings
        self._journal = journal
        lossless = session.rig.stream.delivery == "lossless"
        self._virtual = lossless and settings.kind == "simulated"
        path = ledger_path(folder, session.subject)
        lines = [] if self._virtual else read_ledger(path)
        before_ul = volume_on(lines, date.today(), settings.kind)
        self.budget = RewardBudget(
            name, settings.kind, task.daily_cap_ul, task.reward_ul, before_ul
        )
        self._ledger = None if self._virtual else RewardLedger(path)
        self._is_open = False

    def open(self, peers: Callable[[], Mapping[str, str]]) -> None:
        """Open the board and wait for its greeting; raises `BoardError`."""
        if self._virtual:
            self.board = VirtualBoard(self._settings)
            self.board.open()
        else:
            self.board = open_board(self._settings, peers)
        self._is_open = True

    @property
    def light(self) -> str:
        """How it goes, for people to see."""
        return "ok" if self.board.connected else "lost"

    def hear(self) -> list[BoardEvent]:
        """Events since the last call; the ledger has been told of rewards that ended."""
        events = self.board.events()
        for event in events:
            line = self.budget.hear(event)
            if line is not None and self._ledger is not None:
                self._ledger.add(line)
        return events

    def close(self) -> None:
        """Shut the board in order; what it still told is on file."""
        if self._is_open:
            self.board.close()
            for event in self.hear():
                self._journal.append(Topic.BOARD, event, t_perf_ns=event.t_host_ns)
        if self._ledger is not None:
            self._ledger.close()
