"""The processes of a session: started, read, asked to end, killed when they do not."""

import subprocess
import sys
import threading
import time
from collections import deque

import msgspec

from bci.program import child_environment, python_command
from bci.session import child_main
from bci.session.child_main import Task
from bci.session.logs import LogBook, read_line
from bci.stream.access import TOKEN_VARIABLE


def _own_group() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


class Child:
    """One process of ours, its lines collected in the session's log.

    Parameters
    ----------
    task
        What it is to do.
    book
        Where its lines go.
    token
        Of the session; in its environment, which other users cannot read.

    Attributes
    ----------
    last_error
        Newest line of level ERROR, or the last line of a traceback: why it died.
    """

    def __init__(self, task: Task, book: LogBook, token: str) -> None:
        self.name = name = task.name
        self.last_error = ""
        self._book = book
        self._plain: deque[str] = deque(maxlen=30)
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            python_command(child_main.__name__, msgspec.json.encode(task).decode()),
            env={**child_environment(), TOKEN_VARIABLE: token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C is for the supervisor alone, which ends its children in order
            start_new_session=sys.platform != "win32",
            creationflags=_own_group(),
        )
        self._reader = threading.Thread(target=self._read, name=f"log-{name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False where it still runs."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(1.0)
        return True

    def kill(self) -> None:
        """End it at once."""
        if self.exit_code is None:
            self._process.kill()
            self.wait(2.0)

    def why(self) -> str:
        """Say in words how it ended."""
        code = self.exit_code
        how = f"ended by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        reason = self.last_error or (self._plain[-1] if self._plain else "")
        return f"{how}: {reason}" if reason else how

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._take(line.rstrip())

    def _take(self, text: str) -> None:
        if not text:
            return
        self._book.write(self.name, text)
        record = read_line(text)
        if record is None:
            self._plain.append(text)
        elif isinstance(record, dict) and record.get("level") in ("ERROR", "CRITICAL"):
            self.last_error = str(record.get("message", ""))
