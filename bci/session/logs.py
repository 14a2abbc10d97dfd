"""Logs: JSON lines from every process, one file a session, readable on the terminal."""

import json
import logging
import logging.handlers
import queue
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

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


class LogBook:
    """The session's log file and the terminal beside it.

    Parameters
    ----------
    path
        log.jsonl of the session.
    console
        Where people read; None: the file alone.
    """

    def __init__(self, path: Path, console: Console | None) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._console = console
        self._lock = threading.Lock()

    def write(self, process: str, line: str) -> None:
        """Take a line that a process wrote; what is not JSON is kept as its message."""
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError(line)
        except ValueError:
            record = {"t": time.time(), "process": process, "level": "INFO", "message": line}
        with self._lock:
            if self._file.closed:
                return
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()
        self._show(record)

    def tell(self, level: str, message: str) -> None:
        """Write a line of the supervisor's own."""
        line = {"t": time.time(), "process": "supervisor", "level": level, "message": message}
        self.write("supervisor", json.dumps(line))

    def close(self) -> None:
        """Close the file; later lines are dropped."""
        with self._lock:
            self._file.close()

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
        )
