"""A few seconds of real commands to a real screen, without a session."""

import time
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
from bci.recording.folder import MANIFEST
from bci.recording.manifest import make_manifest, write_manifest
from bci.session.children import Child
from bci.session.logs import LogBook
from bci.stream.commands import CommandPublisher
from bci.stream.hub import SupervisorHub
from bci.stream.reports import ReportReceiver

OPEN_S = 30.0
END_S = 3.0


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
    """

    hello: ScreenHello
    shown: int
    missed: int
    draw_ms: tuple[float, float]
    flip_ms: tuple[float, float]


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
    with TemporaryDirectory() as name, SupervisorHub() as hub:
        folder = Path(name)
        write_manifest(folder, make_manifest("screen-trial", session, datetime.now().astimezone()))
        book = LogBook(folder / "log.jsonl", None)
        arguments = ["stimulus", str(folder / MANIFEST), f"--supervisor={hub.endpoint}"]
        child = Child("stimulus", arguments, book)
        commands, reports = CommandPublisher(), ReportReceiver()
        try:
            hub.announce({"commands": commands.endpoint, "flips": reports.endpoint})
            hello = _wait_for_hello(child, reports)
            return _turn(hello, commands, reports, n_commands, rate_hz)
        finally:
            hub.stop("stimulus")
            if not child.wait(END_S):
                child.kill()
            commands.close()
            reports.close()
            book.close()


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


def _turn(
    hello: ScreenHello,
    commands: CommandPublisher,
    reports: ReportReceiver,
    n_commands: int,
    rate_hz: float,
) -> ScreenTrial:
    sent_ns: dict[int, int] = {}
    draw_ns: list[int] = []
    flip_ns: list[int] = []
    missed = 0
    next_s = time.perf_counter()
    end_s = next_s + n_commands / rate_hz + 0.5
    while time.perf_counter() < end_s:
        if len(sent_ns) < n_commands and time.perf_counter() >= next_s:
            next_s += 1 / rate_hz
            number = len(sent_ns) + 1
            angle_deg = 90.0 * (number % 46) / 45
            sent_ns[number] = commands.send(
                StimulusCommand(number, -1, ScreenKind.GRATING, angle_deg, 1.0, 2.0)
            )
        reports.socket.poll(2)
        while (report := reports.receive()) is not None:
            if isinstance(report, MissedFlips):
                missed += report.count
            elif isinstance(report, FlipReport) and report.kind is FlipKind.SHOWN:
                missed += report.missed_flips
                draw_ns.append(report.t_flip_ns - report.t_draw_ns)
                flip_ns.append(report.t_flip_ns - sent_ns[report.command_id])
    if not flip_ns:
        raise ScreenTrialFailed("the screen opened and showed nothing")
    return ScreenTrial(hello, len(flip_ns), missed, _p50_p99_ms(draw_ns), _p50_p99_ms(flip_ns))


def _p50_p99_ms(nanoseconds: list[int]) -> tuple[float, float]:
    p50, p99 = np.percentile(np.array(nanoseconds) * 1e-6, [50, 99])
    return float(p50), float(p99)
