"""The verbs of a session: run it, replay, check before and after, write its files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bci.cli.options import (
    AFTER,
    BEFORE,
    FAULT,
    SESSION,
    Announce,
    Block,
    Duration,
    Folder,
    Headless,
    Json,
    Out,
    Preflight,
    Resume,
    SessionFile,
    Sets,
    Without,
    WrongInput,
    day_options,
    errors,
    overrides,
    told,
    write_json,
)
from bci.config import Override
from bci.config.session import Session
from bci.core.counted import counted

if TYPE_CHECKING:
    from bci.gui.day import Day
    from bci.session.day import DayOptions

app = typer.Typer()

LOCKSTEP = (Override("rig.stream.delivery", "lossless"), Override("rig.screen.backend", "null"))


@app.command(
    rich_help_panel=SESSION,
    epilog="Example: `bci run mouse1.toml --set experiment.task.trial_s=10`",
)
def run(
    session_file: SessionFile,
    sets: Sets = None,
    out: Out = Path("sessions"),
    headless: Headless = False,
    block: Block = None,
    without: Without = None,
    resume: Resume = None,
    duration: Duration = None,
    json_file: Json = None,
    announce: Announce = None,
    preflight: Preflight = None,
) -> None:
    """Run a session: acquisition, decoder, screen and board, to its end."""
    from bci.session.day import load_day
    from bci.session.run import all_faults

    day = day_options(out, block, without, resume)
    session = load_day(session_file, overrides(sets), day, all_faults)
    if headless:
        _run(session, out, duration, json_file, announce, preflight)
        return
    asked = {"--block": block, "--without": without, "--resume": resume}
    options = [f"{name}={value}" for name, value in asked.items() if value is not None]
    _run_window(session_file, sets, duration, ["run", *options], day)


@app.command(
    rich_help_panel=SESSION,
    epilog="Example: `bci replay traces.npy configs/replay.toml --headless`",
)
def replay(
    recording: Annotated[
        Path,
        typer.Argument(help=".npy or .npz traces, suite2p folder, NWB file or session folder."),
    ],
    session_file: SessionFile,
    speed: Annotated[float, typer.Option(help="Multiple of real time.")] = 1.0,
    as_fast_as_possible: Annotated[
        bool,
        typer.Option(
            "--as-fast-as-possible",
            help="In lockstep, none lost; null screen and board on virtual time unless --set.",
        ),
    ] = False,
    sets: Sets = None,
    out: Out = Path("sessions"),
    headless: Headless = False,
    duration: Duration = None,
    json_file: Json = None,
    announce: Announce = None,
    preflight: Preflight = None,
) -> None:
    """Play a recording as the live source, through the same processes as a session."""
    from bci.session.day import load_day
    from bci.session.run import all_faults

    pace = LOCKSTEP if as_fast_as_possible else (Override("rig.stream.speed", speed),)
    day = day_options(out)
    session = load_day(session_file, [*pace, *overrides(sets)], day, all_faults, recording)
    if headless:
        _run(session, out, duration, json_file, announce, preflight)
        return
    how = "--as-fast-as-possible" if as_fast_as_possible else f"--speed={speed}"
    _run_window(session_file, sets, duration, ["replay", str(recording), how], day)


@app.command(rich_help_panel=BEFORE)
def check(
    session_file: SessionFile,
    sets: Sets = None,
    out: Out = Path("sessions"),
    block: Block = None,
    without: Without = None,
    resume: Resume = None,
) -> None:
    """Check a session file and all it names; every fault is told at once."""
    from bci.core.chance import baseline_note
    from bci.session.day import load_day
    from bci.session.run import start_faults

    options = day_options(out, block, without, resume)
    session = load_day(session_file, overrides(sets), options, start_faults)
    lines = [f"{session_file}: no fault found"]
    if note := baseline_note(session):
        lines.append(f"note: {note}")
    for line in lines:
        told().print(line, markup=False, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=SESSION)
def attach(
    folder: Annotated[Path, typer.Argument(help="Session folder, of a session that runs or ran.")],
) -> None:
    """Open the operator window on a session: it is filled from the session's own history."""
    from bci.recording.manifest import read_manifest

    read_manifest(folder)
    _require_screen("start it from a desktop, or look at report.html in that folder")
    from bci.gui.app import run_attached_window

    _tell_after(run_attached_window(folder))


