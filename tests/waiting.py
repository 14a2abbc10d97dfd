"""Waiting for a condition, which a test does in place of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_S = 60.0
"""How long a busy computer may take for anything; only a test that fails waits so long."""
WAIT_MS = round(1000 * WAIT_S)


def until(condition: Callable[[], T], timeout_s: float = WAIT_S) -> T:
    """First true value of `condition`, waited for; the test fails where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
    return value
