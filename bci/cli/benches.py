"""The verbs of `bci bench`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bci.cli.options import (
    FAULT,
    Json,
    Sets,
    WrongInput,
    errors,
    overrides,
    told,
    write_json,
)

if TYPE_CHECKING:
    from bci.bench.table import Bench

bench = typer.Typer(no_args_is_help=True, help="Measure latency and throughput on this machine.")


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
    window: Annotated[bool, typer.Option("--window", help="With an operator window.")] = False,
    decoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A decoder such as kernel_mode/one_population; all: the steps of each in one "
            "process, and a session of spikes at 1 kHz, in about half a minute.",
        ),
    ] = None,
    json_file: Json = None,
) -> None:
    """From ROI frame to command, arrival and flip in a whole session, beside a bare echo."""
    from bci.bench.decoders import decoder_names
    from bci.bench.loop import bench_loop

    names = ("all", *decoder_names())
    if decoder is not None and decoder not in names:
        raise WrongInput(f"--decoder {decoder}: none of {', '.join(names)}")
    if window and decoder == "all":
        raise WrongInput(
            "--window is for one decoder, not for --decoder all; leave one of them out"
        )
    _bench(
        lambda tell: bench_loop(
            n_rois,
            rate,
            duration,
            screen=not no_screen,
            window=window,
            decoder=decoder,
            tell=tell,
        ),
        json_file,
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
        raise WrongInput("--n-rois and --rate go together: name both, or neither")
    cases = CASES if n_rois is None or rate is None else ((n_rois, rate),)
    _bench(lambda tell: bench_stream(cases, duration, tell=tell), json_file)


@bench.command("board")
def bench_of_board(
    rewards: Annotated[int, typer.Option(min=4, help="How many rewards.")] = 200,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="The simulated board, not the firmware in simavr.")
    ] = False,
    json_file: Json = None,
) -> None:
    """From a reward decided to the valve's edge, through the line and the firmware in simavr."""
    from bci.bench.board import bench_board

    kind: Literal["chip", "simulated"] = "simulated" if simulated else "chip"
    _bench(lambda tell: bench_board(kind, rewards, tell=tell), json_file)


@bench.command()
def screen(
    rig_file: Annotated[
        Path | None,
        typer.Argument(help="Rig or session file (TOML) whose screen and board are measured."),
    ] = None,
    duration: Annotated[
        float, typer.Option(min=3, metavar="S", help="Seconds of the session.")
    ] = 15.0,
    sets: Sets = None,
    json_file: Json = None,
) -> None:
    """From command to flip, and to light where a photodiode is on the board."""
    from bci.bench.screen import bench_screen
    from bci.config.load import load_rig

    rig = load_rig(rig_file, overrides(sets)) if rig_file is not None else None
    if rig is None and sets:
        raise WrongInput("--set needs a rig file or a session file")
    parts = (rig.screen, rig.board) if rig is not None else (None, None)
    _bench(lambda tell: bench_screen(duration, *parts, tell=tell), json_file)


@bench.command()
def window(
    n_rois: Annotated[int, typer.Option(min=8, help="ROIs of the stream, all shown.")] = 2000,
    pairs: Annotated[int, typer.Option(min=1, help="Sessions with, and as many without.")] = 5,
    duration: Annotated[
        float, typer.Option(min=3, metavar="S", help="Seconds of each session.")
    ] = 10.0,
    no_screen: Annotated[
        bool, typer.Option("--no-screen", help="Without the PsychoPy window.")
    ] = False,
    json_file: Json = None,
) -> None:
    """What the loop notices of the operator window: sessions with and without it, in turn."""
    from bci.bench.window import bench_window

    _bench(
        lambda tell: bench_window(n_rois, pairs, duration, screen=not no_screen, tell=tell),
        json_file,
    )


def _bench(measure: "Callable[[Callable[[str], None]], Bench]", json_file: Path | None) -> None:
    from bci.bench.sessions import BenchFailed
    from bci.bench.table import show

    console = told(json_file)
    try:
        with console.status("starting") as status:
            found = measure(status.update)
    except BenchFailed as error:
        errors().print(f"no result: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error
    show(found, console)
    write_json(json_file, found)
