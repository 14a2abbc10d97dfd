"""The control process: frames in, decisions out, everything journaled."""

import gc
import logging
import sys
import time
from contextlib import ExitStack
from math import inf
from pathlib import Path

import msgspec

from bci.config.load import settings_hash
from bci.config.rig import DoorSource
from bci.config.session import Session
from bci.core.counted import counted
from bci.core.decoding.decoder import UnknownRoi
from bci.core.ledger import entry
from bci.core.loop_types import (
    EpochStarted,
    Finish,
    LedgerKind,
    Malformed,
    ScreenBack,
    Stalled,
    Start,
    Stop,
)
from bci.core.messages import cut
from bci.core.process import ASKED_TO_STOP, ProcessLink
from bci.core.stream_types import StreamInfo
from bci.recording.journal import Journal
from bci.recording.playback import playback_of
from bci.recording.records import JournalStart, Topic
from bci.session.blocks import threshold_of
from bci.session.board_line import BoardLine
from bci.session.desk import OperatorDesk, attend_early
from bci.session.effects import Effects
from bci.session.frame_line import FrameLine
from bci.session.latency import LatencyBudget
from bci.session.rehearsal import Rehearsal
from bci.session.runner import LoopRunner
from bci.session.screen_line import ScreenLine
from bci.session.snapshots import Snapshots
from bci.session.tally import Tally
from bci.stream.access import Access, Guard
from bci.stream.errors import StreamError
from bci.stream.operator import OperatorServer
from bci.stream.priority import Urgency, hurry
from bci.stream.subscriber import Received
from bci.stream.telemetry import TelemetryPublisher

log = logging.getLogger("bci.control")

TURN_MS = 20
PEERS_S = 60.0
SETTLE_S = 2.0
LAST_FLIPS_S = 0.2
SWITCH_S = 1e-4


class ControlFailed(RuntimeError):
    """The session cannot start or cannot go on; says why."""


def run_control(
    session: Session,
    link: ProcessLink,
    folder: Path,
    session_name: str,
    duration_s: float | None = None,
) -> str:
    """Run the session from its first frame to its end; returns why it ended.

    Parameters
    ----------
    session
        Resolved settings.
    link
        Line to the supervisor.
    folder
        Session folder; the journal is made in it.
    session_name
        As in the stream's description.
    duration_s
        End at this time since the first frame, s; once frames stop, by the clock. None: never.

    Raises
    ------
    ControlFailed
        The valve is shut, and the journal has been closed in order unless it is what failed.
    SettingsError
        Where a recorded session that this one follows does not serve.
    """
    # what other threads of this process do must not hold up a frame for Python's usual 5 ms
    sys.setswitchinterval(SWITCH_S)
    start = JournalStart(
        session_name, settings_hash(session), time.time_ns(), time.perf_counter_ns()
    )
    journal = Journal(folder / "journal.mcap", start)
    reason = "failed"
    try:
        try:
            line = BoardLine(session, session_name, folder, journal)
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
            raise ControlFailed(f"the subject's rewards of today cannot be read: {why}") from error
        with _Control(session, link, journal, line) as control:
            reason = control.run(duration_s)
            if control.failure is not None:
                raise ControlFailed(control.failure)
    except BaseException:
        journal.close(reason)
        if journal.fault is not None and journal.fault not in reason:
            log.error("journal: %s", journal.fault)
        raise
    journal.close(reason)
    if journal.fault is not None:
        raise ControlFailed(f"journal: {journal.fault}")
    return reason


