"""What the valve of a simulated board did, edge by edge."""

from pathlib import Path

from whole_lines import whole_lines


def edges(folder: Path) -> list[dict[str, int]]:
    """Of a running session those so far."""
    return [edge for edge in whole_lines(folder / "board-edges.jsonl") if edge["pin"] == "valve"]


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
