"""Control's line to the screen: commands out, what became of them back."""

import logging
from collections.abc import Callable
from math import inf
from time import perf_counter_ns

from msgspec.structs import replace

from bci.config.rig import Stream
from bci.core.loop_types import LedgerKind
from bci.core.messages import MOST_NS
from bci.core.stimulus_types import (
    FlipKind,
    FlipReport,
    MissedFlips,
    ScreenHello,
    ScreenReport,
)
from bci.recording.journal import Journal
from bci.recording.records import ClockTied, Peer, Topic
from bci.session.latency import LatencyBudget, Stage
from bci.stream.access import Guard
from bci.stream.clock import PeerClock
from bci.stream.commands import CommandPublisher
from bci.stream.reports import ReportReceiver

log = logging.getLogger("bci.control")

SENT_MOST = 4096
CLOCK_NS = 1_000_000_000
TIMES = ("t_received_ns", "t_draw_ns", "t_flip_ns")

Note = Callable[[LedgerKind, str, int], None]


class ScreenLine:
    """Sends commands, and reads what the screen reports of them.

    Parameters
    ----------
    settings
        `rig.stream`.
    guard
        As in `bind`.
    journal
        Gets every report.
    latency
        Gets the stages up to arrival and flip.

    Attributes
    ----------
    commands
        Where commands are sent.
    died
        Set it where a screen has died; the next one that says hello unsets it.
    on_flip
        Called with every flip that showed a command, and when the frame behind it was sent (0: no
        frame led to it).
    """

    def __init__(
        self, settings: Stream, guard: Guard | None, journal: Journal, latency: LatencyBudget
    ) -> None:
        host, exposed = settings.host, settings.exposed
        self.commands = CommandPublisher(
            host=host,
            port=settings.commands_port,
            resend_s=settings.command_resend_ms * 1e-3,
            exposed=exposed,
            guard=guard,
        )
        self._reports = ReportReceiver(
            host=host, port=settings.flips_port, exposed=exposed, guard=guard
        )
        self._journal = journal
        self._latency = latency
        self._lossless = settings.delivery == "lossless"
        self._sent_ns: dict[int, tuple[int, int]] = {}
        self._clock = PeerClock()
        self._offset_ns = 0
        self._error_ns = inf
        self._t_kept_ns = 0
        self._light = "waiting"
        self.died = False
        self.on_flip: Callable[[FlipReport, int], None] = lambda *_: None

    @property
    def endpoints(self) -> dict[str, str]:
        """What the screen must know."""
        return {"commands": self.commands.endpoint, "flips": self._reports.endpoint}

    @property
    def light(self) -> str:
        """For people to see: waiting, ok, ok (no vsync) where a timer paces the flips, lost."""
        return "lost" if self.died else self._light

    def close(self) -> None:
        """Give both sockets back."""
        self.commands.close()
        self._reports.close()

    def wait(self, timeout_ms: int) -> None:
        """Wait for a report at most this long."""
        self._reports.socket.poll(timeout_ms)

    def sent(self, command_id: int, t_frame_sent_ns: int, t_before_ns: int) -> None:
        """Remember what led to a command, until its flip is told.

        Parameters
        ----------
        command_id
            Of a command that has just left.
        t_frame_sent_ns
            When the frame behind it was sent; 0 where there is none.
        t_before_ns
            Any time shortly before the command left.
        """
        if len(self._sent_ns) >= SENT_MOST:
            self._sent_ns.clear()
        self._sent_ns[command_id] = t_frame_sent_ns, t_before_ns

    def hear(self, note: Note) -> bool:
        """Take in every report; True where a screen is back after one that died.

        Parameters
        ----------
        note
            Called with kind, detail and count of what the ledger must hold.
        """
        is_back = False
        while (report := self._reports.receive()) is not None:
            report = self._dated(report)
            self._journal.append(Topic.SCREEN, report)
            match report:
                case ScreenHello():
                    is_back, self.died = is_back or self.died, False
                    self._welcome(report)
                case FlipReport():
                    self._note_flip(report, note)
                case MissedFlips():
                    self._note_missed(report.count, note)
        return is_back

    def _welcome(self, hello: ScreenHello) -> None:
        blanks = "vsync" if hello.blanks else "no vsync: a timer paces the flips"
        log.info("screen: %s on %s, %s", hello.backend, hello.display, blanks)
        self._light = "ok" if hello.blanks else "ok (no vsync)"
        self._clock, self._error_ns, self._t_kept_ns = PeerClock(), inf, 0
        self.commands.resend()

    def _note_flip(self, report: FlipReport, note: Note) -> None:
        t_frame_ns, _ = self._sent_ns.pop(report.command_id, (0, 0))
        if report.kind is FlipKind.SUPERSEDED:
            if not self._lossless:
                note(LedgerKind.COMMAND_SUPERSEDED, f"command {report.command_id}", 1)
            return
        self.on_flip(report, t_frame_ns)
        if t_frame_ns:
            self._latency.add(Stage.SENT_TO_ARRIVED, report.t_received_ns - t_frame_ns)
            self._latency.add(Stage.SENT_TO_FLIP, report.t_flip_ns - t_frame_ns)
        self._note_missed(report.missed_flips, note)

    def _dated(self, report: ScreenReport) -> ScreenReport:
        """A report with its times on our clock; what it tells of the screen's is taken in."""
        if isinstance(report, ScreenHello):
            return report
        now_ns = perf_counter_ns()
        if isinstance(report, FlipReport):
            _, t_before_ns = self._sent_ns.get(report.command_id, (0, 0))
            # 0 where it was overwritten on its way
            if t_before_ns and report.t_received_ns:
                self._clock.reached(t_before_ns, report.t_received_ns)
        if report.t_flip_ns:
            self._clock.came(report.t_flip_ns, now_ns)
        self._keep_clock(now_ns)
        if not self._offset_ns:
            return report
        names = (name for name in TIMES if getattr(report, name, 0))
        dated = {name: getattr(report, name) - self._offset_ns for name in names}
        # a time that no clock shows stays as it came: the journal must hold what it can read
        if any(abs(t_ns) > MOST_NS for t_ns in dated.values()):
            return report
        return replace(report, **dated)

    def _keep_clock(self, now_ns: int) -> None:
        """Keep the screen's clock, as often as it is known better or goes another way than ours."""
        offset = self._clock.offset
        if offset is None:
            return
        self._offset_ns = offset.offset_ns
        is_news = bool(offset.offset_ns) or offset.error_ns < self._error_ns
        if is_news and now_ns - self._t_kept_ns >= CLOCK_NS:
            self._t_kept_ns, self._error_ns = now_ns, offset.error_ns
            tied = ClockTied(Peer.STIMULUS, offset.offset_ns, offset.error_ns)
            self._journal.append(Topic.CLOCK, tied)

    def _note_missed(self, count: int, note: Note) -> None:
        if count and not self._lossless:
            note(LedgerKind.FLIP_MISSED, "", count)
