"""The control process: frames in, decisions out, everything journaled."""

import gc
import logging
import sys
import time
from pathlib import Path

import zmq

from bci.config.load import settings_hash
from bci.config.session import Session
from bci.core.board_types import BoardEvent
from bci.core.decoder import UnknownRoi
from bci.core.frame_header import FLAG_END
from bci.core.ledger import entry
from bci.core.loop_types import (
    EpochStarted,
    LedgerKind,
    Malformed,
    ScreenBack,
    Stalled,
    Start,
    Stop,
)
from bci.core.process import ProcessLink
from bci.core.stimulus_types import FlipKind, FlipReport, ScreenHello
from bci.core.stream_types import StreamInfo
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
from bci.stream.reports import ReportReceiver
from bci.stream.subscriber import FrameSubscriber, Received
from bci.stream.telemetry import Telemetry, TelemetryPublisher
from hardware.board.interface import Board
from hardware.board.open import open_board

log = logging.getLogger("bci.control")

TURN_MS = 20
PEERS_S = 30.0
SETTLE_S = 3.0
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
        self._session = session
        self._link = link
        self._journal = journal
        self._lossless = stream.delivery == "lossless"
        self._commands = CommandPublisher(
            host=stream.host,
            port=stream.commands_port,
            resend_s=stream.command_resend_ms * 1e-3,
            exposed=stream.exposed,
        )
        self._reports = ReportReceiver(
            host=stream.host, port=stream.flips_port, exposed=stream.exposed
        )
        self._operator = OperatorServer(
            host=stream.host, port=stream.operator_port, exposed=stream.exposed
        )
        self._telemetry = TelemetryPublisher(
            host=stream.host, port=stream.telemetry_port, exposed=stream.exposed
        )
        self._latency = LatencyBudget()
        self._tally = Tally()
        self._percentiles: dict[str, tuple[float, float]] = {}
        self._screen = "waiting"
        self._board: Board | None = None
        self._client: AcquisitionClient | None = None
        self._frames: FrameSubscriber | None = None
        self._granted = 0
        self._ended = ""
        self._t_last_ns = 0
        self._t_first_ns = 0
        self._stalled = False
        self._next_telemetry_ns = 0
        self._next_percentiles_ns = 0
        self.failure: str | None = None

    def __enter__(self) -> "_Control":
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()
            self._drain_board()
        if self._client is not None:
            self._client.close()
        if self._frames is not None:
            self._frames.close()
        for socket in (self._commands, self._reports, self._operator, self._telemetry):
            socket.close()

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
        info = self._connect()
        self._open_board()
        effects = Effects(self._commands, self._the_board, self._journal, self._latency)
        self._effects = effects
        try:
            runner = LoopRunner(
                self._session, info, effects, self._journal, self._latency, self._tally
            )
        except UnknownRoi as error:
            raise ControlFailed(f"experiment.decoder: {error}") from error
        self._runner = runner
        self._desk = OperatorDesk(self._operator, runner, self._the_board, self._journal)
        self._journal.append(Topic.INFO, info)
        self._wait_for_screen()
        runner.apply(Start())
        self._let_frames_come()
        self._link.report("ready", f"{info.source}, {info.rate_hz:g} Hz, {len(info.rois)} ROIs")
        gc.collect()
        gc.freeze()
        last_id = None if duration_s is None else duration_s * info.rate_hz
        self._loop(last_id)
        self._settle()
        self.failure = self.failure or runner.failure
        return self._ended or "task over"

    # -- start ---------------------------------------------------------------------------------

    @property
    def _the_board(self) -> Board:
        if self._board is None:
            raise ControlFailed("the board is not open")
        return self._board

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

    def _connect(self) -> StreamInfo:
        peers = self._wait_for_peers("frames", "channel")
        self._channel = peers["channel"]
        self._client = AcquisitionClient(peers["channel"])
        queue = self._session.rig.stream.queue_frames
        self._frames = FrameSubscriber(peers["frames"], queue_frames=queue)
        return self._client.describe()

    def _open_board(self) -> None:
        settings = self._session.rig.board
        virtual = self._lossless and settings.kind == "simulated"
        needs_peer = settings.kind == "simulated" and not virtual
        peers = self._wait_for_peers("board") if needs_peer else {}
        self._board = open_board(settings, peers, virtual=virtual)
        self._board.open()

    def _wait_for_screen(self) -> None:
        deadline = time.monotonic() + PEERS_S
        while self._screen != "ok":
            self._hear_screen()
            self._housekeep(time.perf_counter_ns())
            if self._link.stop_requested():
                raise ControlFailed("asked to stop before the start")
            if time.monotonic() > deadline:
                raise ControlFailed(f"no screen within {PEERS_S:g} s: see the log of the stimulus")
            self._reports.socket.poll(TURN_MS)

    def _let_frames_come(self) -> None:
        assert self._client is not None
        assert self._frames is not None
        stream = self._session.rig.stream
        credits = 2 * stream.credit_frames if self._lossless else 0
        self._granted = stream.credit_frames
        self._client.start(self._frames.token, stream.delivery, credits)
        self._t_last_ns = 0

    # -- the loop ------------------------------------------------------------------------------

    def _loop(self, last_id: float | None) -> None:
        frames, runner, board = self._frames, self._runner, self._the_board
        assert frames is not None
        poller = zmq.Poller()
        for socket in (frames.socket, self._reports.socket, self._operator.socket):
            poller.register(socket, zmq.POLLIN)
        late_frames = self._session.rig.stream.late_frames
        while not runner.done:
            poller.poll(TURN_MS)
            while (received := frames.receive()) is not None:
                behind = not self._lossless and frames.waiting(late_frames + 1) > late_frames
                self._take(received, behind=behind)
                board.turn()
                if runner.done or time.perf_counter_ns() >= self._next_telemetry_ns:
                    break
            board.turn()
            if last_id is not None and runner.loop.last_frame_id >= last_id:
                self._end("duration over")
            self._attend()

    def _take(self, received: Received, *, behind: bool) -> None:
        frame = received.frame
        if not isinstance(frame, Malformed):
            if frame.flags & FLAG_END:
                self._end("the source has ended")
                return
            if self._lossless:
                self._grant()
                self._the_board.advance_to(frame.frame_id / self._rate_hz)
            self._t_last_ns = received.t_received_ns
            self._t_first_ns = self._t_first_ns or received.t_received_ns
            self._stalled = False
        self._runner.frame(received, behind=behind)

    def _grant(self) -> None:
        """Another round of credits once a round of frames has been taken in."""
        self._granted -= 1
        if self._granted == 0:
            self._granted = self._session.rig.stream.credit_frames
            assert self._client is not None
            self._client.credit(self._granted)

    def _attend(self) -> None:
        """Everything that is not on the path from frame to command."""
        now_ns = time.perf_counter_ns()
        self._drain_board()
        self._hear_screen()
        self._desk.attend()
        self._housekeep(now_ns)
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
        for event in self._the_board.events():
            self._runner.hear(event)

    def _hear_screen(self) -> None:
        while (report := self._reports.receive()) is not None:
            self._journal.append(Topic.SCREEN, report)
            if isinstance(report, ScreenHello):
                self._welcome_screen(report)
            elif isinstance(report, FlipReport):
                self._note_flip(report)
            if not isinstance(report, ScreenHello):
                missed = report.missed_flips if isinstance(report, FlipReport) else report.count
                if missed and self._screen == "ok":
                    self._runner_note(LedgerKind.FLIP_MISSED, missed)

    def _welcome_screen(self, hello: ScreenHello) -> None:
        log.info("screen: %s %s, %s", hello.backend, hello.display, hello.renderer)
        was_lost = self._screen == "lost"
        self._screen = "ok"
        self._commands.resend()
        if was_lost:
            self._runner.apply(ScreenBack())
