"""What the operator and the supervisor ask of control, and what they are told."""

import logging
import time
from collections.abc import Callable
from math import inf

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
from bci.core.process import FOLDER_LOST, THREAD_ENDED, ProcessEvent
from bci.core.rewards import FIRST_OPERATOR_REWARD
from bci.hardware.board.interface import Board
from bci.recording.journal import Journal
from bci.recording.records import Note, Topic
from bci.session.reward_budget import TokenBucket
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

log = logging.getLogger("bci.control")

NOT_BEGUN = "the session has not begun: wait until stream, screen and board are ready"
DROPS_PER_S = 1.0
DROPS_AT_ONCE = 3
"""Drops that the operator may ask for at once after a pause; then `DROPS_PER_S`."""
AT_ONCE = 32
"""Requests answered in one turn: however many come, frames and the keep-alive have their time."""


PROCESS_LEDGER = {
    "died": LedgerKind.PROCESS_DIED,
    "restarted": LedgerKind.PROCESS_RESTARTED,
    THREAD_ENDED: LedgerKind.THREAD_ENDED,
    FOLDER_LOST: LedgerKind.FOLDER_LOST,
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
    clock
        Rising time, s: how fast drops are asked for.

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
        clock: Callable[[], float] = time.monotonic,
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
        self._bucket = TokenBucket(DROPS_PER_S, DROPS_AT_ONCE, clock)
        self._clock = clock
        self._n_refused = 0
        self._why_refused = ""
        self._t_told_s = -inf
        self.begun = False
        self.stopped = False

    def attend(self) -> None:
        """Answer what has been asked, `AT_ONCE` requests at the most."""
        for _ in range(AT_ONCE):
            asked = self._server.receive()
            if asked is None:
                break
            client, request = asked
            self._server.reply(client, self._answer(request))
        self._tell_refused()

    def _tell_refused(self) -> None:
        """Put refused drops on record, once a second at most: a flood must not fill the journal."""
        if not self._n_refused or self._clock() - self._t_told_s < 1.0:
            return
        why, n = f"operator drop: {self._why_refused}", self._n_refused
        self._n_refused, self._t_told_s = 0, self._clock()
        log.warning("%s (%d refused)", why, n)
        self._runner.note(entry(self._runner.loop.last_frame_id, LedgerKind.REFUSED, why, n))

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
        if why := self._why_no_drop(volume_ul):
            self._n_refused += 1
            self._why_refused = why
            return Reply(False, why)
        request = RewardRequest(self._next_reward, volume_ul, 0, "operator")
        self._next_reward += 1
        self._tally.budget.ask(request)
        self._board.reward(request)
        return Reply(True, f"{volume_ul:g} µl asked for")

    def _why_no_drop(self, volume_ul: float) -> str:
        """Why the operator gets no drop now; empty: nothing is against it."""
        if self._runner.done:
            return "the session is over: no drop is given any more"
        if not 0 < volume_ul <= self._most_ul:
            return (
                f"{volume_ul:g} µl: must be above 0 and at most {self._most_ul:g} µl, for which "
                "the valve is open for rig.board.valve.max_open_ms"
            )
        if not self._board.connected:
            return "the board is not connected"
        if why := self._tally.budget.why_not(volume_ul, "operator"):
            return why
        if not self._bucket.take():
            return (
                f"too fast: after {DROPS_AT_ONCE} drops at once, {DROPS_PER_S:g} drop a second. "
                "Ask again in a second"
            )
        return ""

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
