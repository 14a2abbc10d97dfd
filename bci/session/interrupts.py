"""Ctrl-C, SIGTERM and a terminal that is closed, taken in order instead of ending us at once."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` at every such signal, as long as the block lasts; in the main thread alone.

    A SIGHUP that was ignored before, as `nohup` does, stays ignored. Ctrl-Z does nothing meanwhile:
    it would hold us, and our children end themselves where we are silent.

    Parameters
    ----------
    act
        Called between two steps of whatever runs then: it must take no lock. It may raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def take(_: int, __: FrameType | None) -> None:
        act()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, take) for number in numbers}
    if sys.platform != "win32":
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
