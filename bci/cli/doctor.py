"""The verb that tries everything before the animal is in place."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bci.cli.options import (
    BEFORE,
    FAULT,
    Json,
    Out,
    SessionFile,
    Sets,
    WrongInput,
    errors,
    overrides,
    told,
    write_json,
)
from bci.config import load_session

app = typer.Typer()


@app.command(rich_help_panel=BEFORE)
def doctor(
    session_file: SessionFile,
    sets: Sets = None,
    out: Out = Path("sessions"),
    json_file: Json = None,
    board: Annotated[
        bool,
        typer.Option(
            "--board",
            help="The board alone, step by step (docs/wiring.md). The valve opens: no animal.",
        ),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="With --board: seconds to touch the sensors.")
    ] = 10.0,
    name: Annotated[
        str | None, typer.Option(help="With --board: a name that the board keeps.")
    ] = None,
    learn: Annotated[
        str | None,
        typer.Option(
            metavar="black|white",
            help="With --board: the photodiode's patch is this now; the board keeps its value.",
        ),
    ] = None,
) -> None:
    """Pre-flight: try stream, screen, board, disk and clock, and say what to do."""
    from bci.session.board_trial import Wishes, board_checks
    from bci.session.check import Status
    from bci.session.preflight import all_checks

    wishes = Wishes(wait, _name(name), _learned(learn))
    if not board and wishes != Wishes(wait, None, None):
        raise WrongInput("--name and --learn are for the board: add --board")
    session, console, checks = load_session(session_file, overrides(sets)), told(json_file), []
    if board:
        found_checks = board_checks(session, wishes, lambda what: errors().print(what))
    else:
        found_checks = all_checks(session, out)
    for found in found_checks:
        checks.append(found)
        style = {"ok": "green", "warn": "yellow", "fail": "bold red"}[found.status.value]
        console.print(f"{found.status.value:5s}", style=style, end="")
        solution = f" → {found.solution}" if found.solution else ""
        console.print(
            f"{found.name:10s} {found.message}{solution}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    write_json(json_file, checks)
    if any(found.status is Status.FAIL for found in checks):
        raise typer.Exit(FAULT)


def _name(name: str | None) -> str | None:
    if name is not None and not (name.isascii() and name.isprintable() and 0 < len(name) <= 12):
        raise WrongInput(f"--name {name}: 1 to 12 ASCII characters")
    return name


def _learned(learn: str | None) -> Literal["black", "white"] | None:
    match learn:
        case None | "black" | "white":
            return learn
        case _:
            raise WrongInput(f"--learn {learn}: black or white")
