"""Pre-flight: everything a session needs, tried before the animal is in place."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile

import msgspec
import psutil

from bci.config.fault import Fault
from bci.config.session import Session
from bci.recording.reward_ledger import volume_today
from bci.session.screen_trial import ScreenTrialFailed, try_screen
from hardware.board.interface import BoardError
from hardware.board.kinds import PROCESSES, open_board, port_faults
from hardware.imaging.open import describe_source, source_faults

MB = 1_000_000
SPARE = 3.0
VALVE_DAYS = 30
WRITE_MB = 16


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True):
    """One check: what was found, and what to do about it.

    Parameters
    ----------
    name
        What was looked at.
    message
        What was found.
    solution
        What to do; empty where all is well.
    """

    name: str
    status: Status
    message: str
    solution: str = ""


def quick_checks(session: Session, root: Path) -> list[Check]:
    """Checks that take no time and open nothing; stored with every session."""
    return [
        _python(),
        _clock(),
        _cores(),
        _valve(session),
        _drops(session, root),
        _space(session, root),
        _display(session),
    ]


def all_checks(session: Session, root: Path) -> Iterator[Check]:
    """Every check, slow ones last: stream, disk, board and screen are really used."""
    yield from quick_checks(session, root)
    for check in (_settings, _source, _board, _screen):
        yield check(session)
    yield _write_rate(root)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Check("python", Status.OK, version)
    return Check("python", Status.FAIL, version, "use Python 3.11 or 3.12: PsychoPy needs it")


def _clock() -> Check:
    ticks = {time.perf_counter_ns() for _ in range(1000)}
    step_ns = (max(ticks) - min(ticks)) / max(1, len(ticks) - 1)
    message = f"perf_counter steps of {step_ns:.0f} ns"
    if step_ns < 10_000:
        return Check("clock", Status.OK, message)
    return Check("clock", Status.WARN, message, "latencies will be coarse: look at the time source")


def _cores() -> Check:
    n, load = os.cpu_count() or 1, psutil.getloadavg()[0]
    message = f"{n} cores, load {load:.1f}"
    if n >= 2 and load < n:
        return Check("computer", Status.OK, message)
    return Check("computer", Status.WARN, message, "end other programs: frames may come late")


def _valve(session: Session) -> Check:
    valve = session.rig.board.valve
    message = f"{valve.ms_per_ul:g} ms for 1 µl"
    if valve.calibrated_on is None:
        return Check(
            "valve",
            Status.WARN,
            f"{message}, never calibrated",
            "weigh drops and set rig.board.valve.ms_per_ul and calibrated_on",
        )
    days = (date.today() - valve.calibrated_on).days
    message = f"{message}, calibrated {days} days ago"
    if days > VALVE_DAYS:
        return Check("valve", Status.WARN, message, "weigh drops again")
    return Check("valve", Status.OK, message)


def _drops(session: Session, root: Path) -> Check:
    task = session.experiment.task
    try:
        today_ul = volume_today(root, session.subject, session.rig.board.kind)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        return Check("drops", Status.FAIL, why, "allow the subject's rewards.csv to be read")
    message = f"{session.subject} had {today_ul:g} µl today"
    if task.daily_cap_ul is None:
        return Check("drops", Status.OK, f"{message}, no cap is set")
    message = f"{message} of at most {task.daily_cap_ul:g} µl"
    left = int((task.daily_cap_ul - today_ul + 1e-9) // task.reward_ul)
    if left < 1:
        return Check("drops", Status.FAIL, message, "not one reward fits: wait until tomorrow")
    return Check("drops", Status.OK, f"{message}, {left} rewards of {task.reward_ul:g} µl fit")


def cap_faults(session: Session, root: Path) -> list[Fault]:
    """What keeps a session from its first reward."""
    found = _drops(session, root)
    if found.status is not Status.FAIL:
        return []
    cap_ul = session.experiment.task.daily_cap_ul
    return [Fault("experiment.task.daily_cap_ul", cap_ul, found.message, found.solution)]


def _space(session: Session, root: Path) -> Check:
    existing = next(p for p in (root.resolve(), *root.resolve().parents) if p.exists())
    free_mb = shutil.disk_usage(existing).free / MB
    source, experiment = session.rig.source, session.experiment
    n_rois = getattr(source, "n_rois", 1000)
    rate_hz = source.rate_hz or 30.0
    baseline_s = experiment.baseline.duration_s if experiment.baseline else 0.0
    bytes_a_frame = 4 * n_rois / source.n_planes + 500
    needed_mb = (experiment.task.session_s + baseline_s) * rate_hz * bytes_a_frame / MB
    message = f"{free_mb:,.0f} MB free in {existing}, about {needed_mb:,.0f} MB needed"
    if free_mb > SPARE * needed_mb:
        return Check("disk", Status.OK, message)
    return Check("disk", Status.FAIL, message, "make room, or write elsewhere with --out")


def _display(session: Session) -> Check:
    screen = session.rig.screen
    if screen.backend == "null":
        return Check("display", Status.WARN, "null: nothing is shown", "for tests alone")
    display = screen.display or os.environ.get("DISPLAY")
    if display or sys.platform in ("win32", "darwin"):
        return Check("display", Status.OK, display or "the desktop")
    if shutil.which("Xvfb"):
        message = "no DISPLAY: the grating is drawn on a virtual screen (Xvfb)"
        return Check("display", Status.WARN, message, "an animal needs a screen: set DISPLAY")
    return Check(
        "display",
        Status.FAIL,
        "no DISPLAY and no Xvfb",
        "start from a desktop, or run `make setup`, which installs Xvfb",
    )


def _settings(session: Session) -> Check:
    faults = [*source_faults(session), *port_faults(session.rig.board)]
    if faults:
        return Check("settings", Status.FAIL, "; ".join(map(str, faults)), "see `bci check`")
    return Check("settings", Status.OK, "source, ensembles and board fit together")


def _source(session: Session) -> Check:
    try:
        info = describe_source(session.rig.source).info
    except (OSError, ValueError) as error:
        return Check("stream", Status.FAIL, str(error), "see rig.source")
    planes = f"{info.n_planes} plane{'s' * (info.n_planes != 1)}"
    message = (
        f"{info.source}: {len(info.rois)} ROIs, {planes}, {info.rate_hz:g} Hz, "
        f"ROI hash {info.roi_hash:016x}, dark level {info.dark_counts:g} counts"
    )
    return Check("stream", Status.OK, message)


def _board(session: Session) -> Check:
    settings = session.rig.board
    if settings.kind in PROCESSES:
        message = f"{settings.kind}: no drop is given"
        return Check("board", Status.WARN, message, 'set rig.board.kind = "serial"')
    try:
        board = open_board(settings, dict)
    except BoardError as error:
        return Check("board", Status.FAIL, str(error), "see rig.board")
    identity = board.identity
    board.close()
    return Check("board", Status.OK, f"{settings.port}: {identity}")


def _screen(session: Session) -> Check:
    if session.rig.screen.backend == "null":
        return Check("screen", Status.WARN, "null backend", 'set rig.screen.backend = "psychopy"')
    try:
        trial = try_screen(session)
    except ScreenTrialFailed as error:
        return Check("screen", Status.FAIL, str(error), "see rig.screen")
    hello = trial.hello
    message = (
        f"{hello.width_px} x {hello.height_px} on {hello.display}, {hello.renderer}, "
        f"{hello.refresh_hz:.2f} Hz, draw p50 {trial.draw_ms[0]:.1f} p99 {trial.draw_ms[1]:.1f}, "
        f"command to flip p50 {trial.flip_ms[0]:.1f} p99 {trial.flip_ms[1]:.1f} ms, "
        f"{trial.missed} flips missed of {trial.shown}"
    )
    if not hello.blanks:
        solution = "this screen does not blank: times of light are not known"
        return Check("screen", Status.WARN, message, solution)
    if trial.missed > trial.shown // 50:
        return Check("screen", Status.WARN, message, "close other windows, look at the driver")
    return Check("screen", Status.OK, message)


def _write_rate(root: Path) -> Check:
    existing = next(p for p in (root.resolve(), *root.resolve().parents) if p.exists())
    block = os.urandom(MB)
    try:
        with TemporaryFile(dir=existing) as file:
            started = time.perf_counter()
            for _ in range(WRITE_MB):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            rate = WRITE_MB / (time.perf_counter() - started)
    except OSError as error:
        return Check("writing", Status.FAIL, f"{existing}: {error}", "write elsewhere with --out")
    message = f"{rate:,.0f} MB/s to {existing}"
    if rate > 10:
        return Check("writing", Status.OK, message)
    return Check("writing", Status.WARN, message, "a slow disk: record to a local one")
