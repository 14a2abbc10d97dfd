"""A chip bench at the pace of real time, its pins driven while it runs."""

import json
import subprocess
from pathlib import Path
from typing import Any

from waiting import WAIT_S
from whole_lines import whole_lines


class Bench:
    """A chip bench at the pace of real time."""

    def __init__(self, chip: tuple[Path, Path], folder: Path) -> None:
        program, firmware = chip
        self.edges_path = folder / "edges.jsonl"
        self.lost_path = folder / "lost.jsonl"
        self.command = [
            str(program),
            f"--elf={firmware}",
            f"--edges={self.edges_path}",
            f"--eeprom={folder / 'eeprom.bin'}",
            f"--lost={self.lost_path}",
        ]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.told = json.loads(self.process.stdout.readline())

    def script(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def edges(self) -> list[dict[str, Any]]:
        return whole_lines(self.edges_path)

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        return code
