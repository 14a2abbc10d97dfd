"""A few seconds of real commands to a real screen, without a session."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from bci.config.session import Session
from bci.core.stimulus_types import (
    FlipKind,
    FlipReport,
    MissedFlips,
    ScreenHello,
    ScreenKind,
    StimulusCommand,
)
from bci.recording.manifest import make_manifest, write_manifest
from bci.session.child_main import Task
from bci.session.children import Child
from bci.session.logs import LogBook
from bci.stream.access import Access, Guard, new_token
from bci.stream.commands import CommandPublisher
from bci.stream.hub import SupervisorHub
from bci.stream.reports import ReportReceiver

OPEN_S = 30.0
END_S = 3.0
SHOW_S = 5.0
RESEND_MS = 100


class ScreenTrialFailed(RuntimeError):
    """The screen did not open, or told nothing; says why."""


class ScreenTrial(msgspec.Struct, frozen=True):
    """What a screen did.

    Parameters
    ----------
    hello
        What it said of itself.
    shown, missed
        Commands shown and flips missed.
    draw_ms, flip_ms
        p50 and p99 of drawing, and of command sent → flip, ms.
    jitter_ms
        How far flips lie from whole refreshes of each other, 99th percentile.
    """

    hello: ScreenHello
    shown: int
    missed: int
    draw_ms: tuple[float, float]
    flip_ms: tuple[float, float]
    jitter_ms: float


class OpenScreen:
    """A screen in a process of its own, told what to show; made by `open_screen`."""

    def __init__(
        self, hello: ScreenHello, commands: CommandPublisher, reports: ReportReceiver
    ) -> None:
        self.hello = hello
        self._commands = commands
        self._reports = reports
        self._last_id = 0

    def next_id(self) -> int:
        """Number for the next command."""
        self._last_id += 1
        return self._last_id

    def send(self, command: StimulusCommand) -> int:
        """Send a command; returns `time.perf_counter_ns` just after."""
        return self._commands.send(command)

    def reports(self, wait_ms: int) -> Iterator[FlipReport | MissedFlips]:
        """What the screen tells, waited for a little."""
        self._reports.socket.poll(wait_ms)
        while (report := self._reports.receive()) is not None:
            if isinstance(report, FlipReport | MissedFlips):
                yield report

    def show(self, command: StimulusCommand) -> None:
        """Send a command and wait until it was seen.

        Raises
        ------
        ScreenTrialFailed
            Where it was not.
        """
        self.send(command)
        deadline = time.monotonic() + SHOW_S
        while time.monotonic() < deadline:
            for report in self.reports(RESEND_MS):
                if isinstance(report, FlipReport) and report.command_id == command.command_id:
                    return
            self._commands.resend()
        raise ScreenTrialFailed(f"the screen did not show a command within {SHOW_S:g} s")


@contextmanager
def open_screen(session: Session) -> Iterator[OpenScreen]:
    """A real screen without a session, closed at the end.

    Parameters
    ----------
    session
        Its rig's screen and experiment's stimulus are used.

    Raises
    ------
    ScreenTrialFailed
        Where it does not open.
    """
    access = Access(new_token())
    with TemporaryDirectory() as name, SupervisorHub(access) as hub, Guard(access) as guard:
        folder = Path(name)
        write_manifest(folder, make_manifest("screen-trial", session, datetime.now().astimezone()))
        book = LogBook(folder / "log.jsonl", None)
        child = Child(Task("stimulus", str(folder), hub.endpoint), book, access.token)
        commands, reports = CommandPublisher(guard=guard), ReportReceiver(guard=guard)
        try:
            hub.announce({"commands": commands.endpoint, "flips": reports.endpoint})
            hello = _wait_for_hello(child, reports)
            yield OpenScreen(hello, commands, reports)
        finally:
            hub.stop("stimulus")
            if not child.wait(END_S):
                child.kill()
            commands.close()
            reports.close()
            book.close()


def try_screen(session: Session, n_commands: int = 90, rate_hz: float = 30.0) -> ScreenTrial:
    """Open the screen in a process of its own, turn a grating, close it.

    Parameters
    ----------
    session
        Its rig's screen and experiment's stimulus are used.
    n_commands, rate_hz
        How many angles are shown, and how fast.

    Raises
    ------
    ScreenTrialFailed
        Where it does not open.
    """
    with open_screen(session) as screen:
        return _turn(screen, n_commands, rate_hz)


def _wait_for_hello(child: Child, reports: ReportReceiver) -> ScreenHello:
    deadline = time.monotonic() + OPEN_S
    while time.monotonic() < deadline:
        reports.socket.poll(50)
        report = reports.receive()
        if isinstance(report, ScreenHello):
            return report
        if child.exit_code is not None:
            child.wait(1.0)
            raise ScreenTrialFailed(f"the screen did not open ({child.why()})")
    raise ScreenTrialFailed(f"the screen did not open within {OPEN_S:g} s")


def _turn(screen: OpenScreen, n_commands: int, rate_hz: float) -> ScreenTrial:
    sent_ns: dict[int, int] = {}
    draw_ns: list[int] = []
    delay_ns: list[int] = []
    flips_ns: list[int] = []
    missed = 0
    next_s = time.perf_counter()
    end_s = next_s + n_commands / rate_hz + 0.5
    while time.perf_counter() < end_s:
        if len(sent_ns) < n_commands and time.perf_counter() >= next_s:
            next_s += 1 / rate_hz
            number = screen.next_id()
            angle_deg = 90.0 * (number % 46) / 45
            sent_ns[number] = screen.send(
                StimulusCommand(number, -1, ScreenKind.GRATING, angle_deg, 1.0, 2.0)
            )
        for report in screen.reports(2):
            if isinstance(report, MissedFlips):
                missed += report.count
            elif report.kind is FlipKind.SHOWN:
                missed += report.missed_flips
                draw_ns.append(report.t_flip_ns - report.t_draw_ns)
                delay_ns.append(report.t_flip_ns - sent_ns[report.command_id])
                flips_ns.append(report.t_flip_ns)
    if not flips_ns:
        raise ScreenTrialFailed("the screen opened and showed nothing")
    return ScreenTrial(
        screen.hello,
        len(flips_ns),
        missed,
        _p50_p99_ms(draw_ns),
        _p50_p99_ms(delay_ns),
        jitter_ms(flips_ns, screen.hello.refresh_hz),
    )


def jitter_ms(flips_ns: Sequence[int], refresh_hz: float) -> float:
    """How far flips lie from whole refreshes of each other, ms: the 99th percentile.

    Parameters
    ----------
    flips_ns
        Times of flips, in order, not every refresh among them.
    refresh_hz
        Of the screen.
    """
    steps = np.diff(np.asarray(flips_ns)) * 1e-9 * refresh_hz
    if not len(steps):
        return float("nan")
    return float(np.percentile(np.abs(steps - np.rint(steps)), 99) * 1e3 / refresh_hz)


def _p50_p99_ms(nanoseconds: list[int]) -> tuple[float, float]:
    p50, p99 = np.percentile(np.array(nanoseconds) * 1e-6, [50, 99])
    return float(p50), float(p99)
