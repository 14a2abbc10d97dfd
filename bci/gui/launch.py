"""Starting a session as processes of its own, which outlive the window."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bci.core.messages import NotAMessage, read_message
from bci.program import child_environment, python_command
from bci.session.check import Check

_ANNOUNCED = msgspec.json.Decoder(dict[str, str])
LAST_LINES = 30


class Launch:
    """`bci run --headless` or the like, in a process group of its own.

    Parameters
    ----------
    arguments
        Of the command line, from the verb on.
    preflight
        Checks that were made before, to be stored with the session.
    """

    def __init__(self, arguments: Sequence[str], preflight: Sequence[Check] = ()) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="bci-"))
        self._announced = self._place / "session.json"
        self._output = self._place / "output.txt"
        command = python_command("bci.cli", *arguments, "--headless")
        command.append(f"--announce={self._announced}")
        if preflight:
            made = self._place / "preflight.json"
            made.write_bytes(msgspec.json.encode(list(preflight)))
            command.append(f"--preflight={made}")
        with self._output.open("wb") as output:
            # a file and no pipe: nobody reads along once the window has gone
            self._process = subprocess.Popen(
                command,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=sys.platform != "win32",
                creationflags=_detached(),
            )

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self._process.pid

    def folder(self) -> Path | None:
        """The session's folder, once it was made."""
        try:
            return Path(read_message(_ANNOUNCED, self._announced.read_bytes())["folder"])
        except (OSError, NotAMessage, KeyError):
            return None

    def exit_code(self) -> int | None:
        """Of the session; None while it runs."""
        return self._process.poll()

    def failure(self) -> list[str]:
        """What it said, where it ended before it had a folder."""
        if self.exit_code() is None or self.folder() is not None:
            return []
        lines = self._output.read_text("utf-8", errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()][-LAST_LINES:]

    def forget(self) -> bool:
        """Throw away what was noted of a session that has ended; False where it still runs."""
        if self.exit_code() is None:
            return False
        shutil.rmtree(self._place, ignore_errors=True)
        return True


def _detached() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0
