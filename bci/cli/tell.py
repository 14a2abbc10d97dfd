"""What an operator without a window asks of a running session."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bci.cli.options import FAULT, SESSION, operator_of, told

if TYPE_CHECKING:
    from bci.stream.operator import OperatorRequest

app = typer.Typer()


class Request(StrEnum):
    """What can be asked."""

    BASELINE = "baseline"
    CLOSED_LOOP = "closed_loop"
    END_BLOCK = "end_block"
    ENSEMBLES = "ensembles"
    PAUSE = "pause"
    RESUME = "resume"
    LIGHT_ON = "light_on"
    LIGHT_OFF = "light_off"
    FINISH = "finish"
    STOP = "stop"


Rois = Annotated[
    str, typer.Option(metavar="ROIS", help="For ensembles: labels, roi0001,roi0002,roi0005.")
]


@app.command(
    rich_help_panel=SESSION,
    epilog="Example: `bci tell FOLDER ensembles --plus roi3,roi8 --minus roi1,roi9`",
)
def tell(
    folder: Annotated[Path, typer.Argument(help="Folder of a running session.")],
    request: Annotated[Request, typer.Argument(help="A block to begin, or what else to do.")],
    plus: Rois = "",
    minus: Rois = "",
) -> None:
    """Ask something of a running session: begin a block, set ensembles, pause, finish."""
    from bci.stream.errors import StreamError

    client = operator_of(folder)
    try:
        reply = client.ask(_asked(request, plus, minus))
    except StreamError as error:
        told().print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from error
    finally:
        client.close()
    answer = f"{'done' if reply.accepted else 'REFUSED'}: {reply.reason}"
    told().print(answer, markup=False, highlight=False, soft_wrap=True)
    if not reply.accepted:
        raise typer.Exit(FAULT)


def _asked(request: Request, plus: str, minus: str) -> "OperatorRequest":
    from bci.core.loop_types import (
        BlockBegun,
        BlockEnded,
        BlockKind,
        EnsemblesSet,
        Finish,
        LightSet,
        Pause,
        Resume,
        Stop,
    )

    match request:
        case Request.BASELINE | Request.CLOSED_LOOP:
            return BlockBegun(BlockKind(request.value))
        case Request.END_BLOCK:
            return BlockEnded()
        case Request.ENSEMBLES:
            return EnsemblesSet(_labels(plus), _labels(minus), "the operator, by hand")
        case Request.PAUSE:
            return Pause()
        case Request.RESUME:
            return Resume()
        case Request.LIGHT_ON | Request.LIGHT_OFF:
            return LightSet(request is Request.LIGHT_ON)
        case Request.FINISH:
            return Finish("asked for by the operator")
        case Request.STOP:
            return Stop("asked for by the operator")


def _labels(text: str) -> tuple[str, ...]:
    return tuple(label.strip() for label in text.split(",") if label.strip())
