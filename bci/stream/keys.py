"""The keys of a rig: one CURVE pair, which each of its computers has in a file."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

_BANNER = """\
# Keys of a two-photon BCI rig, made by `bci keygen`. Who has this file can take part in sessions.
# Copy it to each computer of the rig, by hand, and name it in rig.stream.keys.
"""


class KeysError(ValueError):
    """A key or token file cannot be used; says why and what to do."""


class Keys(NamedTuple):
    """A CURVE pair in the text form of ZeroMQ.

    Parameters
    ----------
    public, secret
        40 characters each.
    """

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Keys({self.public.decode()}, <secret>)"


def make_keys(path: Path) -> Keys:
    """Make a new pair and write it to a file that only its owner can read.

    Raises
    ------
    FileExistsError
        If there is a file: keys are never replaced by accident.
    OSError
        If it cannot be written.
    """
    keys = Keys(*zmq.curve_keypair())
    text = f"{_BANNER}public-key = {keys.public.decode()}\nsecret-key = {keys.secret.decode()}\n"
    write_private(path, text)
    return keys


def read_keys(path: Path) -> Keys:
    """Read the pair of a file.

    Raises
    ------
    KeysError
        If it is not there, others can read it, or it holds no pair.
    """
    found = dict[str, bytes]()
    for line in read_private(path).splitlines():
        # a key may hold `=` and `#` itself
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name.strip()] = value.strip().encode()
    try:
        keys = Keys(found["public-key"], found["secret-key"])
        fits = len(z85.decode(keys.secret)) == 32 and zmq.curve_public(keys.secret) == keys.public
    except (KeyError, ValueError, IndexError, zmq.ZMQError):
        fits = False
    if not fits:
        raise KeysError(f"{path}: holds no pair of keys. Make one with `bci keygen`.")
    return keys


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, from its first moment on.

    On Windows it has the rights of its folder.

    Raises
    ------
    FileExistsError
        If there is one.
    OSError
        If it cannot be written.
    """
    with open(path, "x", encoding="ascii", opener=_private) as file:
        file.write(text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read_private(path: Path) -> str:
    """Read a small text file, refusing one that other users can read.

    Raises
    ------
    KeysError
        If it cannot be read, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(10_000)
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror or error}.") from error
    if sys.platform != "win32" and mode & 0o077:
        raise KeysError(
            f"{path}: other users of this computer can read it (mode {mode & 0o777:o}). "
            f"Run: chmod 600 {path}"
        )
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise KeysError(f"{path}: no text file.") from error
