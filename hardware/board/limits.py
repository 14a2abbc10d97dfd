"""Limits compiled into the board, which no host can raise."""

from bci.hardware.board.codes import Reason
from bci.hardware.board.protocol import PROTOCOL_VERSION, Hello

HARD_MAX_OPEN_US = 1_000_000
MIN_OPEN_US = 100
MIN_GAP_US = 1_000
MIN_WATCHDOG_MS = 50
MAX_WATCHDOG_MS = 60_000


def greeting_fault(hello: Hello) -> tuple[Reason, int] | None:
    """Why a greeting is refused, with the largest value allowed; None: it is not."""
    if hello.protocol != PROTOCOL_VERSION:
        return Reason.VERSION, PROTOCOL_VERSION
    if not MIN_OPEN_US <= hello.max_open_us <= HARD_MAX_OPEN_US:
        return Reason.OUT_OF_RANGE, HARD_MAX_OPEN_US
    if not 0 < hello.duty_permille <= 1000:
        return Reason.OUT_OF_RANGE, 1000
    if not MIN_WATCHDOG_MS <= hello.watchdog_ms <= MAX_WATCHDOG_MS:
        return Reason.OUT_OF_RANGE, MAX_WATCHDOG_MS
    return None
