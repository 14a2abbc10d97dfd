"""Threads that an error ends: logged and reported, never lost in silence."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bci.core.process import THREAD_ENDED

log = logging.getLogger("bci.threads")


@contextmanager
def report_ended_threads(report: Callable[[str, str], object]) -> Iterator[None]:
    """While the block runs, log and report every thread of this process that an error ends.

    Parameters
    ----------
    report
        Called with `THREAD_ENDED`, and with the name of the thread and its error, in that thread.
    """

    def ended(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "unknown"
        error = args.exc_value or args.exc_type()
        log.error("thread %s ended", name, exc_info=error)
        report(THREAD_ENDED, f"{name}: {type(error).__name__}: {error}")

    before, threading.excepthook = threading.excepthook, ended
    try:
        yield
    finally:
        threading.excepthook = before
