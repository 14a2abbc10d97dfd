"""The one place through which files from outside are opened: regular files of bounded size."""

import errno
import os
import stat
from io import FileIO
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# A pipe opened without this waits for a writer; Windows has no such flag and needs none.
_NO_WAITING: int = getattr(os, "O_NONBLOCK", 0)
_BINARY: int = getattr(os, "O_BINARY", 0)


class InputRefused(OSError):
    """A file that is not opened, or not read on: what it is. The path is in `filename`."""

    def __init__(self, path: Path, why: str, number: int = errno.EINVAL) -> None:
        super().__init__(number, why, str(path))

    def __str__(self) -> str:
        return str(self.strerror)


def open_input(path: Path, max_bytes: int | None = None) -> FileIO:
    """Open a file that somebody else may have made, unbuffered, for reading.

    It never waits: a named pipe, a socket or a device is refused and not opened.

    Parameters
    ----------
    path
        Of a regular file, or of a link to one.
    max_bytes
        Largest size; None: any, for a file that is mapped or read piece by piece.

    Raises
    ------
    InputRefused
        If it is no regular file, or is larger.
    OSError
        If it cannot be opened.
    """
    try:
        # before it is opened: to open a device may already start something
        _require_regular(path, os.stat(path))
    except ValueError as error:
        raise InputRefused(path, f"no name of a file ({error})") from error
    descriptor = os.open(path, os.O_RDONLY | _NO_WAITING | _BINARY)
    try:
        # again: the name may meanwhile belong to something else
        found = os.fstat(descriptor)
        _require_regular(path, found)
        if max_bytes is not None and found.st_size > max_bytes:
            raise _too_large(path, max_bytes)
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def read_input(path: Path, max_bytes: int) -> bytes:
    """Read a whole file that somebody else may have made.

    Raises
    ------
    InputRefused
        If it is no regular file, or holds more than `max_bytes`.
    OSError
        If it cannot be read.
    """
    with open_input(path, max_bytes) as file:
        parts: list[bytes] = []
        left = max_bytes + 1
        # the size of a file in /proc is 0, and any file may grow while it is read
        while left and (part := file.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise _too_large(path, max_bytes)
    return b"".join(parts)


def _require_regular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    is_folder = stat.S_ISDIR(found.st_mode)
    kind = next((words for holds, words in _KINDS if holds(found.st_mode)), "no regular file")
    raise InputRefused(
        path, f"this is {kind}, not a file", errno.EISDIR if is_folder else errno.EINVAL
    )


def _too_large(path: Path, max_bytes: int) -> InputRefused:
    size = f"{max_bytes / 1e6:,.0f} MB" if max_bytes >= 1e6 else f"{max_bytes / 1e3:,.0f} kB"
    return InputRefused(path, f"larger than {size}, the most that is read of such a file")
