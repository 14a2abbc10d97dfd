"""Pre-flight: everything a session needs, tried before the animal is in place."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryFile

import psutil

from bci.config.fault import Fault
from bci.config.network import believed_without_keys, is_loopback
from bci.config.rig import DoorSource
from bci.config.session import Session
from bci.config.session_type import pays_anything
from bci.core.counted import counted
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import DIALECTS, PROCESSES, open_board, port_faults
from bci.hardware.board.ports import AUTO, is_auto, names, survey
from bci.hardware.imaging.open import source_faults
from bci.recording.daily_cap import cap_of_subject
from bci.session.access import access_faults
from bci.session.check import Check, Status, Trial
from bci.session.day_words import check_subject
from bci.session.light_leak import try_light_leak
from bci.session.screen_trial import ScreenTrialFailed, try_screen
from bci.session.stream_check import ANY_PORT, FIX_PORT, stream_trials
from bci.session.stream_trial import StreamTrialFailed
from bci.stimuli.speaker import TO_DO, SpeakerError, open_speaker

MB = 1_000_000
SPARE = 3.0
VALVE_DAYS = 30
WRITE_MB = 16
NULL_SCREEN = 'set rig.screen.backend = "psychopy"'


def quick_checks(session: Session, root: Path) -> list[Check]:
    """Checks that take no time and open nothing; stored with every session."""
    return [trial.make() for trial in quick_trials(session, root)]


def all_trials(session: Session, root: Path) -> list[Trial]:
    """Every check, slow ones last: stream, board, screen and disk are really used.

    Parameters
    ----------
    session
        What is to be run.
    root
        Folder of all subjects.
    """
    return [
        *quick_trials(session, root),
        Trial("settings", lambda: _settings(session)),
        *stream_trials(session),
        Trial("board", lambda: _board(session)),
        Trial("screen", lambda: _screen(session)),
        *(
            (Trial("sound", lambda: _sound(session)),)
            if session.experiment.feedback.has_tone
            else ()
        ),
        Trial("light leak", lambda: _light_leak(session)),
        Trial("writing", lambda: _write_rate(root)),
    ]


def all_checks(session: Session, root: Path) -> Iterator[Check]:
    """Every check, one after the other."""
    return (trial.make() for trial in all_trials(session, root))


def quick_trials(session: Session, root: Path) -> list[Trial]:
    """The checks of `quick_checks`."""
    return [
        Trial("python", _python),
        Trial("clock", _clock),
        Trial("computer", _cores),
        Trial("valve", lambda: _valve(session)),
        Trial("subject", lambda: check_subject(session, root)),
        Trial("drops", lambda: _drops(session, root)),
        Trial("disk", lambda: _space(session, root)),
        Trial("display", lambda: _display(session)),
        Trial("network", lambda: _network(session)),
    ]


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
    message = f"{counted(n, 'core')}, load {load:.1f}"
    if n >= 2 and load < n:
        return Check("computer", Status.OK, message)
    return Check("computer", Status.WARN, message, "end other programs: frames may come late")


def _valve(session: Session) -> Check:
    valve = session.rig.board.valve
    message = valve.line
    if valve.calibrated_on is None:
        return Check(
            "valve",
            Status.WARN,
            f"{message}, never calibrated",
            "weigh drops: bci reward calibrate",
        )
    days = (date.today() - valve.calibrated_on).days
    message = f"{message}, calibrated {counted(days, 'day')} ago"
    if days > VALVE_DAYS:
        return Check("valve", Status.WARN, message, "weigh drops again")
    return Check("valve", Status.OK, message)


def _drops(session: Session, root: Path) -> Check:
    task = session.experiment.task
    try:
        today_ul = cap_of_subject(session, root).given().volume_ul
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
    return Check(
        "drops",
        Status.OK,
        f"{message}, {counted(left, 'reward')} of {task.reward_ul:g} µl still to give",
    )


def cap_faults(session: Session, root: Path) -> list[Fault]:
    """What keeps a session from its first reward."""
    found = _drops(session, root)
    if found.status is not Status.FAIL or not pays_anything(session.experiment.session_type):
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


def _network(session: Session) -> Check:
    believed = believed_without_keys(session.rig)
    if believed:
        message = f"without keys, not encrypted: {'; '.join(believed)}"
        solution = "only on a network that nobody else is on: docs/security.md"
        return Check("network", Status.FAIL, message, solution)
    hosts = {session.rig.stream.host, session.rig.stream.operator_host}
    reached = sorted(host for host in hosts if not is_loopback(host))
    if not reached:
        return Check("network", Status.OK, "other computers cannot connect")
    return Check("network", Status.OK, f"other computers need the keys: {', '.join(reached)}")


def _settings(session: Session) -> Check:
    faults = [
        *source_faults(session),
        *port_faults(session.rig.board),
        *access_faults(session),
    ]
    if faults:
        return Check("settings", Status.FAIL, "; ".join(map(str, faults)), "see `bci check`")
    return Check("settings", Status.OK, "source, ensembles and board fit together")


def _board(session: Session) -> Check:
    settings = session.rig.board
    if settings.kind in PROCESSES:
        message = f"{settings.kind}: no drop is given"
        return Check("board", Status.WARN, message, 'set rig.board.kind = "serial"')
    try:
        board = open_board(settings, dict)
    except BoardError as error:
        silent = (
            is_auto(settings) or settings.kind in DIALECTS
        )  # a greeting may be a command to them
        asked = "" if silent else f". On USB: {names(survey(settings))}"
        return Check("board", Status.FAIL, f"{error}{asked}", "see rig.board")
    identity = board.identity
    board.close()
    message = f"{settings.port or AUTO}: {identity.text if identity is not None else 'there'}"
    if settings.kind in DIALECTS:
        lacks = "; ".join(DIALECTS[settings.kind](settings).LACKS)
        return Check("board", Status.WARN, f"{message}; it lacks {lacks}", "docs/other-boards.md")
    message = f"{message}. On USB: {names(survey(settings))}"
    return Check("board", Status.OK, f"{message} (step by step: bci doctor --board)")


def _sound(session: Session) -> Check:
    if session.rig.sound.backend == "null":
        solution = 'for tests alone: set rig.sound.backend = "device"'
        return Check("sound", Status.WARN, "null: no tone is heard", solution)
    try:
        speaker = open_speaker(session.rig.sound, needed=True)
    except SpeakerError as error:
        return Check("sound", Status.FAIL, f"no sound device: {error}", TO_DO)
    speaker.close()
    return Check("sound", Status.OK, speaker.description)


def sound_faults(session: Session) -> list[Fault]:
    """Return what keeps the auditory cursor of a session from being heard."""
    found = _sound(session) if session.experiment.feedback.has_tone else None
    if found is None or found.status is not Status.FAIL:
        return []
    return [Fault("rig.sound.backend", "device", found.message, found.solution)]


def _screen(session: Session) -> Check:
    if session.rig.screen.backend == "null":
        return Check("screen", Status.WARN, "null backend", NULL_SCREEN)
    try:
        trial = try_screen(session)
    except ScreenTrialFailed as error:
        return Check("screen", Status.FAIL, str(error), "see rig.screen")
    hello = trial.hello
    message = (
        f"{hello.width_px} x {hello.height_px} on {hello.display}, {hello.renderer}, "
        f"{hello.refresh_hz:.2f} Hz, draw p50 {trial.draw_ms[0]:.1f} p99 {trial.draw_ms[1]:.1f}, "
        f"command to flip p50 {trial.flip_ms[0]:.1f} p99 {trial.flip_ms[1]:.1f} ms, "
        f"{trial.shown} commands shown, {trial.missed} refreshes missed, "
        f"jitter {trial.jitter_ms:.1f} ms"
    )
    if not hello.blanks:
        solution = "this screen has no vsync: times of light are not known"
        return Check("screen", Status.WARN, message, solution)
    if trial.missed > trial.shown // 50:
        return Check("screen", Status.WARN, message, "close other windows, look at the driver")
    return Check("screen", Status.OK, message)


def _light_leak(session: Session) -> Check:
    name, source = "light leak", session.rig.source
    if not isinstance(source, DoorSource):
        message = f"a {source.kind} source does not see the screen: nothing to measure"
        return Check(name, Status.OK, message)
    if session.rig.screen.backend == "null":
        return Check(name, Status.WARN, "not measured: nothing is shown", NULL_SCREEN)
    if source.port == 0:
        return Check(name, Status.WARN, f"not measured: {ANY_PORT}", FIX_PORT)
    try:
        leak = try_light_leak(session)
    except (ScreenTrialFailed, StreamTrialFailed, OSError, ValueError) as error:
        return Check(name, Status.WARN, f"not measured: {error}", "see stream and screen")
    message = (
        f"white against black screen {leak.difference_counts:+.2f} ± {leak.error_counts:.2f} "
        f"counts ({100 * leak.fraction:+.2f} % of F), {leak.n_frames} frames"
    )
    if leak.found:
        return Check(name, Status.WARN, message, "shield the objective, or dim the screen")
    return Check(name, Status.OK, message)


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
