"""A whole session: checked, run, exported, told."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bci.analysis.report import write_report
from bci.config import Fault, SettingsError
from bci.config.session import Session
from bci.recording.folder import JOURNAL, LOG, NWB, REPORT, session_folder
from bci.recording.manifest import finish_manifest, make_manifest, write_manifest
from bci.recording.nwb import export_nwb
from bci.session.logs import LogBook
from bci.session.preflight import quick_checks
from bci.session.progress import TerminalProgress
from bci.session.supervisor import Ending, Supervisor
from hardware.board.kinds import port_faults
from hardware.imaging.open import source_faults


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


def all_faults(session: Session) -> list[Fault]:
    """Everything in this session's settings that its source or board makes impossible."""
    return [*source_faults(session), *port_faults(session.rig.board)]


def run_session(
    session: Session,
    root: Path,
    console: Console,
    duration_s: float | None = None,
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
        End after this frame time, seconds; None: when the task ends.

    Raises
    ------
    SettingsError
        Before anything has started.
    """
    faults = all_faults(session)
    if faults:
        raise SettingsError(faults)
    now = datetime.now().astimezone()
    folder = session_folder(root.resolve(), session.subject, now)
    name = f"{session.subject}-{folder.name}"
    preflight = msgspec.to_builtins(quick_checks(session, root))
    write_manifest(folder, make_manifest(name, session, now, preflight))
    book = LogBook(folder / LOG, console)
    try:
        console.print(f"session {name} in {folder}", markup=False, highlight=False, soft_wrap=True)
        with TerminalProgress(console) as progress:
            ending = Supervisor(session, folder, name, book, duration_s, progress.show).run()
        written, trouble = _write_results(folder, ending, console)
    finally:
        book.close()
    ok = ending.ok and not trouble
    reason = "; ".join([ending.reason, *trouble])
    result = Result(ok, reason, str(folder), written, summary_of(ending))
    finish_manifest(folder, msgspec.to_builtins(result))
    return result


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
        "rewards_done": telemetry.rewards_done,
        "volume_ul": telemetry.volume_ul,
        "lost_frames": telemetry.lost_frames,
        "ledger_entries": telemetry.ledger_count,
        "latency_ms": telemetry.latency_ms,
    }


def _write_results(
    folder: Path, ending: Ending, console: Console
) -> tuple[dict[str, str], list[str]]:
    """NWB and report where the journal is whole; else what the user should do."""
    written = {"log": str(folder / LOG)}
    if not (folder / JOURNAL).exists():
        return written, ["no journal was begun"]
    written["journal"] = str(folder / JOURNAL)
    if not ending.ok and ending.reason.startswith("control died"):
        return written, [f"run `bci recover {folder}`, then `bci export` and `bci report`"]
    trouble = []
    with console.status("writing NWB and report"):
        for kind, file, write in (("nwb", NWB, export_nwb), ("report", REPORT, write_report)):
            try:
                write(folder)
                written[kind] = str(folder / file)
            except (OSError, ValueError, RuntimeError) as error:
                trouble.append(f"{file} not written: {error}")
    return written, trouble
