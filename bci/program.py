"""The program as it is installed: its identity, and how another process of it is started.

A child process must run the code of its parent. Python puts the current folder before everything
else, so a folder of data that holds a `bci/`, a `queue.py` or a `numpy.py` would be run in its
place; and a checkout may change while a session runs. Therefore every child is started by
`python_command`, which leaves the current folder out, and gets its parent's `identity` in its
environment, which it compares with its own before it does anything.
"""

import os
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "two-photon-bci"
PARENT_RUNS = "BCI_PROGRAM"
"""Environment variable with the identity of the program that started this process."""
_PACKAGES = ("bci", "bci.hardware", "bci.stimuli")


class OtherProgramError(Exception):
    """Code of this process differs from that of the process that started it."""


def python_command(module: str, *arguments: str) -> list[str]:
    """Command line that runs a module of this program, whatever lies in the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """Environment for a process that `python_command` starts."""
    return os.environ | {PARENT_RUNS: identity(), "PYTHONSAFEPATH": "1"}


def check_parent() -> None:
    """Compare this program with the one that started it, if one of ours did.

    Raises
    ------
    OtherProgramError
        If version or files differ.
    """
    parent = os.environ.get(PARENT_RUNS)
    if parent is not None and parent != identity():
        raise OtherProgramError(
            f"This process would run {identity()} from {_folder('bci')}, but the program that "
            f"started it runs {parent}. Was it updated meanwhile? Close every window and session "
            "of it, then start again."
        )


def installed_version() -> str:
    """Version of the installed distribution."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "not installed"


@cache
def identity() -> str:
    """Version, and the start of a SHA-256 over every Python file of the program.

    Read once: a process keeps the code that it has imported.
    """
    digest = sha256()
    for name, path in sorted(_files()):
        # a checkout on Windows may end its lines otherwise
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{installed_version()}+{digest.hexdigest()[:16]}"


def _files() -> Iterator[tuple[str, Path]]:
    """Name below the package, and path, of every Python file."""
    for package in _PACKAGES:
        folder = _folder(package)
        for path in folder.rglob("*.py"):
            yield f"{package}/{path.relative_to(folder).as_posix()}", path


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise OtherProgramError(f"{package} is not installed: run `make setup`, or install again")
    return Path(spec.origin).parent
