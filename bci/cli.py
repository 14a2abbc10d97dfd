"""The command line: one verb for everything the program does."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from bci.config import Override, SettingsError, load_session
from bci.config.session import Session

if TYPE_CHECKING:
    from bci.bench.table import Bench

app = typer.Typer(
    name="bci",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Closed-loop two-photon brain–computer interface: neurons turn a grating to a reward.",
    epilog="First steps: `bci check configs/demo.toml`, `bci run configs/demo.toml --headless`.",
)

FAULT, WRONG_INPUT = 1, 2
LOCKSTEP = (Override("rig.stream.delivery", "lossless"), Override("rig.screen.backend", "null"))

SessionFile = Annotated[
    Path, typer.Argument(help="Session file (TOML): names a rig, an experiment and a subject.")
]
Folder = Annotated[
    Path,
    typer.Argument(
        help="Session folder, the one with journal.mcap.",
        callback=lambda folder: _with_journal(folder),
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder of all subjects, in place of sessions/.")]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON as well.")
]
Duration = Annotated[
    float | None, typer.Option("--duration", metavar="S", help="End after so many seconds.")
]
Headless = Annotated[
    bool, typer.Option("--headless", help="No operator window; the animal's screen is drawn.")
]
Supervised = Annotated[str | None, typer.Option("--supervisor", hidden=True)]
Peers = Annotated[
    list[str] | None,
    typer.Option(
        "--peer",
        metavar="NAME=ENDPOINT",
        help="Where another process listens, as it logs it: frames=tcp://10.0.0.2:5501.",
    ),
]
RunFolder = Annotated[Path, typer.Option("--folder", help="Session folder to write to.")]


def main() -> None:
    """Run the command line; wrong settings end with exit code 2 and say what to do."""
    try:
        app()
    except SettingsError as error:
        console = _errors()
        n = len(error.faults)
        console.print(f"{n} fault{'s' * (n != 1)} in the settings, nothing was started:")
        for fault in error.faults:
            console.print(f"  • {fault}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(WRONG_INPUT)
    except ValueError as error:
        from bci.recording.manifest import NoManifest
        from bci.recording.session_record import DamagedJournal

        if not isinstance(error, NoManifest | DamagedJournal):
            raise
        _errors().print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(WRONG_INPUT if isinstance(error, NoManifest) else FAULT)


@app.command()
def run(
    session_file: SessionFile,
    sets: Sets = None,
    out: Out = Path("sessions"),
    headless: Headless = False,
    duration: Duration = None,
    json_file: Json = None,
) -> None:
    """Run a session: acquisition, decoder, screen and board, to its end."""
    _require_headless(headless)
    from bci.session.run import all_faults

    session = load_session(session_file, _overrides(sets), outside=all_faults)
    _run(session, out, duration, json_file)


@app.command()
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
) -> None:
    """Play a recording as the live source, through the same processes as a session."""
    _require_headless(headless)
    from bci.session.run import all_faults

    pace = LOCKSTEP if as_fast_as_possible else (Override("rig.stream.speed", speed),)
    session = load_session(session_file, [*pace, *_overrides(sets)], recording, all_faults)
    _run(session, out, duration, json_file)


@app.command()
def check(
    session_file: SessionFile,
    sets: Sets = None,
) -> None:
    """Check a session file and all it names; every fault is told at once."""
    from bci.session.run import all_faults

    load_session(session_file, _overrides(sets), outside=all_faults)
    _told().print(f"{session_file}: no fault found", markup=False, highlight=False)


@app.command()
def doctor(
    session_file: SessionFile,
    sets: Sets = None,
    out: Out = Path("sessions"),
    json_file: Json = None,
) -> None:
    """Pre-flight: try stream, screen, board, disk and clock, and say what to do."""
    from bci.session.preflight import Status, all_checks

    session, console, checks = load_session(session_file, _overrides(sets)), _told(), []
    for found in all_checks(session, out):
        checks.append(found)
        style = {"ok": "green", "warn": "yellow", "fail": "bold red"}[found.status.value]
        console.print(f"{found.status.value:5s}", style=style, end="")
        solution = f" → {found.solution}" if found.solution else ""
        console.print(
            f"{found.name:9s} {found.message}{solution}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    _write_json(json_file, checks)
    if any(found.status is Status.FAIL for found in checks):
        raise typer.Exit(FAULT)


@app.command()
def verify(folder: Folder, json_file: Json = None) -> None:
    """Check every byte of a journal and recompute every decision."""
    from bci.recording.verify import verify as verify_folder

    verdict = verify_folder(folder)
    _told().print(str(verdict), markup=False, highlight=False, soft_wrap=True)
    _write_json(json_file, verdict)
    if not verdict.ok:
        raise typer.Exit(FAULT)


@app.command()
def recover(folder: Folder, json_file: Json = None) -> None:
    """Make a journal that was cut short or damaged whole again; the original is kept."""
    from bci.recording.recover import recover as recover_folder

    report = recover_folder(folder)
    _told().print(str(report), markup=False, highlight=False, soft_wrap=True)
    _write_json(json_file, report)


@app.command()
def export(folder: Folder) -> None:
    """Write session.nwb from the journal."""
    from bci.recording.nwb import export_nwb

    _told().print(str(export_nwb(folder)), markup=False, highlight=False, soft_wrap=True)


@app.command()
def report(folder: Folder) -> None:
    """Write report.html from the journal."""
    from bci.analysis.report import write_report

    _told().print(str(write_report(folder)), markup=False, highlight=False, soft_wrap=True)


# -- benchmarks --------------------------------------------------------------------------------

bench = typer.Typer(no_args_is_help=True, help="Measure latency and throughput on this machine.")
app.add_typer(bench, name="bench")


@bench.command()
def loop(
    n_rois: Annotated[int, typer.Option(min=8, help="ROIs of the stream.")] = 1024,
    rate: Annotated[float, typer.Option(min=2, metavar="HZ", help="Frames a second.")] = 30.0,
    duration: Annotated[
        float, typer.Option(min=3, metavar="S", help="Seconds of the session.")
    ] = 31.5,
    no_screen: Annotated[
        bool, typer.Option("--no-screen", help="Without the PsychoPy window.")
    ] = False,
    json_file: Json = None,
) -> None:
    """From ROI frame to command, arrival and flip in a whole session, beside a bare echo."""
    from bci.bench.loop import bench_loop

    _bench(
        lambda tell: bench_loop(n_rois, rate, duration, screen=not no_screen, tell=tell), json_file
    )


@bench.command()
def stream(
    n_rois: Annotated[
        int | None, typer.Option(min=8, help="ROIs of the one session, with --rate.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=2, metavar="HZ", help="Frames a second of the one session."),
    ] = None,
    duration: Annotated[
        float, typer.Option(min=3, metavar="S", help="Seconds of each session.")
    ] = 6.0,
    json_file: Json = None,
) -> None:
    """Frames lost: 10,000 ROIs at 30 Hz, 200 at 1 kHz, and the most ROIs × Hz without loss."""
    from bci.bench.stream import CASES, bench_stream

    if (n_rois is None) != (rate is None):
        raise typer.BadParameter("--n-rois and --rate go together")
    cases = CASES if n_rois is None or rate is None else ((n_rois, rate),)
    _bench(lambda tell: bench_stream(cases, duration, tell=tell), json_file)


def _bench(measure: "Callable[[Callable[[str], None]], Bench]", json_file: Path | None) -> None:
    from bci.bench.sessions import BenchFailed
    from bci.bench.table import show

    console = _told()
    try:
        with console.status("starting") as status:
            found = measure(status.update)
    except BenchFailed as error:
        _errors().print(f"no result: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error
    show(found, console)
    _write_json(json_file, found)


# -- one process alone -------------------------------------------------------------------------


@app.command()
def acquire(
    session_file: SessionFile,
    sets: Sets = None,
    supervisor: Supervised = None,
    folder: RunFolder = Path(),
    epoch: Annotated[int, typer.Option(hidden=True)] = 0,
    first_frame_ns: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Acquisition alone: the source of the session file, published for control."""
    from bci.session.child_main import run_child
    from hardware.imaging.process import run_acquisition

    session, name = _load(session_file, sets)
    raise typer.Exit(
        run_child(
            "acquisition",
            supervisor,
            lambda link: run_acquisition(session, link, name, epoch, first_frame_ns),
        )
    )


