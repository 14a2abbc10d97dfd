"""A board that is a program of ours, run beside whoever wants to try it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bci.config.rig import Board as BoardSettings
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import PROCESSES

_START_S = 60.0
"""A chip may have to be compiled first."""
_END_S = 5.0
_POLL_S = 0.002


class _Link:
    """The line to a supervisor that is this process itself."""

    name = "board"
    token = ""
    """It gives no drop to an animal, and lasts for a trial."""

    def __init__(self) -> None:
        self.endpoints: dict[str, str] = {}
        self.stop = threading.Event()

    def turn(self) -> None:
        """Nobody watches."""

    def announce(self, endpoints: dict[str, str]) -> None:
        self.endpoints = self.endpoints | endpoints

    def peers(self) -> dict[str, str]:
        return self.endpoints

    def stop_requested(self) -> bool:
        return self.stop.is_set()

    def wait(self, timeout_s: float) -> None:
        self.stop.wait(timeout_s)

    def report(self, kind: str, detail: str = "") -> None:
        del kind, detail


@contextmanager
def hosted(settings: BoardSettings, edges: Path) -> Iterator[dict[str, str]]:
    """Run a simulated board or a chip while the block runs.

    Parameters
    ----------
    settings
        Of a board that is a process of ours.
    edges
        Takes every edge of its outputs.

    Yields
    ------
    dict
        Its endpoint, at `board`.

    Raises
    ------
    BoardError
        Where it does not start.
    """
    link = _Link()
    run = PROCESSES[settings.kind]
    thread = threading.Thread(target=run, args=(settings, link, edges, 0), name="board")
    thread.start()
    try:
        t_end = time.monotonic() + _START_S
        while not link.endpoints:
            if not thread.is_alive() or time.monotonic() > t_end:
                raise BoardError(f"the {settings.kind} board did not start")
            time.sleep(_POLL_S)
        yield link.endpoints
    finally:
        link.stop.set()
        thread.join(_END_S)
