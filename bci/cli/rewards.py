"""The verbs of `bci reward`: one drop, flush the line, calibrate the valve."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bci.cli.options import (
    FAULT,
    WRONG_INPUT,
    Json,
    Out,
    Sets,
    WrongInput,
    errors,
    operator_of,
    overrides,
    told,
    write_json,
)
from bci.config.fault import SettingsError
from bci.config.load import load_rig, load_session
from bci.config.network import network_faults
from bci.core.counted import counted

if TYPE_CHECKING:
    from bci.config.rig import Rig
    from bci.config.session import Session
    from bci.hardware.board.drops import Drops
    from bci.hardware.board.valve_calibration import WeighedDrops

reward = typer.Typer(no_args_is_help=True, help="The valve: one drop, flush the line, calibrate.")

_ANSWER_S = 10.0

RigFile = Annotated[
    Path, typer.Argument(help="Rig file or session file (TOML) whose board is meant.")
]


@reward.command()
def give(
    where: Annotated[
        Path, typer.Argument(help="Folder of a running session, or a rig or session file (TOML).")
    ],
    volume_ul: Annotated[
        float | None, typer.Option("--ul", help="Volume; the default is that of the task.")
    ] = None,
    sets: Sets = None,
    out: Out = Path("sessions"),
) -> None:
    """Give one drop: in a running session, or through the board of a rig that runs none.

    With a session file the drop counts for its subject: in the reward log, and towards the caps.
    """
    if where.is_dir():
        _give_in_session(where, volume_ul)
        return
    session = _session_of(where, sets)
    rig = session.rig if session else load_rig(where, overrides(sets))
    if volume_ul is None:
        if session is None:
            raise WrongInput("--ul is needed: a rig file names no volume")
        volume_ul = session.experiment.task.reward_ul
    open_ms = rig.board.valve.open_ms(volume_ul)
    _refuse_opening(rig, open_ms)
    with ExitStack() as held:
        if session is not None:
            _keep_sessions_out(held, session, out)
            _refuse_past_cap(session, out, volume_ul)
        drops = held.enter_context(_drops(rig, "give", "operator", out, session))
        opened_ms = drops.give(open_ms, 1)
        path = drops.log.path
    _say(f"{volume_ul:g} µl given, the valve was open for {opened_ms:.1f} ms")
    _say(f"written to {path}" if session else f"no subject is named: written to {path}")


@reward.command()
def flush(
    rig_file: RigFile,
    pulses: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 100,
    open_ms: Annotated[float, typer.Option("--ms", help="Opening time of each.")] = 50.0,
    sets: Sets = None,
    out: Out = Path("sessions"),
) -> None:
    """Let liquid through the line: a train of legal pulses. Ctrl-C shuts the valve at once."""
    rig = load_rig(rig_file, overrides(sets))
    _refuse_opening(rig, open_ms)
    with _drops(rig, "flush", "flush", out) as drops:
        opened_ms = _train(drops, open_ms, pulses, "flushing", told())
    volume_ul = pulses * max(rig.board.valve.volume_ul(opened_ms / pulses), 0.0)
    _say(
        f"{counted(pulses, 'pulse')}, open for {opened_ms:.0f} ms in all, about {volume_ul:.0f} µl"
    )


@reward.command()
def calibrate(
    rig_file: RigFile,
    openings: Annotated[
        str, typer.Option("--ms", help="Opening times, with commas between.")
    ] = "20,40,80",
    drops: Annotated[int, typer.Option(min=1, help="Drops of each opening time.")] = 100,
    density: Annotated[
        float, typer.Option(help="Of the liquid, mg for 1 µl: water 1.0, sucrose 10 % 1.04.")
    ] = 1.0,
    scale: Annotated[
        str | None,
        typer.Option(metavar="PORT", help="Serial port of a scale; without, weights are typed in."),
    ] = None,
    scale_baud: Annotated[int, typer.Option(help="Speed of the scale's line.")] = 9600,
    scale_ask: Annotated[str, typer.Option(help="What the scale is sent for a weight.")] = "S",
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the calibration is written.")
    ] = Path("calibrations"),
    sets: Sets = None,
    out: Out = Path("sessions"),
    json_file: Json = None,
) -> None:
    """Weigh drops of several opening times and fit the valve's line; writes a file for the rig."""
    say = partial(_say, json_file=json_file)
    rig = load_rig(rig_file, overrides(sets))
    open_times = _opening_times(rig, openings)
    if not 0.5 <= density <= 2:
        raise WrongInput("--density: mg for 1 µl, between 0.5 and 2; water has 1.0")
    from bci.hardware.board.valve_calibration import NoFit, fit_valve

    # now, and not when three hundred drops have been weighed
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise WrongInput(f"--folder {folder}: {there} is no folder that can be written to")
    console = told(json_file)
    weighed = _weigh(rig, out, open_times, drops, scale, scale_baud, scale_ask, density, console)
    try:
        fit = fit_valve(weighed, density)
    except NoFit as error:
        errors().print(f"no calibration: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error
    for one, ul, off in zip(weighed, fit.drop_ul, fit.residuals, strict=True):
        say(f"{one.open_ms:6g} ms  {one.weight_mg:8g} mg  {ul:7.3f} µl a drop  {100 * off:+5.1f} %")
    for warning in fit.warnings:
        errors().print(
            f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
    path = _write_calibration(rig, weighed, density, folder)
    say(f"written: {path}, {path.with_suffix('.html')}")
    say(f"ms_per_ul = {fit.ms_per_ul:.4f}, dead_ms = {fit.dead_ms:.3f}")
    say(f'in the rig file, [board]: valve = "{path.resolve()}"')
    write_json(json_file, {"drops": weighed, "fit": fit})


# ---------------------------------------------------------------------- what they share


def _say(text: str, json_file: Path | None = None) -> None:
    told(json_file).print(text, markup=False, highlight=False, soft_wrap=True)


def _session_of(path: Path, sets: list[str] | None) -> "Session | None":
    """The session of a session file; None: it is a rig file."""
    from bci.config.toml_text import read_toml

    try:
        is_session = "experiment" in read_toml(path)
    except (OSError, ValueError):
        is_session = False
    return load_session(path, overrides(sets)) if is_session else None


@contextmanager
def _drops(
    rig: "Rig", verb: str, origin: str, out: Path, session: "Session | None" = None
) -> "Iterator[Drops]":
    """The rig's board with its valve, and the reward log that its drops go to.

    Without a subject they go to the log beside the folders of all subjects.
    """
    from bci.hardware.board.drops import Drops
    from bci.hardware.board.hosted import hosted
    from bci.hardware.board.interface import BoardError
    from bci.hardware.board.kinds import PROCESSES, open_board
    from bci.recording.reward_log import REWARDS, RewardLog, local_now, reward_log_path
    from bci.session.settle import settle_at_opening

    if faults := network_faults(rig):
        raise SettingsError(faults)
    path = out / REWARDS
    if session is not None:
        path = reward_log_path(out / session.subject / verb, session.subject)
    name = f"bci reward {verb} {local_now().isoformat(timespec='milliseconds')}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = RewardLog(path, name, rig.board.kind)
        lines = log.read()
    except OSError as error:
        raise WrongInput(f"{path}: cannot be used: {error.strerror or error}") from error
    try:
        with ExitStack() as stack:
            peers: dict[str, str] = {}
            if rig.board.kind in PROCESSES:
                folder = Path(stack.enter_context(TemporaryDirectory()))
                peers = stack.enter_context(hosted(rig.board, folder / "edges.jsonl"))
            board = open_board(rig.board, lambda: peers, timeout_s=_ANSWER_S, log=log)
            drops = Drops(board, rig.board.valve, log, origin)
            stack.callback(log.close)
            stack.callback(drops.close)
            settle_at_opening(log, lines, board, rig.board.kind)
            yield drops
    except BoardError as error:
        errors().print(f"{error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error


def _refuse_opening(rig: "Rig", open_ms: float) -> None:
    from bci.hardware.board.drops import drop_fault

    if why := drop_fault(open_ms, rig.board.valve):
        raise WrongInput(why)


def _give_in_session(folder: Path, volume_ul: float | None) -> None:
    from bci.stream.errors import StreamError
    from bci.stream.operator import OperatorReward

    client = operator_of(folder)
    try:
        reply = client.ask(OperatorReward(volume_ul))
    except StreamError as error:
        errors().print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error
    finally:
        client.close()
    _say(reply.reason)
    if not reply.accepted:
        raise typer.Exit(FAULT)


def _keep_sessions_out(held: ExitStack, session: "Session", out: Path) -> None:
    """No session of the subject runs meanwhile: each would count without the other's drops."""
    from bci.recording.reward_log import REHEARSALS
    from bci.session.sole_session import sole_session

    if session.rig.board.kind not in REHEARSALS:
        held.enter_context(sole_session(out, session.subject))


def _refuse_past_cap(session: "Session", out: Path, volume_ul: float) -> None:
    from bci.recording.daily_cap import cap_of_subject

    try:
        cap = cap_of_subject(session, out)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        raise WrongInput(f"the drops of today cannot be read: {why}") from error
    if why := cap.why_not(volume_ul, "operator"):
        errors().print(f"{session.subject}: {why}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(WRONG_INPUT)


def _train(drops: "Drops", open_ms: float, n: int, what: str, console: Console) -> float:
    from rich.progress import Progress

    with Progress(console=console) as progress:
        task = progress.add_task(what, total=n)
        return drops.give(open_ms, n, lambda given: progress.update(task, completed=given))


def _opening_times(rig: "Rig", text: str) -> list[float]:
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError as error:
        raise WrongInput(f"--ms {text}: numbers with commas between, 20,40,80") from error
    if len(found) < 2:
        raise WrongInput(f"--ms {text}: two opening times or more are needed for a line")
    for open_ms in found:
        _refuse_opening(rig, open_ms)
    return found


def _weigh(
    rig: "Rig",
    out: Path,
    open_times: list[float],
    n_drops: int,
    scale_port: str | None,
    scale_baud: int,
    scale_ask: str,
    density: float,
    console: Console,
) -> "list[WeighedDrops]":
    from bci.hardware.board.interface import BoardError
    from bci.hardware.board.scale import Scale
    from bci.hardware.board.valve_calibration import WeighedDrops

    weighed: list[WeighedDrops] = []
    scale: Scale | None = None
    try:
        scale = Scale(scale_port, scale_baud, scale_ask) if scale_port else None
        with _drops(rig, "calibrate", "calibration", out) as drops:
            for open_ms in open_times:
                before_mg = scale.read_mg() if scale else 0.0
                _train(
                    drops,
                    open_ms,
                    n_drops,
                    f"{counted(n_drops, 'drop')} of {open_ms:g} ms",
                    console,
                )
                if scale is not None:
                    weight_mg = scale.read_mg() - before_mg
                else:
                    # meanwhile the board, which hears nothing, is safe; it is greeted again after
                    weight_mg = _asked_weight_mg(open_ms, n_drops, density)
                weighed.append(WeighedDrops(open_ms, n_drops, weight_mg))
    except BoardError as error:
        errors().print(f"{error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error
    finally:
        if scale is not None:
            scale.close()
    return weighed


def _asked_weight_mg(open_ms: float, drops: int, density: float) -> float:
    """Ask for the weight of all drops until it can be one in mg."""
    from bci.hardware.board.valve_calibration import WeighedDrops, weight_fault

    while True:
        weight_mg: float = typer.prompt(
            f"weight of the {counted(drops, 'drop')}, mg", type=float, err=True
        )
        if not (why := weight_fault(WeighedDrops(open_ms, drops, weight_mg), density)):
            return weight_mg
        errors().print(why, markup=False, highlight=False, soft_wrap=True)


def _write_calibration(
    rig: "Rig", weighed: "list[WeighedDrops]", density: float, folder: Path
) -> Path:
    from bci.analysis.valve_page import valve_page
    from bci.hardware.board.valve_calibration import calibration_toml, fit_valve

    fit, day = fit_valve(weighed, density), date.today()
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now().strftime("%Y%m%dT%H%M%S")
    path = folder / f"valve-{stamp}.toml"
    path.write_text(calibration_toml(fit, weighed, density, day), "utf-8")
    page = path.with_suffix(".html")
    page.write_text(valve_page(rig.name, day, weighed, fit, density), "utf-8")
    return path
