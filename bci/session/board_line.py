"""Control's line to the board: what it does, what it told, what the subject has had."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bci.config.rig import Board as BoardSettings
from bci.config.session import Session
from bci.config.session_type import pays_anything, pays_hits
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.loop_types import LedgerEntry
from bci.core.rewards import RewardFate
from bci.core.stimulus_types import FlipReport
from bci.hardware.board.interface import Board, BoardError
from bci.hardware.board.kinds import PROCESSES, open_board
from bci.hardware.board.virtual import VirtualBoard
from bci.recording.daily_cap import DailyCap
from bci.recording.journal import Journal
from bci.recording.records import Topic
from bci.recording.reward_log import Clock, RewardLine, RewardLog, local_now, reward_log_path
from bci.session.frame_clock import FrameClock
from bci.session.latency import LatencyBudget, Stage
from bci.session.live_clock import LiveClock
from bci.session.photodiode import Photodiode
from bci.session.reward_budget import RewardBudget
from bci.session.settle import settle_at_opening

ARM_S = 2.0
PHOTODIODES = ("serial", "chip", "simulated")
"""Kinds of board that have a photodiode input."""
TURN_S = 0.002


def settings_with_rate(session: Session) -> BoardSettings:
    """Settings of the board, with what the microscope and the light say of gate and frames."""
    settings, light = session.rig.board, session.experiment.light
    rate_hz, told = session.rig.source.rate_hz, {}
    if settings.values.frame_period_us is None and rate_hz is not None:
        told["frame_period_us"] = round(1e6 / rate_hz)
    if settings.values.gate_us is None and light.trials != "none":
        told["gate_us"] = round(light.gate_ms * 1000)
    values = settings.values.model_copy(update=told)
    return settings.model_copy(update={"values": values})


class BoardLine:
    """The board of a session, with the subject's reward log.

    Parameters
    ----------
    session
        Resolved settings.
    name
        Of the session, for the reward log.
    folder
        Of the session.
    journal
        Gets what the board tells at its closing; its thread brings the reward log to the disk.
    clock
        Local time with its offset.

    Attributes
    ----------
    board
        Once it is open.
    budget
        What the subject has had today.
    latency
        Gets the stage up to light, where a photodiode tells of it; None: nobody asks.

    Raises
    ------
    OSError
        If the subject's reward log is there and cannot be read.
    """

    board: Board

    def __init__(
        self,
        session: Session,
        name: str,
        folder: Path,
        journal: Journal,
        clock: Clock = local_now,
    ) -> None:
        settings, task = settings_with_rate(session), session.experiment.task
        self._settings = settings
        self._journal = journal
        lossless = session.rig.stream.delivery == "lossless"
        self._speed = session.rig.stream.speed
        self._virtual = lossless and settings.kind == "simulated"
        session_type = session.experiment.session_type
        self._local_now = clock
        self._log: RewardLog | None = None
        self._lines: list[RewardLine] = []
        if not self._virtual:
            path = reward_log_path(folder, session.subject)
            self._log = RewardLog(path, name, settings.kind, clock)
            self._lines = self._log.read()
        self.cap = DailyCap(task, settings.kind, name, clock)
        self.cap.read(self._lines)
        self.budget = RewardBudget(
            self.cap,
            task.daily_cap_ul,
            task.reward_ul if pays_anything(session_type) else 0.0,
            pays_hits=pays_hits(session_type),
        )
        self._clock = LiveClock()
        self._frame_clock: FrameClock | None = None
        self._photodiode: Photodiode | None = None
        if session.rig.screen.photodiode.enabled and settings.kind in PHOTODIODES and not lossless:
            self._photodiode = Photodiode()
        self.latency: LatencyBudget | None = None
        self._is_open = False

    @property
    def is_process(self) -> bool:
        """Whether the board is a process of the session, which announces where it listens."""
        return self._settings.kind in PROCESSES and not self._virtual

    def open(self, peers: Callable[[], Mapping[str, str]], token: str) -> None:
        """Open the board, and settle drops of earlier sessions; raises `BoardError`.

        Parameters
        ----------
        peers, token
            As in `ProcessLink`.
        """
        if self._virtual:
            self.board = VirtualBoard(self._settings)
            self.board.open()
        else:
            self.board = open_board(self._settings, peers, token=token, log=self._log)
        self._is_open = True
        if self._log is not None:
            settle_at_opening(self._log, self._lines, self.board, self._settings.kind)
            self._lines = []
            self._journal.every_second(self._log.flush)

    def arm(self, rate_hz: float, hear: Callable[[BoardEvent], None]) -> None:
        """Make the next frame TTL number 0, where TTLs are wired, before any frame comes.

        Parameters
        ----------
        rate_hz
            Of frames over all planes.
        hear
            Called with what the board tells meanwhile.

        Raises
        ------
        BoardError
            Where the board does not confirm it.
        """
        ttl_at = self._settings.frame_ttl
        if ttl_at == "none":
            return
        self._frame_clock = FrameClock(ttl_at, rate_hz * self._speed)
        self.board.arm()
        armed, t_end_s = False, time.monotonic() + ARM_S
        while not armed:
            if time.monotonic() > t_end_s:
                raise BoardError(f"the board did not arm its frame clock within {ARM_S:g} s")
            self.board.turn()
            for event in self.hear():
                armed = armed or event.kind is BoardEventKind.ARMED
                hear(event)
            time.sleep(TURN_S)

    def frame(self, frame_id: int, t_received_ns: int) -> None:
        """Note a frame that was stepped, for the frame clock."""
        if self._frame_clock is not None:
            self._frame_clock.frame(frame_id, t_received_ns)

    def turn(self, now_ns: int) -> list[LedgerEntry]:
        """Let the board hear that the loop turns; what the ledger must hold."""
        self.board.turn()
        self.cap.read([] if self._log is None else self._log.news())
        found = [] if self._frame_clock is None else self._frame_clock.turn(now_ns)
        if self._photodiode is not None:
            for t_ns in self._photodiode.take(now_ns):
                if self.latency is not None:
                    self.latency.add(Stage.SENT_TO_LIGHT, t_ns)
            found += self._photodiode.turn(now_ns)
        return found

    def flip(self, report: FlipReport, t_frame_sent_ns: int) -> None:
        """Note a flip that showed a command, for the photodiode."""
        if self._photodiode is not None:
            self._photodiode.flip(report, t_frame_sent_ns)

    def end(self) -> list[LedgerEntry]:
        """What the ledger must hold at the end."""
        found = [] if self._frame_clock is None else self._frame_clock.end()
        return found + ([] if self._photodiode is None else self._photodiode.end())

    @property
    def fault(self) -> str:
        """Why the session cannot go on; empty: it can."""
        return "" if self._frame_clock is None else self._frame_clock.fault

    @property
    def light(self) -> str:
        """How it goes, for people to see."""
        return "ok" if self.board.connected else "lost"

    def hear(self) -> list[BoardEvent]:
        """Events since the last call; rewards that ended wait for the log's next flush."""
        events = self.board.events()
        for event in events:
            self._tell_clocks(event)
            if RewardFate.of(event.kind) is not None:
                self._count(event)
        return events

    def _count(self, event: BoardEvent) -> None:
        at = self._when(event)
        reward = self.budget.hear(event, at)
        if reward is not None and self._log is not None:
            self._log.end(reward, at)

    def _when(self, event: BoardEvent) -> datetime:
        """Local time of an event; a board on virtual time has none of its own."""
        now = self._local_now()
        if self._virtual:
            return now
        since_us = (time.perf_counter_ns() - event.t_host_ns) / 1e3
        # by way of UTC: the offset may have changed since
        return (now.astimezone(UTC) - timedelta(microseconds=since_us)).astimezone(now.tzinfo)

    def _tell_clocks(self, event: BoardEvent) -> None:
        if event.kind is BoardEventKind.CLOCK:
            self._clock.hear(event)
        elif event.kind is BoardEventKind.PHOTODIODE and self._photodiode is not None:
            self._photodiode.edge(self._clock.host_ns(event))
        elif event.kind is BoardEventKind.FRAME_TTL and self._frame_clock is not None:
            assert event.t_device_us is not None
            t_ns = self._clock.host_ns(event)
            self._frame_clock.ttl(int(event.value), event.t_device_us, t_ns)

    def close(self) -> None:
        """Shut the board in order; what it still told is on file."""
        if self._is_open:
            self.board.close()
            for event in self.hear():
                self._journal.append(Topic.BOARD, event, t_perf_ns=event.t_host_ns)
        if self._log is not None:
            self._log.close()