@app.command()
def control(
    session_file: SessionFile,
    sets: Sets = None,
    supervisor: Supervised = None,
    folder: RunFolder = Path(),
    duration: Duration = None,
    peers: Peers = None,
) -> None:
    """Control alone: decoder, task and board. Peers: frames, channel, and board if simulated."""
    from bci.session.child_main import run_child
    from bci.session.control import run_control

    session, name = _load(session_file, sets)
    if supervisor is None:
        _begin_folder(folder, session, name)
    raise typer.Exit(
        run_child(
            "control",
            supervisor,
            lambda link: run_control(session, link, folder, name, duration),
            _endpoints(peers),
        )
    )


@app.command()
def stimulus(
    session_file: SessionFile,
    sets: Sets = None,
    supervisor: Supervised = None,
    folder: RunFolder = Path(),
    peers: Peers = None,
) -> None:
    """Run the animal's screen alone. Peers: commands and flips."""
    from bci.session.child_main import run_child
    from stimuli.process import run_stimulus

    session, _ = _load(session_file, sets)
    raise typer.Exit(
        run_child(
            "stimulus", supervisor, lambda link: run_stimulus(session, link), _endpoints(peers)
        )
    )


@app.command()
def board(
    session_file: SessionFile,
    sets: Sets = None,
    supervisor: Supervised = None,
    folder: RunFolder = Path(),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = 0,
) -> None:
    """Run the simulated board alone."""
    from bci.session.child_main import run_child
    from hardware.board.simulated import run_simulated_board

    settings = _load(session_file, sets)[0].rig.board
    edges = folder / "board-edges.jsonl"
    raise typer.Exit(
        run_child(
            "board", supervisor, lambda link: run_simulated_board(settings, link, edges, port)
        )
    )