class _Control:
    """Lines, board and timers around a `LoopRunner`; for one thread."""

    def __init__(
        self, session: Session, link: ProcessLink, journal: Journal, line: BoardLine
    ) -> None:
        stream = session.rig.stream
        host, exposed = stream.operator_host, stream.exposed
        self._access = Access.of_session(link.token, stream.keys)
        self._open = ExitStack()
        # closed last
        guard = self._guard = self._open.enter_context(Guard(self._access))
        self._session = session
        self._recorded = playback_of(session.experiment)
        self._link = link
        self._journal = journal
        source = session.rig.source
        self._door = source if isinstance(source, DoorSource) else None
        self._lossless = stream.delivery == "lossless"
        self._latency = LatencyBudget()
        self._line = line
        line.latency = self._latency
        self._tally = Tally(line.budget)
        self._screen = ScreenLine(stream, guard, journal, self._latency)
        self._screen.on_flip = line.flip
        self._operator = OperatorServer(
            host=host, port=stream.operator_port, exposed=exposed, guard=guard
        )
        self._telemetry = TelemetryPublisher(
            host=host, port=stream.telemetry_port, exposed=exposed, guard=guard
        )
        self._ended = ""
        self._described: StreamInfo | None = None
        self._description = b""
        self._described_block = 0
        self._at_cap = False
        for part in (self._screen, self._operator, self._telemetry):
            self._open.callback(part.close)
        self.failure: str | None = None

    def __enter__(self) -> "_Control":
        return self

    def __exit__(self, *_: object) -> None:
        # valve and light first: the prediction that the runner waits for may take its time
        with self._open:
            self._line.close()

    def run(self, duration_s: float | None) -> str:
        """Start everything, loop, settle; returns why the session ended."""
        self._link.announce(
            {
                **self._screen.endpoints,
                "operator": self._operator.endpoint,
                "telemetry": self._telemetry.endpoint,
            }
        )
        # the board as well: whoever waits in its driver hears neither a stop nor the operator
        of_board = ("board",) if self._line.is_process else ()
        peers = self._wait_for_peers("frames", "channel", *of_board)
        if peers is None:
            return self._told_over()
        self._frames = FrameLine(
            self._session.rig.stream,
            peers,
            self._access,
            self._journal,
            is_paced_outside=self._door is not None,
        )
        self._open.callback(self._frames.close)
        info = self._frames.info
        self._line.open(self._link.peers, self._link.token)
        board = self._board = self._line.board
        try:
            self._runner = LoopRunner(
                self._session,
                info,
                Effects(
                    self._screen,
                    board,
                    self._journal,
                    self._latency,
                    info.rate_hz if self._lossless else None,
                ),
                self._journal,
                self._latency,
                self._tally,
            )
        except UnknownRoi as error:
            raise ControlFailed(f"experiment.decoder: {error}") from error
        self._open.callback(self._runner.close)
        self._snapshots = Snapshots(
            self._telemetry,
            self._latency,
            self._runner,
            self._frames,
            self._screen,
            self._line,
            self._tally,
        )
        valve = self._session.rig.board.valve
        self._desk = OperatorDesk(
            self._operator,
            self._runner,
            board,
            self._journal,
            self._tally,
            self._session.experiment.task.reward_ul,
            valve.volume_ul(valve.max_open_ms),
            self._screen,
            self._snapshots.take,
        )
        self._describe(info)
        self._wait_for_screen()
        if self._runner.done:
            return self._told_over()
        self._runner.apply(Start())
        if self._recorded is not None:
            self._runner.apply(self._recorded)
        if (known := self._session.day.threshold) is not None:
            self._runner.apply(threshold_of(known))
        self._desk.begun = True
        self._line.arm(info.rate_hz, self._runner.hear)
        self._frames.start()
        self._link.report(
            "ready", f"{info.source}, {info.rate_hz:g} Hz, {counted(len(info.rois), 'ROI')}"
        )
        gc.collect()
        gc.freeze()
        log.info("loop: %s", hurry(Urgency.LOOP))
        self._loop(inf if duration_s is None else duration_s)
        self._settle()
        self._describe(self._frames.info)
        for found in self._line.end():
            self._runner.note(found)
        # the figures that stay are told with the chance they are compared with
        self._runner.hear_chance(wait=True)
        self._snapshots.publish()
        self.failure = self.failure or self._runner.failure
        return self._told_over()

    def _told_over(self) -> str:
        """Why it ended, told to the supervisor before the journal is closed."""
        if not self._ended:
            self._ended = "stopped by the operator" if self._desk.stopped else "task over"
        self._link.report("over", self._ended)
        return self._ended

    # -- start ---------------------------------------------------------------------------------

    def _wait_for_peers(self, *keys: str) -> dict[str, str] | None:
        """Endpoints of the other processes; None if the session is ended before they are known."""
        deadline = time.monotonic() + PEERS_S
        while time.monotonic() < deadline:
            peers = self._link.peers()
            if all(key in peers for key in keys):
                return peers
            if self._link.stop_requested():
                self._ended = ASKED_TO_STOP
                return None
            if attend_early(self._operator, self._journal):
                self._ended = "stopped by the operator before the start"
                return None
            self._link.wait(0.05)
        missing = ", ".join(key for key in keys if key not in self._link.peers())
        raise ControlFailed(f"nobody announced {missing} within {PEERS_S:g} s")

    def _wait_for_screen(self) -> None:
        deadline = time.monotonic() + PEERS_S
        while self._screen.light == "waiting" and not self._runner.done:
            self._screen.wait(TURN_MS)
            self._attend()
            if self._link.stop_requested():
                self._end(ASKED_TO_STOP)
            if time.monotonic() > deadline:
                raise ControlFailed(f"no screen within {PEERS_S:g} s: see the log of the stimulus")

    # -- the loop ------------------------------------------------------------------------------

    def _loop(self, duration_s: float) -> None:
        frames, runner = self._frames, self._runner
        n_frames = duration_s * frames.info.rate_hz
        rehearsal = Rehearsal(
            self._session, frames.info, frames, self._screen.commands, self._access, self._guard
        )
        self._open.callback(rehearsal.close)
        last: Received | None = None
        while not runner.done:
            received = rehearsal.wait(TURN_MS, last)
            while received is not None:
                self._take(received)
                last = received if received.header else last
                if frames.spent_frames(runner.loop.last_frame_id) >= n_frames:
                    self._end("duration over")
                if runner.done or self._snapshots.is_due(time.perf_counter_ns()):
                    break
                received = frames.receive()
            self._attend()
            self._watch()
            rehearsal.follow(runner.loop.experiment)
            if self._spent_s() >= duration_s:
                self._end("duration over, no frames at its end")

    def _spent_s(self) -> float:
        """Frame time so far, and the time since where frames have stopped, s."""
        frames = self._frames
        waited_s = frames.waited_s(time.perf_counter_ns())
        if waited_s <= self._session.experiment.faults.stall_s:
            return 0.0
        return frames.spent_frames(self._runner.loop.last_frame_id) / frames.info.rate_hz + waited_s

    def _take(self, received: Received) -> None:
        frame = received.frame
        if isinstance(frame, Malformed):
            self._runner.apply(frame)
            return
        if self._frames.is_end(frame):
            self._end("the source has ended")
            return
        if self._lossless:
            self._frames.owe()
        t_sent_ns = frame.t_sent_ns - self._frames.offset_ns
        behind = self._frames.is_behind(received)
        if self._runner.frame(received, frame, t_sent_ns, behind=behind):
            fault = self._frames.stepped(received, frame)
            if fault is not None:
                self._runner.note(fault)
            self._line.frame(frame.frame_id, received.t_received_ns)
        else:
            self._frames.discarded(frame, self._runner.loop.last_frame_id)
        self._mind_budget()

    def _attend(self) -> None:
        """Everything that is not on the path from frame to command."""
        for found in self._line.turn(time.perf_counter_ns()):
            self._runner.note(found)
        self._link.turn()
        for event in self._line.hear():
            self._runner.hear(event)
            self._frames.hear(event)
        if self._screen.hear(self._note):
            self._runner.apply(ScreenBack())
        self._desk.attend()
        if self._runner.loop.blocks.number != self._described_block:
            self._describe(self._frames.info)
        self._mind_budget()
        self._runner.hear_chance()
        now_ns = time.perf_counter_ns()
        self._screen.commands.resend_if_due(now_ns)
        self._frames.follow_clock(now_ns)
        self._snapshots.publish_if_due(now_ns)

    def _mind_budget(self) -> None:
        """No trial begins that could not be rewarded."""
        budget = self._line.budget
        if budget.exhausted and self._desk.begun and not self._at_cap and not self._runner.done:
            self._at_cap = True
            self._ended = f"daily cap: another reward would pass {budget.cap_ul:g} µl"
            self._runner.apply(Finish(self._ended))

    def _watch(self) -> None:
        """What may pause or end the session, and whether acquisition has moved."""
        if not self._journal.is_behind:
            self._frames.grant()
        silent_s = self._frames.silent_s(time.perf_counter_ns())
        if silent_s > self._session.experiment.faults.stall_s and not self._frames.stalled:
            self._frames.stalled = True
            self._runner.apply(Stalled(silent_s, self._frames.older_id))
        if (wrong := self._frames.wrong_rate()) and not self._runner.done:
            self._note(LedgerKind.WRONG_RATE, wrong, 1)
            if self._door is not None and self._door.on_wrong_rate == "stop":
                self.failure = f"wrong rate: {wrong}"
                self._end(self.failure)
        if self._journal.fault is not None and not self._runner.done:
            self.failure = f"journal: {self._journal.fault}"
            self._note(LedgerKind.JOURNAL, self._journal.fault, 1)
            self._end(self.failure)
        if self._line.fault and not self._runner.done:
            self.failure = self._line.fault
            self._note(LedgerKind.FRAME_CLOCK, self.failure, 1)
            self._end(self.failure)
        if self._link.stop_requested():
            self._end(ASKED_TO_STOP)
        if self._frames.has_moved(peers := self._link.peers()) and not self._runner.done:
            self._follow(peers)

    def _follow(self, peers: dict[str, str]) -> None:
        """Take frames from acquisition where it was started again."""
        while (received := self._frames.receive()) is not None:
            self._take(received)
        try:
            same_rois = self._frames.follow(peers)
        except StreamError as error:
            # it died again, or hangs: the supervisor sees to it, and it will announce itself
            log.warning("acquisition was announced and does not answer: %s", error)
            return
        if not same_rois:
            self.failure = "acquisition came back with other ROIs than before"
            self._end(self.failure)
            return
        self._describe(self._frames.info)
        self._runner.apply(EpochStarted(self._frames.info.epoch))

    def _describe(self, info: StreamInfo) -> None:
        """Record what the stream is; again at each epoch, each block and the end.

        One damaged copy then costs nothing. It is encoded once: a long ROI table must not hold the
        interpreter at each block.
        """
        if info is not self._described:
            self._described, self._description = info, msgspec.msgpack.encode(info)
        self._described_block = self._runner.loop.blocks.number
        self._journal.append(Topic.INFO, self._description)

    def _end(self, reason: str) -> None:
        if self._runner.done:
            return
        if reason != ASKED_TO_STOP and self.failure is None and not self._runner.loop.trial:
            reason = f"{reason}, before the first trial"
        self._ended = reason
        self._runner.apply(Stop(cut(reason)))

    def _settle(self) -> None:
        """Let rewards and flips that are under way arrive, then leave."""
        # pending is asked before events are heard: how the last reward ended counts, too
        started_ns = time.perf_counter_ns()
        while (passed_s := (time.perf_counter_ns() - started_ns) * 1e-9) < SETTLE_S:
            settled = passed_s > LAST_FLIPS_S and not self._board.pending()
            self._attend()
            if settled:
                return
            self._screen.wait(TURN_MS)
        log.error("rewards still open at the end: %d", self._board.pending())

    def _note(self, kind: LedgerKind, detail: str, count: int) -> None:
        self._runner.note(entry(self._runner.loop.last_frame_id, kind, detail, count))
