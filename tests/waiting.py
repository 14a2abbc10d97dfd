"""Waiting for a condition, which a test does in place of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")

WAIT_S = 120.0
"""How long a busy computer may take for anything; only a test that fails waits so long."""
WAIT_MS = round(1000 * WAIT_S)
LOOK_EVERY_S = 0.03
"""How often to look where looking costs: a file is read, a message decoded."""


def until(condition: Callable[[], T], timeout_s: float = WAIT_S, every_s: float = 0.002) -> T:
    """First true value of `condition`, waited for; the test fails where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {timeout_s:g} s"
        time.sleep(every_s)
    return value


def lives(process: psutil.Process) -> bool:
    """Whether a process still runs; it may end at any moment, this one included."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
