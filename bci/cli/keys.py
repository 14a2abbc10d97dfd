"""Keys of a rig, for sessions on several computers."""

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.options import ALONE, WrongInput, told

app = typer.Typer()


@app.command(rich_help_panel=ALONE, epilog="Example: `bci keygen lab-keys`")
def keygen(
    file: Annotated[Path, typer.Argument(help="Key file to make, outside of data folders.")],
) -> None:
    """Make the keys that computers of one rig show each other; one computer needs none."""
    from bci.stream.keys import make_keys

    try:
        make_keys(file)
    except FileExistsError as error:
        raise WrongInput(
            f"{file}: is there already. Keys are never replaced: name another file, or remove it."
        ) from error
    except OSError as error:
        raise WrongInput(f"{file}: cannot be written: {error.strerror or error}") from error
    place = file.resolve()
    for line in (
        f"made {place}, which only you can read",
        "1. Copy it to each computer of the rig, on a USB stick or with scp -p, not by e-mail.",
        f"2. Let only its user read it there: chmod 600 {file.name} (Windows: a folder that only "
        "you can open).",
        "3. Name it in the rig file of each computer:",
        "   [stream]",
        f"   keys = '{place}'",
        "Who has this file can take part in sessions of the rig. If it got lost, make another one.",
    ):
        told().print(line, markup=False, highlight=False, soft_wrap=True)
