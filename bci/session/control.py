"""The control process: frames in, decisions out, everything journaled."""

import gc
import logging
import sys
import time
from contextlib import ExitStack
from math import inf
from pathlib import Path

from bci.config.load import settings_hash
from bci.config.session import Session
from bci.core.decoder import UnknownRoi
from bci.core.frame_header import FLAG_END
from bci.core.ledger import entry
from bci.core.loop_types import (
    EpochStarted,
    LedgerKind,
    Malformed,
    Outcome,
    ScreenBack,
    Stalled,
    Start,
    Stop,
)
from bci.core.process import ProcessLink
from bci.core.stimulus_types import FlipKind, FlipReport, MissedFlips, ScreenHello
from bci.core.stream_types import RoiFrame
from bci.recording.journal import Journal
from bci.recording.records import JournalStart, Topic
from bci.session.desk import OperatorDesk
from bci.session.effects import Effects
from bci.session.latency import LatencyBudget, Stage
from bci.session.runner import LoopRunner
from bci.session.tally import Tally
from bci.stream.acquisition_client import AcquisitionClient
from bci.stream.commands import CommandPublisher
from bci.stream.operator import OperatorServer
from bci.stream.priority import Urgency, hurry
from bci.stream.publisher import Delivery
from bci.stream.reports import ReportReceiver
from bci.stream.subscriber import FrameSubscriber, Received
from bci.stream.telemetry import Telemetry, TelemetryPublisher
from hardware.board.interface import Board
from hardware.board.kinds import open_board
from hardware.board.virtual import VirtualBoard

log = logging.getLogger("bci.control")