# -- shared ------------------------------------------------------------------------------------


def _run(session: Session, out: Path, duration: float | None, json_file: Path | None) -> None:
    from bci.session.run import run_session

    console = _told()
    result = run_session(session, out, console, duration)
    _write_json(json_file, result)
    summary = result.summary
    if summary:
        cut_off = summary["trials"] - summary["hits"] - summary["misses"]
        console.print(
            f"{summary['trials']} trials, {summary['hits']} hits, {summary['misses']} misses, "
            f"{f'{cut_off} cut off, ' if cut_off else ''}"
            f"{summary['rewards_done']} rewards ({summary['volume_ul']:g} µl), "
            f"{summary['lost_frames']} frames lost",
            markup=False,
            highlight=False,
        )
    for kind, path in result.files.items():
        console.print(f"{kind:8s} {path}", markup=False, highlight=False, soft_wrap=True)
    ending = "ended" if result.ok else "FAILED"
    console.print(f"{ending}: {result.reason}", markup=False, highlight=False, soft_wrap=True)
    if not result.ok:
        raise typer.Exit(FAULT)


def _with_journal(folder: Path) -> Path:
    from bci.recording.folder import JOURNAL

    if not (folder / JOURNAL).is_file():
        raise typer.BadParameter(f"{folder}: no {JOURNAL} in it; name the folder of one session")
    return folder


def _load(path: Path, sets: list[str] | None) -> tuple[Session, str]:
    """Settings and the session's name, from a session file or a session's manifest."""
    if path.suffix != ".json":
        session = load_session(path, _overrides(sets))
        return session, session.subject
    from bci.recording.manifest import read_manifest

    manifest = read_manifest(path.parent)
    return manifest.session_settings(), manifest.session


def _endpoints(peers: list[str] | None) -> dict[str, str]:
    named = [peer.partition("=") for peer in peers or []]
    wrong = [key for key, _, endpoint in named if "://" not in endpoint]
    if wrong:
        raise typer.BadParameter(
            f"--peer {wrong[0]}: NAME=ENDPOINT, such as frames=tcp://HOST:PORT"
        )
    return {key: endpoint for key, _, endpoint in named}


def _begin_folder(folder: Path, session: Session, name: str) -> None:
    """Make a session folder for a control that no supervisor made one for."""
    from datetime import datetime

    from bci.recording.folder import JOURNAL
    from bci.recording.manifest import make_manifest, write_manifest

    if (folder / JOURNAL).exists():
        raise typer.BadParameter(f"--folder {folder}: holds a session already; name another one")
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, make_manifest(name, session, datetime.now().astimezone()))


def _overrides(sets: list[str] | None) -> list[Override]:
    return [Override.parse(text) for text in sets or []]


def _require_headless(headless: bool) -> None:
    if not headless:
        _errors().print("the operator window is not built yet: running headless", style="yellow")


def _write_json(path: Path | None, result: Any) -> None:
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def _told() -> Console:
    return Console(soft_wrap=False)


def _errors() -> Console:
    return Console(stderr=True)


if __name__ == "__main__":
    main()
