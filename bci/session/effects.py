"""What a decision does to the world: screen, valve, light."""

from time import perf_counter_ns

from bci.core.ledger import entry
from bci.core.loop_types import Decision, LedgerEntry, LedgerKind
from bci.core.stimulus_types import StimulusCommand
from bci.hardware.board.interface import Board
from bci.recording.journal import Journal
from bci.recording.records import CommandSent, Topic
from bci.session.latency import LatencyBudget, Stage
from bci.session.screen_line import ScreenLine


class Effects:
    """Sends what decisions ask for; behind, only the newest command goes out.

    Rewards and light are never withheld.

    Parameters
    ----------
    screen
        Where commands go.
    board
        Valve and light.
    journal
        Gets every command that was sent.
    latency
        Gets the stage from received to sent.
    board_rate_hz
        Frames a second of the board's own time (lossless), which goes on with each stepped frame
        and begins at the first; None: the board has a clock of its own.
    """

    def __init__(
        self,
        screen: ScreenLine,
        board: Board,
        journal: Journal,
        latency: LatencyBudget,
        board_rate_hz: float | None = None,
    ) -> None:
        self._board_rate_hz = board_rate_hz
        self._first_id = -1
        self._screen = screen
        self._commands = screen.commands
        self._board = board
        self._journal = journal
        self._latency = latency
        self._withheld: StimulusCommand | None = None
        self._n_withheld = 0

    def carry_out(
        self,
        decision: Decision,
        t_frame_sent_ns: int = 0,
        t_received_ns: int = 0,
        *,
        behind: bool = False,
    ) -> LedgerEntry | None:
        """Send the effects of one decision; returns what the ledger must hold of it.

        Parameters
        ----------
        decision
            Of `ClosedLoop`.
        t_frame_sent_ns, t_received_ns
            Of the frame that led to it; 0 for an event and for a discarded frame.
        behind
            True where newer frames already wait: its command is withheld.
        """
        if self._board_rate_hz is not None and not decision.discarded:
            if self._first_id < 0:
                self._first_id = decision.frame_id
            self._board.advance_to((decision.frame_id - self._first_id) / self._board_rate_hz)
        if decision.reward is not None:
            self._board.reward(decision.reward)
        if decision.light is not None:
            self._board.light(decision.light)
        command = decision.command
        if behind:
            if command is not None:
                self._n_withheld += self._withheld is not None
                self._withheld = command
            return None
        caught_up = None
        if self._withheld is not None:
            caught_up = self._catch_up(decision.frame_id, command)
            command = command or self._withheld
            self._withheld, self._n_withheld = None, 0
        if command is not None:
            t_before_ns = t_received_ns or perf_counter_ns()
            t_sent_ns = self._commands.send(command)
            self._screen.sent(command.command_id, t_frame_sent_ns, t_before_ns)
            self._note_sent(command, t_frame_sent_ns, t_received_ns, t_sent_ns)
        return caught_up

    def _catch_up(self, frame_id: int, newer: StimulusCommand | None) -> LedgerEntry | None:
        n_withheld = self._n_withheld + (newer is not None)
        if not n_withheld:
            return None
        return entry(frame_id, LedgerKind.COMMAND_WITHHELD, "control was behind", n_withheld)

    def _note_sent(
        self, command: StimulusCommand, t_frame_sent_ns: int, t_received_ns: int, t_sent_ns: int
    ) -> None:
        if t_received_ns:
            self._latency.add(Stage.RECEIVED_TO_SENT, t_sent_ns - t_received_ns)
        self._journal.append(
            Topic.SENT,
            CommandSent(
                command.command_id,
                command.frame_id,
                t_frame_sent_ns,
                t_received_ns,
                t_sent_ns,
            ),
            t_perf_ns=t_sent_ns,
        )