@app.command(rich_help_panel=AFTER)
def verify(folder: Folder, json_file: Json = None) -> None:
    """Check every byte of a journal and recompute every decision."""
    from bci.cli.progress import shown_progress
    from bci.recording.verify import verify as verify_folder

    with shown_progress() as tell:
        verdict = verify_folder(folder, tell)
    told(json_file).print(str(verdict), markup=False, highlight=False, soft_wrap=True)
    write_json(json_file, verdict)
    if not verdict.ok:
        raise typer.Exit(FAULT)


@app.command(rich_help_panel=AFTER)
def recover(folder: Folder, json_file: Json = None) -> None:
    """Make a journal that was cut short or damaged whole again; the original is kept."""
    from bci.recording.manifest import NoManifest
    from bci.recording.recover import recover as recover_folder
    from bci.session.keep_day import keep_missing_day
    from bci.session.settle import settle_session

    report = recover_folder(folder)
    told(json_file).print(str(report), markup=False, highlight=False, soft_wrap=True)
    write_json(json_file, report)
    try:
        added = settle_session(folder)
    except NoManifest as error:
        text = f"its rewards are not in the subject's reward log: {error}"
        errors().print(text, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error
    if added:
        told(json_file).print(
            f"{counted(added, 'reward')} brought into the subject's reward log", highlight=False
        )
    if keep_missing_day(folder):
        told(json_file).print("the session brought into the subject's folder", highlight=False)


@app.command(rich_help_panel=AFTER)
def export(folder: Folder) -> None:
    """Write session.nwb from the journal."""
    from bci.cli.progress import shown_progress
    from bci.recording.nwb import export_nwb

    with shown_progress() as tell:
        path = export_nwb(folder, tell)
    told().print(str(path), markup=False, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=AFTER)
def report(folder: Folder) -> None:
    """Write report.html from the journal."""
    from bci.analysis.report import write_report
    from bci.cli.progress import shown_progress

    with shown_progress() as tell:
        path = write_report(folder, tell)
    told().print(str(path), markup=False, highlight=False, soft_wrap=True)


def _run(
    session: Session,
    out: Path,
    duration: float | None,
    json_file: Path | None,
    announce: Path | None,
    preflight: Path | None,
) -> None:
    from bci.session.run import run_session

    console = told(json_file)
    result = run_session(session, out, console, duration, announce, preflight)
    write_json(json_file, result)
    summary = result.summary
    if summary:
        cut_off = summary["trials"] - summary["hits"] - summary["misses"]
        console.print(
            f"{counted(summary['trials'], 'trial')}, {counted(summary['hits'], 'hit')}, "
            f"{counted(summary['misses'], 'miss', 'misses')}, "
            f"{f'{cut_off} cut off, ' if cut_off else ''}"
            f"{counted(summary['rewards_done'], 'reward')} ({summary['volume_ul']:g} µl, "
            f"{summary['today_ul']:g} µl today), "
            f"{counted(summary['lost_frames'], 'frame')} lost",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    for kind, path in result.files.items():
        console.print(f"{kind:8s} {path}", markup=False, highlight=False, soft_wrap=True)
    ending = "ended" if result.ok else "FAILED"
    console.print(f"{ending}: {result.reason}", markup=False, highlight=False, soft_wrap=True)
    if not result.ok:
        raise typer.Exit(FAULT)


def _run_window(
    session_file: Path,
    sets: list[str] | None,
    duration: float | None,
    verb: list[str],
    day: "DayOptions",
) -> None:
    _require_screen("start it from a desktop, or add --headless")
    from bci.gui.app import run_session_window

    _tell_after(run_session_window(session_file, sets or [], day.root, duration, verb, day))


def _require_screen(todo: str) -> None:
    from bci.gui.app import screen_missing

    if screen_missing():
        raise WrongInput(f"no screen for the operator window (DISPLAY is not set): {todo}")


def _tell_after(day: "Day") -> None:
    """What the terminal is told once the window is closed."""
    console = told()
    if day.is_live:
        place = day.folder or "FOLDER, the newest one of the subject"
        console.print(
            f"the session goes on without the window; to watch it again: bci attach {place}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    elif day.manifest is not None and day.manifest.outcome:
        outcome = day.manifest.outcome
        ending = "ended" if outcome["ok"] else "FAILED"
        console.print(f"{ending}: {outcome['reason']}", markup=False, highlight=False)
        console.print(f"folder   {day.folder}", markup=False, highlight=False, soft_wrap=True)
        if not outcome["ok"]:
            raise typer.Exit(FAULT)
