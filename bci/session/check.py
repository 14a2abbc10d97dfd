"""One check before a session, and how it came out."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from bci.config.fault import Fault
from bci.config.input_file import read_input
from bci.core.messages import NotAMessage, read_message


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True):
    """One check: what was found, and what to do about it.

    Parameters
    ----------
    name
        What was looked at.
    message
        What was found.
    solution
        What to do; empty where all is well.
    """

    name: str
    status: Status
    message: str
    solution: str = ""


MAX_BYTES = 1_000_000
"""Largest file of checks that is read."""
_CHECKS = msgspec.json.Decoder(list[Check])


class Trial(NamedTuple):
    """A check that has yet to be made: what it looks at, and how."""

    name: str
    make: Callable[[], Check]


def read_checks(path: Path | None) -> tuple[list[Check], list[Fault]]:
    """Checks of a file as `bci doctor --json` writes it, and what is wrong with the file."""
    if path is None:
        return [], []
    try:
        return read_message(_CHECKS, read_input(path, MAX_BYTES)), []
    except (OSError, NotAMessage) as error:
        todo = "write it with bci doctor --json, or leave it out"
        return [], [Fault("--preflight", str(path), f"a list of checks ({error})", todo)]
