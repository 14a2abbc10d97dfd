"""A whole session: checked, run, exported, told."""

import shutil
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import msgspec
from rich.console import Console

from bci.config import Fault, SettingsError
from bci.config.conditions import conditions_in_words
from bci.config.rig import DoorSource, Rig
from bci.config.session import Session
from bci.core.counted import counted
from bci.hardware.board.kinds import port_faults
from bci.hardware.imaging.open import source_faults
from bci.recording.contents import DamagedJournal
from bci.recording.folder import (
    JOURNAL,
    LOG,
    MANIFEST,
    NWB,
    REPORT,
    replace_file,
    session_folder,
)
from bci.recording.integrity import check_journal
from bci.recording.manifest import (
    WRITING,
    Manifest,
    finish_manifest,
    make_manifest,
    write_manifest,
)
from bci.recording.playback import playback_faults
from bci.recording.reward_log import REHEARSALS
from bci.recording.scan import JournalBytes
from bci.session.access import access_faults
from bci.session.check import Check, Status, read_checks
from bci.session.day_words import day_words
from bci.session.folder_watch import FolderWatch
from bci.session.history import HistoryServer
from bci.session.interrupts import on_interrupt
from bci.session.keep_day import keep_day, not_writable
from bci.session.logs import LogBook, logged_in
from bci.session.preflight import cap_faults, quick_checks, sound_faults
from bci.session.progress import TerminalProgress
from bci.session.settle import settle_session
from bci.session.sole_session import sole_session
from bci.session.supervisor import Ending, Supervisor
from bci.session.terminal import LastingTerminal
from bci.session.threads import report_ended_threads
from bci.stream.access import Access, new_token
from bci.stream.errors import StreamError
from bci.stream.keys import KeysError
from bci.stream.sockets import why_not_bound


class WritingInterrupted(Exception):
    """Ctrl-C, or what is like it, while NWB and report were written."""


class Result(msgspec.Struct, frozen=True):
    """What a session left behind.

    Parameters
    ----------
    ok
        True where it ended as asked and everything was written.
    reason
        How it ended, in words.
    folder
        The session folder.
    files
        What it holds: journal, nwb, report, log.
    summary
        Counts of trials, hits, rewards, lost frames, latency percentiles in ms.
    """

    ok: bool
    reason: str
    folder: str
    files: dict[str, str]
    summary: dict[str, Any]


def _write_nwb(folder: Path) -> None:
    # pynwb takes seconds to import, and a session must start without it
    from bci.recording.nwb import export_nwb

    export_nwb(folder)


def _write_report(folder: Path) -> None:
    from bci.analysis.report import write_report

    write_report(folder)


class _Export(NamedTuple):
    """A file that is made of the journal, the verb that makes it again, and what writes it."""

    kind: str
    file: str
    verb: str
    write: Callable[[Path], None]


EXPORTS = (
    _Export("nwb", NWB, "export", _write_nwb),
    _Export("report", REPORT, "report", _write_report),
)
UNTOLD = f"{MANIFEST} does not tell how it ended"


def all_faults(session: Session) -> list[Fault]:
    """What source, board and recordings have against this session's settings."""
    return [
        *source_faults(session),
        *port_faults(session.rig.board),
        *access_faults(session),
        *playback_faults(session.experiment),
    ]


def start_faults(session: Session) -> list[Fault]:
    """What keeps a session from starting on this computer now; opens the sound device."""
    return [*all_faults(session), *sound_faults(session), *address_faults(session.rig)]


def address_faults(rig: Rig) -> list[Fault]:
    """Addresses of the settings at which this computer cannot listen now."""
    stream, source = rig.stream, rig.source
    ports = [name for name in type(stream).model_fields if name.endswith("_port")]
    asked = [
        ("rig.stream.host", stream.host, 0),
        ("rig.stream.operator_host", stream.operator_host, 0),
    ]
    for name in ports:
        of_operator = name in ("operator_port", "telemetry_port")
        host = stream.operator_host if of_operator else stream.host
        asked.append((f"rig.stream.{name}", host, getattr(stream, name)))
    if isinstance(source, DoorSource):
        asked += [
            ("rig.source.host", source.host, 0),
            ("rig.source.port", source.host, source.port),
        ]
    faults = []
    for key, host, port in asked:
        is_host = key.endswith("host")
        if (port or is_host) and (why := why_not_bound(host, port)):
            todo = (
                "name an address of this computer"
                if is_host
                else "end the program that holds it, or set 0: any free port"
            )
            faults.append(Fault(key, host if is_host else port, f"free at {host} ({why})", todo))
    return faults


