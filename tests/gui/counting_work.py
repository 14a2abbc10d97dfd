"""What a process is asked in tests."""

import sys
from pathlib import Path
from threading import Event


class Work:
    """Remembers, refuses, waits."""

    def __init__(self) -> None:
        self._n = 0

    def count(self, by: int) -> int:
        sys.stdout.write("a library that talks\n")
        self._n += by
        return self._n

    def refuse(self) -> None:
        raise FileNotFoundError(2, "no such file", "traces.npy")

    def wait(self, begun: Path) -> None:
        begun.touch()
        Event().wait()
