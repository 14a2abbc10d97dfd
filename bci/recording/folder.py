"""The folder of a session: where it is made and what its files are called."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from bci.config.input_file import read_input
from bci.core.messages import Endpoints, read_message

JOURNAL = "journal.mcap"
DAMAGED_JOURNAL = "journal.damaged.mcap"
MANIFEST = "manifest.json"
DAMAGED_MANIFEST = "manifest.damaged.json"
ENDPOINTS = "endpoints.json"
NWB = "session.nwb"
REPORT = "report.html"
LOG = "log.jsonl"
EDGES = "board-edges.jsonl"
"""Of the outputs of a board that is a process of ours; beside it lies what that remembers."""
_TOKEN = "token"
MOST_BYTES = 1_000_000
"""Of endpoints.json."""
_ENDPOINTS: msgspec.json.Decoder[dict[str, str]] = msgspec.json.Decoder(Endpoints)


def session_folder(root: Path, subject: str, now: datetime) -> Path:
    """Make the folder of a session that starts now; no two sessions ever share one.

    Parameters
    ----------
    root
        Folder of all subjects, made where it is missing.
    subject
        Name of the animal.
    now
        Time of the start; its local time names the folder, without colons.

    Returns
    -------
    Path
        `root/subject/20261122T081500`, with `-2`, `-3`, ... behind it within the same second.

    Raises
    ------
    OSError
        Where it cannot be made.
    """
    parent = root / subject
    parent.mkdir(parents=True, exist_ok=True)
    name = now.strftime("%Y%m%dT%H%M%S")
    attempt = 1
    while True:
        folder = parent / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            attempt += 1
            continue
        return folder


def write_endpoints(folder: Path, endpoints: Mapping[str, str], token: str) -> None:
    """Write where the processes of the running session listen, and its token.

    Only the owner can read the file; on Windows, who can read the folder.
    """
    text = json.dumps({**endpoints, _TOKEN: token}, indent=2, sort_keys=True)
    replace_file(folder / ENDPOINTS, text.encode() + b"\n", private=True)


def read_endpoints(folder: Path) -> dict[str, str]:
    """Where the processes of the session in this folder listen, or did.

    Raises
    ------
    FileNotFoundError
        Where no session of this program runs or ran here.
    NotAMessage
        If the file holds anything else.
    """
    endpoints = _read_endpoints(folder)
    endpoints.pop(_TOKEN, None)
    return endpoints


def read_token(folder: Path) -> str:
    """What must be shown to the processes of the session in this folder.

    Raises
    ------
    FileNotFoundError, KeyError
        If no session runs or ran here, or one of a version that had no token.
    NotAMessage
        If the file holds anything else.
    """
    return _read_endpoints(folder)[_TOKEN]


def _read_endpoints(folder: Path) -> dict[str, str]:
    return read_message(_ENDPOINTS, read_input(folder / ENDPOINTS, MOST_BYTES))


def replace_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file so that a reader, or a power cut, finds the old one or the new one whole.

    Parameters
    ----------
    private
        Let only the owner read it, from its first moment on.

    Raises
    ------
    OSError
        Naming the file, where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # one that was left behind would keep its rights
        beside.unlink(missing_ok=True)
        with open(beside, "xb", opener=_open_private if private else None) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise
    sync_folder(path.parent)


def free_name(path: Path) -> Path:
    """The path itself, or the next one with a number if there is such a file already."""
    number = 2
    free = path
    while free.exists():
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return free


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def sync_data(descriptor: int) -> None:
    """Bring what was written to an open file to the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring the name of a new file to the disk; Windows does so by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
