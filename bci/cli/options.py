"""Options that verbs share, and what every verb does with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from bci.config import Override

if TYPE_CHECKING:
    from bci.session.day import DayOptions

FAULT, WRONG_INPUT = 1, 2

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
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON as well.")
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
    """Refuse a folder that holds no session."""
    from bci.recording.folder import JOURNAL

    if not (folder / JOURNAL).is_file():
        raise typer.BadParameter(f"{folder}: no {JOURNAL} in it; name the folder of one session")
    return folder


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
    """Write a result for scripts, where that was asked for."""
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def told() -> Console:
    """Where results are told."""
    return Console(soft_wrap=False)


def errors() -> Console:
    """Where faults are told."""
    return Console(stderr=True)
