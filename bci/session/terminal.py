"""A terminal that may go away, or stand still, while the session runs."""

import atexit
import io
import os
import select
import sys
import threading
from collections import deque
from contextlib import suppress
from io import TextIOBase
from typing import IO

MOST_WAITING = 2000
"""Texts that are kept for a terminal that stands still; some minutes of a session."""
PATIENCE_S = 2.0
MISSING = "\n(nobody read this terminal for a while: lines are missing here, log.jsonl has them)\n"


class LastingTerminal(TextIOBase):
    """Passes text on from a thread: nobody who writes ever waits, and nothing fails.

    A closed window or `| head` must not end a session, nor its exit code. Nor may a terminal that
    stands still, by Ctrl-S or a connection that froze, hold up whoever watches over the processes.

    Parameters
    ----------
    file
        Where text goes, such as `sys.stdout`.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._fd = _own_descriptor(file)
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._n_written = 0
        self._is_missing = False
        self._has_gone = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="terminal", daemon=True)
        if self._fd is not None:
            self._thread.start()
            atexit.register(self.close)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the text."""
        return str(getattr(self._file, "encoding", None) or "utf-8")

    def fileno(self) -> int:
        """Of the file below."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Whether people read along."""
        return self._file.isatty()

    def write(self, text: str) -> int:
        """Pass text on; what a terminal that stands still has no room for is left out."""
        if self._fd is None:
            self._write_at_once(text)
            return len(text)
        data = text.encode(self.encoding, "replace")
        with self._changed:
            if self._has_gone or self._is_closed:
                return len(text)
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(data)
                self._changed.notify_all()
            else:
                self._is_missing = True
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back; see `settle`."""

    def settle(self) -> None:
        """Wait until all is written, for as long as somebody reads."""
        n_before = -1
        with self._changed:
            while not self._is_through() and n_before < self._n_written:
                n_before = self._n_written
                self._changed.wait_for(self._is_through, PATIENCE_S)

    def _is_through(self) -> bool:
        return self._has_gone or not self._waiting

    def close(self) -> None:
        """Write what waits, and no more; a second call does nothing."""
        if self._fd is None or self._is_closed:
            return
        atexit.unregister(self.close)
        self.settle()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(PATIENCE_S)
        if not self._thread.is_alive():
            os.close(self._fd)

    def _run(self) -> None:
        assert self._fd is not None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting or self._is_closed:
                    return
                data = self._waiting[0]
            has_gone = not _write_whole(self._fd, data)
            if has_gone:
                self._let_go()
            with self._changed:
                self._waiting.popleft()
                self._n_written += 1
                self._has_gone = has_gone
                if self._is_missing and not self._waiting:
                    self._is_missing = False
                    self._waiting.append(MISSING.encode(self.encoding, "replace"))
                self._changed.notify_all()
            if has_gone:
                return

    def _write_at_once(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        # what the file keeps back is written once more when the interpreter ends
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)


def _own_descriptor(file: IO[str]) -> int | None:
    """One that stays ours whatever becomes of the file; None where bytes are not all it takes."""
    if sys.platform == "win32":
        # its consoles take no UTF-8 by their descriptor
        return None
    try:
        return os.dup(file.fileno())
    except (OSError, io.UnsupportedOperation):
        return None


def _write_whole(fd: int, data: bytes) -> bool:
    """Write, however long it takes; False where nobody can read it any more."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True
