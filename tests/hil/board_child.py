"""Processes that the board tests start: a board, and a host that can be killed."""

import sys
import time
from pathlib import Path

import msgspec

from bci.config.rig import Board
from bci.core.board_types import RewardRequest
from hardware.board.kinds import PROCESSES, open_board


class FileLink:
    """A link whose announcements are a file and whose stop is the end of stdin's writer."""

    name = "board"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._endpoints: dict[str, str] = {}

    def turn(self) -> None:
        pass

    def announce(self, endpoints: dict[str, str]) -> None:
        self._endpoints.update(endpoints)
        fresh = self._folder / "endpoints.new"
        fresh.write_bytes(msgspec.json.encode(self._endpoints))
        fresh.replace(self._folder / "endpoints.json")

    def peers(self) -> dict[str, str]:
        path = self._folder / "endpoints.json"
        return msgspec.json.decode(path.read_bytes()) if path.exists() else {}

    def stop_requested(self) -> bool:
        return (self._folder / "stop").exists()

    def wait(self, timeout_s: float) -> None:
        time.sleep(timeout_s)

    def report(self, kind: str, detail: str = "") -> None:
        del kind, detail


def board(folder: Path) -> None:
    settings = Board.model_validate_json((folder / "board.json").read_bytes())
    PROCESSES[settings.kind](settings, FileLink(folder), folder / "board-edges.jsonl", 0)


def host(folder: Path) -> None:
    """Ask for the longest reward and go on turning until killed."""
    settings = Board.model_validate_json((folder / "board.json").read_bytes())
    opened = open_board(settings, FileLink(folder).peers, timeout_s=20.0)
    opened.reward(RewardRequest(1, 95.0, trial=1))
    while True:
        opened.turn()
        time.sleep(0.01)


if __name__ == "__main__":
    {"board": board, "host": host}[sys.argv[1]](Path(sys.argv[2]))