def run_session(
    session: Session,
    root: Path,
    console: Console,
    duration_s: float | None = None,
    announce: Path | None = None,
    preflight: Path | None = None,
) -> Result:
    """Run a session to its end and write its files.

    Parameters
    ----------
    session
        Resolved settings.
    root
        Folder of all subjects.
    console
        Where progress and results are told.
    duration_s
        End after this frame time, seconds; without frames by the clock. None: when the task ends.
    announce
        File to write the session's folder to once it is made, as JSON; None: nobody waits for it.
    preflight
        File with checks that were made before, as of `bci doctor --json`; those that are not made
        again here are stored with the session as well.

    Raises
    ------
    SettingsError
        Before anything has started.
    """
    faults = start_faults(session)
    faults += _root_faults(root, session.subject) or cap_faults(session, root)
    earlier, unread = read_checks(preflight)
    faults += unread
    if duration_s is not None and not 0 < duration_s < inf:
        faults.append(
            Fault("--duration", duration_s, "must be above 0", "name the seconds, or leave it out")
        )
    if faults:
        raise SettingsError(faults)
    terminal = LastingTerminal(console.file)
    console.file = cast(IO[str], terminal)
    now = datetime.now().astimezone()
    checks = quick_checks(session, root)
    made = {check.name for check in checks}
    checks += [check for check in earlier if check.name not in made]
    with ExitStack() as held:
        held.callback(terminal.settle)
        try:
            if session.rig.board.kind not in REHEARSALS:
                held.enter_context(sole_session(root, session.subject))
            folder, manifest = _begin_folder(session, root, now, checks)
            name = manifest.session
            book = LogBook(folder / LOG, console)
            held.callback(book.close)
            held.enter_context(logged_in(book))
            if announce is not None:
                replace_file(announce, msgspec.json.encode({"folder": str(folder)}))
        except OSError as error:
            why = f"cannot be written to: {error.strerror or error}"
            todo = "make room there or allow it, or write elsewhere with --out"
            raise SettingsError([Fault("--out", str(root), why, todo)]) from error
        _tell_beginning(session, folder, name, checks, book, console)
        resumed = session.day.resumed
        progress = TerminalProgress(console, resumed.trials if resumed else 0)
        stream = session.rig.stream
        # whoever looks on hears of the session until its files are written
        try:
            access = Access.of_session(new_token(), stream.keys)
            history = held.enter_context(
                HistoryServer(
                    folder, host=stream.operator_host, exposed=stream.exposed, access=access
                )
            )
        except (StreamError, KeysError) as error:
            # nothing has run: no session is left behind
            book.close()
            shutil.rmtree(folder)
            todo = "set another address, or other keys"
            raise SettingsError([Fault("rig.stream", None, str(error), todo)]) from error
        supervisor = Supervisor(
            session, folder, name, book, history.endpoint, access, duration_s, progress.show
        )
        # whatever comes between the steps below must not end us without a last line
        with on_interrupt(supervisor.ask_to_stop), report_ended_threads(supervisor.tell_own):
            with FolderWatch(folder, supervisor.lose_folder) as watch, progress:
                ending = supervisor.run()
                place, trouble = _rescue(folder, watch)
            is_home = place.parent == folder.parent
            left = _Left(place, manifest, root.resolve(), is_home, ending, tuple(trouble))
            return _finish(left, book, console)


