"""What the operator and the supervisor ask of control, and what they are told."""

import time
from collections.abc import Callable

from bci.core.board_types import RewardRequest
from bci.core.ledger import entry
from bci.core.loop_types import (
    BlockBegun,
    BlockEnded,
    EnsemblesSet,
    Finish,
    LedgerKind,
    LightSet,
    LoopEvent,
    Pause,
    Resume,
    ScreenLost,
    Stop,
)
from bci.core.process import THREAD_ENDED, ProcessEvent
from bci.hardware.board.interface import Board
from bci.recording.journal import Journal
from bci.recording.records import Note, Topic
from bci.session.runner import LoopRunner
from bci.session.screen_line import ScreenLine
from bci.session.tally import Tally
from bci.stream.operator import (
    OperatorNote,
    OperatorRequest,
    OperatorReward,
    OperatorServer,
    OperatorStatus,
    Reply,
)
from bci.stream.telemetry import Telemetry

NOT_BEGUN = "the session has not begun: wait until stream, screen and board are ready"
AT_ONCE = 32
"""Requests answered in one turn: however many come, frames and the keep-alive have their time."""
FIRST_OPERATOR_REWARD = 1_000_000
"""Request ids from here on are the operator's; the task's count from 1."""


PROCESS_LEDGER = {
    "died": LedgerKind.PROCESS_DIED,
    "restarted": LedgerKind.PROCESS_RESTARTED,
    THREAD_ENDED: LedgerKind.THREAD_ENDED,
}


def attend_early(server: OperatorServer, journal: Journal) -> bool:
    """Answer while there is no loop yet; True where somebody asked for the end."""
    end = False
    while (asked := server.receive()) is not None:
        client, request = asked
        match request:
            case Stop() | Finish():
                end = True
                reply = Reply(True, "ending before the start")
            case OperatorNote():
                journal.append(Topic.NOTE, Note(request.text))
                reply = Reply(True)
            case OperatorStatus():
                starting = Telemetry(time.perf_counter_ns(), "STARTING")
                reply = Reply(True, telemetry=starting)
            case ProcessEvent():
                journal.append(Topic.PROCESS, request)
                reply = Reply(True)
            case _:
                reply = Reply(False, NOT_BEGUN)
        server.reply(client, reply)
    return end


class OperatorDesk:
    """Answers every request at once; what the state does not allow is refused with a reason.

    Rewards and stop reach the board whether frames come or not.

    Parameters
    ----------
    server
        Where requests come in.
    runner, board, journal, tally
        What they act on.
    reward_ul
        Volume of an operator's reward that names none.
    most_ul
        Volume for which the valve would be open as long as it may.
    screen
        Told where its process has died.
    telemetry
        Gives the newest snapshot.

    Attributes
    ----------
    begun
        Set once the loop was started: before, the task cannot be paused.
    stopped
        True once the operator asked for the end at once.
    """

    def __init__(
        self,
        server: OperatorServer,
        runner: LoopRunner,
        board: Board,
        journal: Journal,
        tally: Tally,
        reward_ul: float,
        most_ul: float,
        screen: ScreenLine,
        telemetry: Callable[[], Telemetry],
    ) -> None:
        self._server = server
        self._runner = runner
        self._board = board
        self._journal = journal
        self._tally = tally
        self._reward_ul = reward_ul
        self._most_ul = most_ul
        self._screen = screen
        self._telemetry = telemetry
        self._next_reward = FIRST_OPERATOR_REWARD
        self.begun = False
        self.stopped = False

    def attend(self) -> None:
        """Answer what has been asked, `AT_ONCE` requests at the most."""
        for _ in range(AT_ONCE):
            asked = self._server.receive()
            if asked is None:
                return
            client, request = asked
            self._server.reply(client, self._answer(request))

    def _answer(self, request: OperatorRequest) -> Reply:
        match request:
            case Pause() | Resume() | Stop() | Finish():
                return self._apply(request)
            case BlockBegun() | BlockEnded() | EnsemblesSet():
                return self._apply(request)
            case OperatorReward():
                asked_ul = request.volume_ul
                return self._reward(self._reward_ul if asked_ul is None else asked_ul)
            case LightSet(on=on):
                if on and not self._board.connected:
                    return Reply(False, "the board is not connected")
                return self._apply(request)
            case OperatorNote():
                self._journal.append(Topic.NOTE, Note(request.text))
                return Reply(True)
            case OperatorStatus():
                return Reply(True, telemetry=self._telemetry())
            case ProcessEvent():
                self._hear(request)
                return Reply(True)

    def _apply(self, request: LoopEvent) -> Reply:
        if not (self.begun or isinstance(request, Stop | Finish)):
            return Reply(False, NOT_BEGUN)
        decision = self._runner.apply(request)
        refused = [e for e in decision.ledger if e.kind is LedgerKind.REFUSED]
        if refused:
            return Reply(False, f"not possible: {refused[0].detail}")
        self.stopped = self.stopped or isinstance(request, Stop)
        return Reply(True, decision.state.name)

    def _reward(self, volume_ul: float) -> Reply:
        if self._runner.done:
            return Reply(False, "the session is over: no drop is given any more")
        if not 0 < volume_ul <= self._most_ul:
            return Reply(
                False,
                f"{volume_ul:g} µl: must be above 0 and at most {self._most_ul:g} µl, for which "
                "the valve is open for rig.board.valve.max_open_ms",
            )
        if not self._board.connected:
            return Reply(False, "the board is not connected")
        budget = self._tally.budget
        if not budget.allows(volume_ul):
            return Reply(
                False,
                f"{volume_ul:g} µl would pass today's cap of {budget.cap_ul:g} µl, "
                f"{budget.today_ul:g} µl are given: see experiment.task.daily_cap_ul",
            )
        request = RewardRequest(self._next_reward, volume_ul, 0, "operator")
        self._next_reward += 1
        self._tally.ask(request)
        self._board.reward(request)
        return Reply(True, f"{volume_ul:g} µl asked for")

    def _hear(self, event: ProcessEvent) -> None:
        self._journal.append(Topic.PROCESS, event)
        kind = PROCESS_LEDGER.get(event.kind)
        if kind is None:
            return
        detail = f"{event.name} ({event.pid}) {event.detail}".strip()
        self._runner.note(entry(self._runner.loop.last_frame_id, kind, detail))
        if event.kind == "died" and event.name == "stimulus":
            self._screen.died = True
            self._runner.apply(ScreenLost(detail))
