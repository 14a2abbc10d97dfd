"""The verbs of one process alone, for whoever has several hosts."""

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Never

import typer

from bci.cli.options import (
    ALONE,
    Duration,
    SessionFile,
    Sets,
    WrongInput,
    overrides,
    told,
)
from bci.config import load_session
from bci.config.session import Session

if TYPE_CHECKING:
    from bci.session.child_main import Task

app = typer.Typer()
_SEVERAL = "docs/how-to/several-hosts.md"
_LEAST_TOKEN, _LONGEST_TOKEN = 32, 255
"""Characters."""
_TRIES, _TRY_S = 40, 0.05

Peers = Annotated[
    list[str] | None,
    typer.Option(
        "--peer",
        metavar="NAME=ENDPOINT",
        help="Where another process listens, as it logs it: frames=tcp://10.0.0.2:5501.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="The session's token, the same for each of its processes; made if it is not there.",
    ),
]
RunFolder = Annotated[Path, typer.Option("--folder", help="Session folder to write to.")]


@app.command(rich_help_panel=ALONE)
def acquire(
    session_file: SessionFile,
    sets: Sets = None,
    token_file: TokenFile = None,
    folder: RunFolder = Path(),
) -> None:
    """Acquisition alone: the source of the session file, published for control."""
    from bci.session.child_main import Task

    session, name = _load(session_file, sets)
    _run(Task("acquisition", str(folder)), session, name, token_file)


@app.command(rich_help_panel=ALONE)
def control(
    session_file: SessionFile,
    sets: Sets = None,
    token_file: TokenFile = None,
    folder: RunFolder = Path(),
    duration: Duration = None,
    peers: Peers = None,
) -> None:
    """Control alone: decoder, task and board. Peers: frames, channel, board if ours."""
    from bci.session.child_main import Task

    session, name = _load(session_file, sets)
    _need_peers(peers, "frames", "channel")
    _begin_folder(folder, session, name)
    task = Task("control", str(folder), duration_s=duration)
    _run(task, session, name, token_file, peers)


@app.command(rich_help_panel=ALONE)
def stimulus(
    session_file: SessionFile,
    sets: Sets = None,
    token_file: TokenFile = None,
    folder: RunFolder = Path(),
    peers: Peers = None,
) -> None:
    """Run the animal's screen alone. Peers: commands and flips."""
    from bci.session.child_main import Task

    session, name = _load(session_file, sets)
    _need_peers(peers, "commands", "flips")
    _run(Task("stimulus", str(folder)), session, name, token_file, peers)


@app.command(rich_help_panel=ALONE)
def board(
    session_file: SessionFile,
    sets: Sets = None,
    token_file: TokenFile = None,
    folder: RunFolder = Path(),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = 0,
) -> None:
    """Run a board that is a process of ours alone: simulated, or the firmware in simavr."""
    from bci.hardware.board.kinds import PROCESSES
    from bci.session.child_main import Task

    session, name = _load(session_file, sets)
    if session.rig.board.kind not in PROCESSES:
        raise WrongInput(
            f"rig.board.kind = {session.rig.board.kind!r} is no process of ours; "
            f"these are: {', '.join(PROCESSES)}"
        )
    _run(Task("board", str(folder), port=port), session, name, token_file)


def _run(
    task: "Task",
    session: Session,
    session_name: str,
    token_file: Path | None,
    peers: list[str] | None = None,
) -> Never:
    from bci.session.child_main import run_child

    token = _token(token_file)
    raise typer.Exit(run_child(task, session, session_name, token, _endpoints(peers)))


def _load(path: Path, sets: list[str] | None) -> tuple[Session, str]:
    """Settings and the session's name, from a session file or a session's manifest."""
    if path.suffix != ".json":
        from bci.session.access import access_faults

        session = load_session(path, overrides(sets), outside=access_faults)
        return session, session.subject
    from bci.recording.manifest import read_manifest

    manifest = read_manifest(path.parent)
    return manifest.session_settings(), manifest.session


def _token(file: Path | None) -> str:
    """The session's token, from the file, which the first process makes."""
    from bci.stream.access import new_token
    from bci.stream.keys import KeysError, read_private, write_private

    if file is None:
        raise WrongInput(
            "a process alone must show the others that it belongs to them: --token-file FILE, the "
            f"same for each ({_SEVERAL}); bci run does this by itself"
        )
    try:
        with suppress(FileExistsError):
            write_private(file, new_token())
            told().print(f"made a new token in {file}", markup=False, highlight=False)
        token = read_private(file).strip()
        for _ in range(_TRIES):
            if token:
                break
            # another process has just made the file, and is about to write
            time.sleep(_TRY_S)
            token = read_private(file).strip()
    except (OSError, KeysError) as error:
        raise WrongInput(f"--token-file {file}: {error}") from error
    if not _LEAST_TOKEN <= len(token) <= _LONGEST_TOKEN:
        raise WrongInput(
            f"--token-file {file}: {len(token)} characters; a token has {_LEAST_TOKEN} to "
            f"{_LONGEST_TOKEN}. Remove the file, and the first process makes a new one."
        )
    return token


def _endpoints(peers: list[str] | None) -> dict[str, str]:
    named = [peer.partition("=") for peer in peers or []]
    wrong = [key for key, _, endpoint in named if "://" not in endpoint]
    if wrong:
        raise WrongInput(f"--peer {wrong[0]}: NAME=ENDPOINT, such as frames=tcp://HOST:PORT")
    return {key: endpoint for key, _, endpoint in named}


def _need_peers(peers: list[str] | None, *names: str) -> None:
    """Refuse a process alone that would wait in vain for what nobody tells it."""
    missing = [f"--peer {name}=tcp://HOST:PORT" for name in names if name not in _endpoints(peers)]
    if missing:
        raise WrongInput(
            f"a process alone must be told where the others listen: {' '.join(missing)} "
            f"({_SEVERAL}); bci run starts all of them by itself"
        )


def _begin_folder(folder: Path, session: Session, name: str) -> None:
    """Make a session folder for a control that no supervisor made one for."""
    from datetime import datetime

    from bci.recording.folder import JOURNAL
    from bci.recording.manifest import make_manifest, write_manifest

    if (folder / JOURNAL).exists():
        raise WrongInput(f"--folder {folder}: holds a session already; name another one")
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, make_manifest(name, session, datetime.now().astimezone()))