def _tell_beginning(
    session: Session, folder: Path, name: str, checks: list[Check], book: LogBook, console: Console
) -> None:
    """What is amiss, which session this is, and what it brings along."""
    real = session.rig.board.kind not in REHEARSALS
    for check in checks:
        stale_valve = real and check.name == "valve" and check.status is Status.WARN
        if check.status is Status.FAIL or stale_valve:
            book.tell("WARNING", f"{check.name}: {check.message}. {check.solution}")
    told = f"session {name} ({conditions_in_words(session.experiment)}) in {folder}"
    for line in (told, *day_words(session)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _root_faults(root: Path, subject: str) -> list[Fault]:
    """Why sessions of this subject cannot be kept below this folder."""
    if root.exists() and not root.is_dir():
        return [Fault("--out", str(root), "must be a folder", "name another one")]
    try:
        str(root.resolve()).encode()
    except UnicodeEncodeError:
        named = ascii(str(root.resolve()))
        return [Fault("--out", named, "must be a path in UTF-8", "write elsewhere, or rename it")]
    if (barred := not_writable(root, subject)) is not None:
        why = f"{barred} must be writable: drops and calibrations of {subject} are kept there"
        return [Fault("--out", str(root), why, "allow it, or write elsewhere")]
    return []


def _begin_folder(
    session: Session, root: Path, now: datetime, checks: list[Check]
) -> tuple[Path, Manifest]:
    """The session's folder and its manifest; raises `OSError`, leaves none then."""
    folder = session_folder(root.resolve(), session.subject, now)
    name = f"{session.subject}-{folder.name}"
    manifest = make_manifest(name, session, now, msgspec.to_builtins(checks))
    try:
        write_manifest(folder, manifest)
    except OSError:
        folder.rmdir()
        raise
    return folder, manifest


def _rescue(folder: Path, watch: FolderWatch) -> tuple[Path, list[str]]:
    """The folder that the session's files are in by now, and what is to be said about that."""
    try:
        place = watch.rescue()
    except OSError as error:
        why = f"{error.filename or folder}: {error.strerror or error}"
        return folder, [f"its data could not be saved: {why}"]
    told = f"its data are in {place}"
    return place, [told] if watch.trouble or place != folder else []


class _Left(NamedTuple):
    """What a session left, and where.

    Parameters
    ----------
    folder
        That holds its files by now.
    manifest
        As written at its start.
    root
        Folder of all subjects.
    is_home
        True if the folder still lies in its subject's.
    ending
        How it ended.
    trouble
        What else happened.
    """

    folder: Path
    manifest: Manifest
    root: Path
    is_home: bool
    ending: Ending
    trouble: tuple[str, ...]


def _finish(left: _Left, book: LogBook, console: Console) -> Result:
    """Write what a session that is over leaves behind.

    What counts comes first: the subject's rewards and day, and how the session ended. Files that
    can be made again come last. A step that fails keeps no other from its turn.
    """
    folder, ending = left.folder, left.ending
    written, trouble = _files_of(folder, ending)
    trouble[:0] = left.trouble
    exports: tuple[_Export, ...] = ()
    if "journal" in written:
        # elsewhere there is no ledger to compare with: `bci recover` settles them at home
        if left.is_home:
            trouble += _attempt("rewards not settled", lambda: _settle_rewards(folder, book), book)
        if ending.began:
            so_far = _result(folder, ending, written, trouble)
            why = "the subject's folder does not hold this session"
            trouble += _attempt(why, lambda: _keep_day(left, so_far), book)
        cut_short = _attempt("", lambda: _require_end(folder, ending), book)
        trouble += cut_short
        exports = EXPORTS if ending.began and not cut_short else ()
    if exports and not left.manifest.session_settings().rig.files_at_end:
        verbs = " and ".join(f"`bci {one.verb} {folder}`" for one in exports)
        book.tell("INFO", f"NWB and report are left for later: run {verbs}")
    elif exports:
        outcome = msgspec.to_builtins(_result(folder, ending, written, trouble))
        outcome[WRITING] = [one.file for one in exports]
        trouble += _attempt(UNTOLD, lambda: finish_manifest(folder, outcome, left.manifest), book)
        trouble += _export(folder, exports, written, book, console)
    result = _result(folder, ending, written, trouble)
    outcome = msgspec.to_builtins(result)
    if untold := _attempt(UNTOLD, lambda: finish_manifest(folder, outcome, left.manifest), book):
        trouble += [one for one in untold if one not in trouble]
        result = _result(folder, ending, written, trouble)
    book.tell("INFO", f"{'ended' if result.ok else 'failed'}: {result.reason}")
    return result


def _attempt(what: str, step: Callable[[], None], book: LogBook) -> list[str]:
    """Take a step of the end; what failed, in words, whatever it was.

    Parameters
    ----------
    what
        What is then not done.
    """
    try:
        step()
    except WritingInterrupted:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        why = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            why = f"{error.filename}: {error.strerror}"
        if not isinstance(error, OSError | ValueError | RuntimeError):
            book.tell("INFO", traceback.format_exc())
            why = f"{type(error).__name__}: {error}, see {LOG}"
        return [f"{what}: {why}" if what else why]
    return []


def _files_of(folder: Path, ending: Ending) -> tuple[dict[str, str], list[str]]:
    """What the folder holds before anything is exported, and what is wrong with that."""
    if not folder.exists():
        return {}, [f"{folder} was moved while it ran: find it, then `bci export`, `bci report`"]
    written = {"log": str(folder / LOG)}
    if not (folder / JOURNAL).exists():
        return written, [] if ending.ok else ["no journal was begun"]
    return {**written, "journal": str(folder / JOURNAL)}, []


def _require_end(folder: Path, ending: Ending) -> None:
    """Refuse to export a journal that was not closed."""
    if ending.ok:
        return
    with JournalBytes(folder / JOURNAL) as journal:
        if check_journal(journal).unclosed is not None:
            raise DamagedJournal(f"run `bci recover {folder}`, then `bci export` and `bci report`")


def _settle_rewards(folder: Path, book: LogBook) -> None:
    """Bring into the subject's reward log what control could not, because it died."""
    if added := settle_session(folder):
        brought = counted(added, "reward")
        book.tell("WARNING", f"{brought} brought from journal and board into the reward log")


def _keep_day(left: _Left, result: Result) -> None:
    """Keep ensembles, calibrations and the session in numbers, for the days to come."""
    keep_day(
        left.root,
        left.folder,
        ok=result.ok,
        reason=result.reason,
        summary=result.summary,
    )


def _export(
    folder: Path,
    exports: tuple[_Export, ...],
    written: dict[str, str],
    book: LogBook,
    console: Console,
) -> list[str]:
    """Write NWB and report, each by itself, into `written`; what failed, with what to do."""
    trouble: list[str] = []
    try:
        with on_interrupt(_interrupt_writing), console.status("writing NWB and report"):
            book.tell("INFO", "writing NWB and report")
            for one in exports:
                why = f"{one.file} not written (`bci {one.verb} {folder}` makes it)"
                failed = _attempt(why, partial(one.write, folder), book)
                trouble += failed
                if not failed:
                    written[one.kind] = str(folder / one.file)
    except WritingInterrupted:
        trouble.append(
            f"interrupted while NWB and report were written: run `bci export {folder}`, "
            f"then `bci report {folder}`"
        )
    return trouble


def _result(folder: Path, ending: Ending, written: dict[str, str], trouble: list[str]) -> Result:
    reason = "; ".join(part.removesuffix(".") for part in (ending.reason, *trouble))
    return Result(ending.ok and not trouble, reason, str(folder), written, summary_of(ending))


def summary_of(ending: Ending) -> dict[str, Any]:
    """Counts of the last snapshot, for people and for `--json`."""
    telemetry = ending.telemetry
    if telemetry is None:
        return {}
    return {
        "trials": telemetry.n_trials,
        "hits": telemetry.hits,
        "misses": telemetry.misses,
        "hit_rate": telemetry.hit_rate,
        "performance": telemetry.performance,
        "chance": telemetry.chance,
        "chance_t": telemetry.chance_t,
        "chance_words": telemetry.chance_words,
        "t": telemetry.t,
        "lo": telemetry.lo,
        "rewards_done": telemetry.rewards_done,
        "volume_ul": telemetry.volume_ul,
        "today_ul": telemetry.today_ul,
        "lost_frames": telemetry.lost_frames,
        "ledger_entries": telemetry.ledger_count,
        "latency_ms": telemetry.latency_ms,
    }


def _interrupt_writing() -> None:
    raise WritingInterrupted
