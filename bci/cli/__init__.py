"""The command line: one verb for everything the program does."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""Exit code of what Ctrl-C ended."""


def main() -> None:
    """Run the command line."""
    with _nothing_to_end():
        from bci.cli.verbs import run
    try:
        run()
    except KeyboardInterrupt:
        # while words were put together: within a verb it is the verb's own
        sys.exit(INTERRUPTED)


@contextmanager
def _nothing_to_end() -> Iterator[None]:
    """End at once and without a word where Ctrl-C comes: nothing was begun yet.

    A third of a second goes by until every package is there, and an exception in the midst of it
    tells of our imports, or is lost in theirs.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        # ignored, as a shell does for what it runs beside itself, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
