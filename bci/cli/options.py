"""Options that verbs share, and what every verb does with them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from bci.config import Override

if TYPE_CHECKING:
    from bci.session.day import DayOptions
    from bci.stream.operator import OperatorClient

FAULT, WRONG_INPUT = 1, 2
STDOUT = Path("-")


SESSION, BEFORE, AFTER = "A session", "Before it", "After it"
ALONE = "One process alone, for several computers"
"""Headings of the verbs in `bci --help`."""


class WrongInput(Exception):
    """What was typed cannot be done: one sentence with the reason and what to do."""


SessionFile = Annotated[
    Path, typer.Argument(help="Session file (TOML): names a rig, an experiment and a subject.")
]
Folder = Annotated[
    Path,
    typer.Argument(
        help="Session folder, the one with journal.mcap.",
        callback=lambda folder: with_journal(folder),
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder of all subjects, in place of sessions/.")]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the result as JSON as well; - is stdout, and all else goes to stderr.",
        callback=lambda path: writable(path),
    ),
]
Duration = Annotated[
    float | None, typer.Option("--duration", metavar="S", help="End after so many seconds.")
]
Headless = Annotated[
    bool, typer.Option("--headless", help="No operator window; the animal's screen is drawn.")
]


Announce = Annotated[Path | None, typer.Option("--announce", hidden=True)]
Preflight = Annotated[
    Path | None,
    typer.Option(
        "--preflight",
        metavar="FILE",
        help="Checks made before, of `bci doctor --json FILE`: stored with the session.",
    ),
]


Block = Annotated[
    str | None,
    typer.Option("--block", metavar="KIND", help="This block alone: baseline or closed_loop."),
]
Without = Annotated[
    str | None,
    typer.Option(
        "--without", metavar="ROIS", help="Go on without these neurons today: roi0007,roi0012."
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option("--resume", metavar="FOLDER", help="Go on with an interrupted session."),
]


def with_journal(folder: Path) -> Path:
    """The folder of a session; its journal may be named in its place.

    Raises
    ------
    WrongInput
        Where it holds no session.
    """
    from bci.recording.folder import JOURNAL

    if folder.name == JOURNAL and folder.is_file():
        return folder.parent
    if (folder / JOURNAL).is_file():
        return folder
    if not folder.exists():
        raise WrongInput(f"{folder}: no such folder; name the folder of a session")
    sessions = sorted(found.parent for found in folder.glob(f"*/{JOURNAL}"))
    newest = f", such as {sessions[-1]}" if sessions else ""
    raise WrongInput(f"{folder}: no {JOURNAL} in it; name the folder of one session{newest}")


def operator_of(folder: Path) -> "OperatorClient":
    """The line to the session that runs in a folder.

    Raises
    ------
    WrongInput
        Where none runs there.
    """
    from bci.recording.folder import read_endpoints
    from bci.session.access import access_to
    from bci.stream.operator import OperatorClient

    try:
        return OperatorClient(read_endpoints(folder)["operator"], access_to(folder))
    except (OSError, ValueError, KeyError) as error:
        raise WrongInput(
            f"{folder}: no session runs here; name the folder that its first line on the "
            "terminal told"
        ) from error


def writable(path: Path | None) -> Path | None:
    """Refuse a file that could not be written once all is over.

    Raises
    ------
    WrongInput
        Where it lies in no folder, or is one.
    """
    if path == STDOUT:
        return path
    if path is not None and path.is_dir():
        raise WrongInput(f"--json {path}: this is a folder; name a file in it")
    if path is not None and not path.parent.is_dir():
        raise WrongInput(f"--json {path}: there is no folder {path.parent}; make it first")
    return path


def day_options(
    out: Path, block: str | None = None, without: str | None = None, resume: Path | None = None
) -> "DayOptions":
    """How the day was asked to begin."""
    from bci.config import Fault, SettingsError
    from bci.session.day import BLOCKS, DayOptions

    if block is not None and block not in BLOCKS:
        raise SettingsError([Fault("--block", block, f"one of {', '.join(BLOCKS)}", "name one")])
    labels = tuple(label.strip() for label in (without or "").split(",") if label.strip())
    return DayOptions(out, block, labels, resume)


def overrides(sets: list[str] | None) -> list[Override]:
    """Read every `--set`."""
    return [Override.parse(text) for text in sets or []]


def write_json(path: Path | None, result: Any) -> None:
    """Write a result for scripts, where that was asked for: into a file, or to stdout for `-`."""
    if path is None:
        return
    text = msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"
    if path == STDOUT:
        sys.stdout.write(text.decode())
    else:
        path.write_bytes(text)


def told(json_file: Path | None = None) -> Console:
    """Where results are told: stdout, or stderr if stdout is for the JSON alone.

    Lines are as long as their text: what a terminal breaks can be copied, what we break cannot.
    """
    return Console(stderr=json_file == STDOUT, soft_wrap=True)


def errors() -> Console:
    """Where faults are told."""
    return Console(stderr=True, soft_wrap=True)
