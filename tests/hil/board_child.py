"""Processes that the board tests start: a board, and a host that can be killed."""

import sys
import time
from pathlib import Path

import msgspec
import psutil

from bci.config.rig import Board
from bci.core.board_types import BoardEventKind, RewardRequest
from bci.hardware.board.kinds import PROCESSES, open_board


class FileLink:
    """A link whose announcements are a file and whose stop is the end of stdin's writer."""

    name = "board"
    token = ""

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
    """Ask for the longest reward, and be killed when it has begun, the time of it on file."""
    settings = Board.model_validate_json((folder / "board.json").read_bytes())
    opened = open_board(settings, FileLink(folder).peers, timeout_s=20.0)
    opened.reward(RewardRequest(1, 95.0, trial=1))
    begun = (BoardEventKind.REWARD_ACKNOWLEDGED, BoardEventKind.REWARD_UNKNOWN)
    while not any(event.kind in begun for event in opened.events()):
        opened.turn()
        time.sleep(0.002)
    (folder / "killed_ns").write_text(str(time.perf_counter_ns()))
    psutil.Process().kill()


if __name__ == "__main__":
    {"board": board, "host": host}[sys.argv[1]](Path(sys.argv[2]))
