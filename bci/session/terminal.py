"""A terminal that may go away while the session runs."""

import os
from contextlib import suppress
from io import TextIOBase
from typing import IO


class LastingTerminal(TextIOBase):
    """Passes text on; once nobody reads any more it is dropped, and nothing fails.

    A closed window or `| head` must not end a session, nor its exit code.

    Parameters
    ----------
    file
        Where text goes, such as `sys.stdout`.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

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
        """Pass text on."""
        try:
            self._file.write(text)
        except OSError:
            self._let_go()
        return len(text)

    def flush(self) -> None:
        """Pass on what was kept back."""
        try:
            self._file.flush()
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        # what the file keeps back is written once more when the interpreter ends
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)
