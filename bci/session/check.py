"""One check before a session, and how it came out."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import msgspec


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


class Trial(NamedTuple):
    """A check that has yet to be made: what it looks at, and how."""

    name: str
    make: Callable[[], Check]
