"""Logs: JSON lines from every process, one file a session, readable on the terminal."""

import json
import logging
import logging.handlers
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    # of the supervisor alone
    from rich.console import Console

LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}


class JsonLines(logging.Formatter):
    """One JSON object a record: time, process, level, logger, message, traceback."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Make one line of a record."""
        line: dict[str, Any] = {
            "t": record.created,
            "process": self._process,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Line(logging.StreamHandler[IO[str]]):
    """Writes lines; a reader that has died silences it instead of ending its process."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not isinstance(sys.exc_info()[1], BrokenPipeError | ValueError):
            super().handleError(record)


def log_to_stderr(process: str) -> logging.handlers.QueueListener:
    """Send this process's records as JSON lines to stderr, from a thread of their own.

    A full pipe never holds up the caller: records wait in memory.
    """
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = _Line(sys.stderr)
    handler.setFormatter(JsonLines(process))
    listener = logging.handlers.QueueListener(records, handler)
    root = logging.getLogger()
    root.handlers[:] = [logging.handlers.QueueHandler(records)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    listener.start()
    return listener


class _Book(logging.Handler):
    """Passes what this process logs on to the session's log."""

    def __init__(self, book: "LogBook") -> None:
        super().__init__(logging.WARNING)
        self._book = book
        self.setFormatter(JsonLines("supervisor"))

    def emit(self, record: logging.LogRecord) -> None:
        self._book.write("supervisor", self.format(record))


@contextmanager
def logged_in(book: "LogBook") -> Iterator[None]:
    """While the block runs, copy this process's warnings and errors into a session's log."""
    handler = _Book(book)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def read_line(line: str) -> object:
    """What a line that a process wrote holds as JSON; None if it is none."""
    try:
        return json.loads(line)
    # deep nesting: whatever a library prints must not end who reads it
    except (ValueError, RecursionError):
        return None


def _is_record(line: object) -> TypeGuard[dict[str, Any]]:
    """Whether a line is what `JsonLines` makes, and not JSON that something else printed."""
    return (
        isinstance(line, dict)
        and isinstance(line.get("t"), float)
        and all(isinstance(line.get(key), str) for key in ("process", "level", "message"))
    )


def _own(level: str, message: str) -> dict[str, Any]:
    return {"t": time.time(), "process": "supervisor", "level": level, "message": message}


class LogBook:
    """The session's log file and the terminal beside it.

    Parameters
    ----------
    path
        log.jsonl of the session.
    console
        Where people read; None: the file alone.
    """

    def __init__(self, path: Path, console: "Console | None") -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._n_bytes = self._file.tell()
        self._told_lost = False
        self._console = console
        self._lock = threading.Lock()

    def write(self, process: str, line: str) -> None:
        """Take a line that a process wrote; what is not JSON is kept as its message."""
        record = read_line(line)
        if not _is_record(record):
            record = {"t": time.time(), "process": process, "level": "INFO", "message": line}
        with self._lock:
            if self._file.closed:
                return
            lost = self._put(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"))
        self._show(record)
        if lost and not self._told_lost:
            self._told_lost = True
            told = f"{self._path}: {lost}; lines are missing from here on"
            self._show(_own("ERROR", told))

    def tell(self, level: str, message: str) -> None:
        """Write a line of the supervisor's own."""
        self.write("supervisor", json.dumps(_own(level, message)))

    def close(self) -> None:
        """Close the file; later lines are dropped."""
        with self._lock:
            self._file.close()

    def _put(self, line: bytes) -> str:
        """Append a line, whole or not at all; why not, empty where all is well."""
        try:
            n_written = self._file.write(line + b"\n")
            why = "" if n_written == len(line) + 1 else "the disk is full"
        except OSError as error:
            why = error.strerror or str(error)
        if not why:
            self._n_bytes += len(line) + 1
        else:
            with suppress(OSError):
                self._file.truncate(self._n_bytes)
        return why

    def _show(self, record: dict[str, Any]) -> None:
        level = str(record.get("level", "INFO"))
        if self._console is None or level not in LEVEL_STYLES:
            return
        clock = time.strftime("%H:%M:%S", time.localtime(float(record.get("t", time.time()))))
        self._console.print(
            f"{clock} {record.get('process', '?')}: {record.get('message', '')}",
            style=LEVEL_STYLES[level],
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
