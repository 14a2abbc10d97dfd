"""What the valve of a simulated board did, edge by edge."""

import json
from pathlib import Path


def edges(folder: Path) -> list[dict[str, int]]:
    # the board may be at its last line
    whole, _, _ = (folder / "board-edges.jsonl").read_text("utf-8").rpartition("\n")
    lines = whole.splitlines()
    return [edge for line in lines if (edge := json.loads(line))["pin"] == "valve"]


def openings(folder: Path) -> int:
    return sum(edge["level"] for edge in edges(folder))


def longest_open_s(folder: Path) -> float:
    """Longest time between an edge up and the next down; infinite where it was left open."""
    longest, opened_us = 0.0, None
    for edge in edges(folder):
        if edge["level"]:
            opened_us = edge["t_device_us"]
        elif opened_us is not None:
            longest = max(longest, (edge["t_device_us"] - opened_us) * 1e-6)
            opened_us = None
    return float("inf") if opened_us is not None else longest