TURN_MS = 20
PEERS_S = 30.0
SETTLE_S = 2.0
LAST_FLIPS_S = 0.2
TELEMETRY_NS = 100_000_000
PERCENTILES_NS = 1_000_000_000
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
        End at this frame time, seconds; None: when the task ends.

    Raises
    ------
    ControlFailed
        The journal has been closed in order, the valve is shut.
    """
    # what other threads of this process do must not hold up a frame for Python's usual 5 ms
    sys.setswitchinterval(SWITCH_S)
    start = JournalStart(
        session_name, settings_hash(session), time.time_ns(), time.perf_counter_ns()
    )
    journal = Journal(folder / "journal.mcap", start)
    reason = "failed"
    try:
        with _Control(session, link, journal) as control:
            reason = control.run(duration_s)
            if control.failure is not None:
                raise ControlFailed(control.failure)
        return reason
    finally:
        journal.close(reason)
        if journal.fault is not None:
            log.error("journal: %s", journal.fault)


class _Control:
    """Sockets, board and timers around a `LoopRunner`; for one thread."""

    def __init__(self, session: Session, link: ProcessLink, journal: Journal) -> None:
        stream = session.rig.stream
        host, exposed = stream.host, stream.exposed
        self._session = session
        self._link = link
        self._journal = journal
        self._lossless = stream.delivery == "lossless"
        self._commands = CommandPublisher(
            host=host,
            port=stream.commands_port,
            resend_s=stream.command_resend_ms * 1e-3,
            exposed=exposed,
        )
        self._reports = ReportReceiver(host=host, port=stream.flips_port, exposed=exposed)
        self._operator = OperatorServer(host=host, port=stream.operator_port, exposed=exposed)
        self._telemetry = TelemetryPublisher(host=host, port=stream.telemetry_port, exposed=exposed)
        self._latency = LatencyBudget()
        self._tally = Tally()
        self._percentiles: dict[str, tuple[float, float]] = {}
        self._screen = "waiting"
        self._channel = ""
        self._late = stream.late_frames
        self._owed = 0
        self._ended = ""
        self._t_last_ns = 0
        self._t_first_ns = 0
        self._stalled = False
        self._next_telemetry_ns = 0
        self._next_percentiles_ns = 0
        self._open = ExitStack()
        for socket in (self._commands, self._reports, self._operator, self._telemetry):
            self._open.callback(socket.close)
        self.failure: str | None = None

    def __enter__(self) -> "_Control":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, duration_s: float | None) -> str:
        """Start everything, loop, settle; returns why the session ended."""
        self._link.announce(
            {
                "commands": self._commands.endpoint,
                "flips": self._reports.endpoint,
                "operator": self._operator.endpoint,
                "telemetry": self._telemetry.endpoint,
            }
        )
        self._connect()
        self._open_board()
        self._effects = Effects(self._commands, self._board, self._journal, self._latency)
        try:
            self._runner = LoopRunner(
                self._session, self._info, self._effects, self._journal, self._latency, self._tally
            )
        except UnknownRoi as error:
            raise ControlFailed(f"experiment.decoder: {error}") from error
        self._desk = OperatorDesk(
            self._operator,
            self._runner,
            self._board,
            self._journal,
            self._tally,
            self._session.experiment.task.reward_ul,
            self._snapshot,
        )
        self._journal.append(Topic.INFO, self._info)
        self._wait_for_screen()
        self._runner.apply(Start())
        self._let_frames_come()
        info = self._info
        self._link.report("ready", f"{info.source}, {info.rate_hz:g} Hz, {len(info.rois)} ROIs")
        gc.collect()
        gc.freeze()
        log.info("loop: %s", hurry(Urgency.LOOP))
        self._loop(inf if duration_s is None else duration_s * info.rate_hz)
        self._settle()
        self.failure = self.failure or self._runner.failure
        return self._ended or "task over"

    # -- start ---------------------------------------------------------------------------------

    def _wait_for_peers(self, *keys: str) -> dict[str, str]:
        deadline = time.monotonic() + PEERS_S
        while time.monotonic() < deadline:
            peers = self._link.peers()
            if all(key in peers for key in keys):
                return peers
            if self._link.stop_requested():
                raise ControlFailed("asked to stop before the start")
            self._link.wait(0.05)
        missing = ", ".join(key for key in keys if key not in self._link.peers())
        raise ControlFailed(f"nobody announced {missing} within {PEERS_S:g} s")

    def _connect(self) -> None:
        peers = self._wait_for_peers("frames", "channel")
        self._channel = peers["channel"]
        self._client = AcquisitionClient(self._channel)
        self._open.callback(lambda: self._client.close())
        self._frames = FrameSubscriber(
            peers["frames"], queue_frames=self._session.rig.stream.queue_frames
        )
        self._open.callback(self._frames.close)
        self._info = self._client.describe()

    def _open_board(self) -> None:
        settings = self._session.rig.board
        if self._lossless and settings.kind == "simulated":
            self._board: Board = VirtualBoard(settings)
            self._board.open()
        else:
            self._board = open_board(settings, self._link.peers)
        self._open.callback(self._close_board)

    def _close_board(self) -> None:
        self._board.close()
        for event in self._board.events():
            self._journal.append(Topic.BOARD, event, t_perf_ns=event.t_host_ns)

    def _wait_for_screen(self) -> None:
        deadline = time.monotonic() + PEERS_S
        while self._screen == "waiting":
            self._reports.socket.poll(TURN_MS)
            self._board.turn()
            self._drain_board()
            self._hear_screen()
            self._housekeep(time.perf_counter_ns())
            if self._link.stop_requested():
                raise ControlFailed("asked to stop before the start")
            if time.monotonic() > deadline:
                raise ControlFailed(f"no screen within {PEERS_S:g} s: see the log of the stimulus")

    def _let_frames_come(self) -> None:
        stream = self._session.rig.stream
        # a second round is under way while the first is stepped
        credits = 2 * stream.credit_frames if self._lossless else 0
        self._owed = 0
        self._client.start(self._frames.token, Delivery(stream.delivery), credits)

    # -- the loop ------------------------------------------------------------------------------

    def _loop(self, last_id: float) -> None:
        while not self._runner.done:
            received = self._frames.wait(TURN_MS)
            while received is not None:
                self._take(received, behind=self._is_behind())
                if self._runner.loop.last_frame_id >= last_id:
                    self._end("duration over")
                if self._runner.done or time.perf_counter_ns() >= self._next_telemetry_ns:
                    break
                received = self._frames.receive()
            self._board.turn()
            self._link.turn()
            self._attend()

    def _is_behind(self) -> bool:
        """True where so many newer frames wait that the effects of this one would come late."""
        return not self._lossless and self._frames.waiting(self._late + 1) > self._late

    def _take(self, received: Received, *, behind: bool) -> None:
        frame = received.frame
        if not isinstance(frame, Malformed):
            if self._is_end(frame):
                self._end("the source has ended")
                return
            if self._lossless:
                self._owed += 1
                self._grant()
                self._board.advance_to(frame.frame_id / self._info.rate_hz)
            self._t_last_ns = received.t_received_ns
            self._t_first_ns = self._t_first_ns or received.t_received_ns
            self._stalled = False
        self._runner.frame(received, behind=behind)

    def _is_end(self, frame: RoiFrame) -> bool:
        """Whether this is the empty frame that follows the last one of this very stream."""
        return (
            bool(frame.flags & FLAG_END)
            and not len(frame.fluorescence)
            and frame.session_hash == self._info.session_hash
            and frame.epoch == self._info.epoch
        )

    def _grant(self) -> None:
        """Ask for as many frames as were taken in, unless the disk must catch up first."""
        if self._owed >= self._session.rig.stream.credit_frames and not self._journal.is_behind:
            self._client.credit(self._owed)
            self._owed = 0

    def _attend(self) -> None:
        """Everything that is not on the path from frame to command."""
        now_ns = time.perf_counter_ns()
        self._drain_board()
        self._hear_screen()
        self._desk.attend()
        self._housekeep(now_ns)
        self._grant()
        self._watch_stream(now_ns)
        self._watch_peers()
        if self._journal.fault is not None and not self._runner.done:
            self.failure = f"journal: {self._journal.fault}"
            self._end(self.failure)
        if self._link.stop_requested():
            self._end("asked to stop")

    def _end(self, reason: str) -> None:
        if not self._runner.done:
            self._ended = reason
            self._runner.apply(Stop(reason))

    def _drain_board(self) -> None:
        for event in self._board.events():
            self._runner.hear(event)

    def _hear_screen(self) -> None:
        while (report := self._reports.receive()) is not None:
            self._journal.append(Topic.SCREEN, report)
            match report:
                case ScreenHello():
                    self._welcome_screen(report)
                case FlipReport():
                    self._note_flip(report)
                case MissedFlips():
                    self._note_missed(report.count)

    def _welcome_screen(self, hello: ScreenHello) -> None:
        blanks = "blanks" if hello.blanks else "no screen that blanks"
        log.info("screen: %s on %s, %s", hello.backend, hello.display, blanks)
        self._screen = "ok" if hello.blanks else "ok (no screen)"
        self._commands.resend()
        if self._desk.screen_died:
            self._desk.screen_died = False
            self._runner.apply(ScreenBack())

    def _note_flip(self, report: FlipReport) -> None:
        t_frame_ns = self._effects.forget(report.command_id)
        if report.kind is FlipKind.SUPERSEDED:
            if not self._lossless:
                self._note(LedgerKind.COMMAND_SUPERSEDED, f"command {report.command_id}")
            return
        if t_frame_ns:
            self._latency.add(Stage.SENT_TO_ARRIVED, report.t_received_ns - t_frame_ns)
            self._latency.add(Stage.SENT_TO_FLIP, report.t_flip_ns - t_frame_ns)
        self._note_missed(report.missed_flips)

    def _note_missed(self, count: int) -> None:
        if count and not self._lossless:
            self._note(LedgerKind.FLIP_MISSED, count=count)

    def _note(self, kind: LedgerKind, detail: str = "", count: int = 1) -> None:
        self._runner.note(entry(self._runner.loop.last_frame_id, kind, detail, count))

    # -- timers --------------------------------------------------------------------------------

    def _housekeep(self, now_ns: int) -> None:
        self._commands.resend_if_due(now_ns)
        if now_ns < self._next_telemetry_ns:
            return
        self._next_telemetry_ns = now_ns + TELEMETRY_NS
        if now_ns >= self._next_percentiles_ns:
            self._next_percentiles_ns = now_ns + PERCENTILES_NS
            self._percentiles = self._latency.percentiles_ms()
        self._telemetry.send(self._snapshot())

    def _snapshot(self) -> Telemetry:
        runner, tally = self._runner, self._tally
        decision = runner.newest
        if decision is None:
            return Telemetry(time.perf_counter_ns(), "STARTING", screen=self._screen)
        loop, outcomes = runner.loop, tally.outcomes
        return Telemetry(
            t_ns=time.perf_counter_ns(),
            state=decision.state.name,
            trial=decision.trial,
            n_trials=sum(outcomes.values()),
            hits=outcomes[Outcome.HIT],
            misses=outcomes[Outcome.MISS],
            hit_rate=tally.hit_rate,
            rewards_done=tally.rewards_done,
            volume_ul=tally.volume_ul,
            s3=decision.s3,
            t=loop.t,
            lo=loop.lo,
            angle_deg=decision.angle_deg,
            latency_ms=self._percentiles,
            lost_frames=tally.lost_frames,
            ledger_count=sum(tally.ledger.values()),
            last_ledger=tally.last_ledger,
            progress=loop.progress,
            session_s=max(0, self._t_last_ns - self._t_first_ns) * 1e-9,
            screen="lost" if self._desk.screen_died else self._screen,
            board="ok" if self._board.connected else "lost",
            acquisition="stalled" if self._stalled else "ok",
        )

    def _watch_stream(self, now_ns: int) -> None:
        if self._lossless or self._stalled or not self._t_last_ns or self._runner.done:
            return
        silent_s = (now_ns - self._t_last_ns) * 1e-9
        if silent_s > self._session.experiment.faults.stall_s:
            self._stalled = True
            self._runner.apply(Stalled(silent_s))

    def _watch_peers(self) -> None:
        """Follow acquisition to where it was started again."""
        peers = self._link.peers()
        channel = peers.get("channel")
        if channel in (None, self._channel) or "frames" not in peers or self._runner.done:
            return
        while (received := self._frames.receive()) is not None:
            self._take(received, behind=False)
        self._client.close()
        self._channel = channel
        self._client = AcquisitionClient(channel)
        info = self._client.describe()
        if info.roi_hash != self._info.roi_hash:
            self.failure = "acquisition came back with other ROIs than before"
            self._end(self.failure)
            return
        self._info = info
        self._frames.connect(peers["frames"])
        self._journal.append(Topic.INFO, info)
        self._runner.apply(EpochStarted(info.epoch))
        self._let_frames_come()

    def _settle(self) -> None:
        """Let rewards and flips that are under way arrive, then leave."""
        deadline_ns = time.perf_counter_ns() + int(SETTLE_S * 1e9)
        leave_ns = time.perf_counter_ns() + int(LAST_FLIPS_S * 1e9)
        while (now_ns := time.perf_counter_ns()) < deadline_ns:
            if now_ns > leave_ns and not self._board.pending():
                return
            self._board.turn()
            self._link.turn()
            self._drain_board()
            self._hear_screen()
            self._desk.attend()
            self._housekeep(now_ns)
            self._reports.socket.poll(TURN_MS)
        log.error("rewards still open at the end: %d", self._board.pending())
