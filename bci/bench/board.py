"""`bci bench board`: from a reward decided to the valve's edge, and the widths of pulses."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from bci.bench.sessions import BenchFailed
from bci.bench.table import Bench, Row, make_bench
from bci.config.rig import Board as BoardSettings
from bci.core.board_types import RewardRequest
from bci.hardware.board.hosted import hosted
from bci.hardware.board.interface import Board, BoardError
from bci.hardware.board.kinds import open_board

EDGE_MS = 5.0
WIDTH_US = 20.0
WIDTHS_MS = (1.0, 5.0, 20.0, 50.0)
_TURN_S = 0.002
_END_S = 5.0


def bench_board(
    kind: Literal["chip", "simulated"] = "chip",
    n_rewards: int = 200,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Give rewards through the line and compare with the edges of the valve.

    Parameters
    ----------
    kind
        The compiled firmware in simavr at the pace of real time, or the simulated board.
    n_rewards
        How many, of 1 to 50 ms.
    tell
        Called with what runs now.
    """
    tell(f"{n_rewards} rewards through a {kind} board")
    settings = BoardSettings(kind=kind, valve={"ms_per_ul": 1.0, "max_duty": 1.0})
    with TemporaryDirectory() as name:
        edges = Path(name) / "board-edges.jsonl"
        with _running(settings, edges) as board:
            decided_ns = [_give(board, i + 1) for i in range(n_rewards)]
        pulses = _pulses(edges)
    if len(pulses) != n_rewards:
        raise BenchFailed(f"{n_rewards} rewards, {len(pulses)} pulses")
    opened_ns = np.array([up["t_perf_ns"] for up, _ in pulses])
    asked_us = [1000 * WIDTHS_MS[i % len(WIDTHS_MS)] for i in range(n_rewards)]
    errors_us = [
        abs(_us(down) - _us(up) - asked) for (up, down), asked in zip(pulses, asked_us, strict=True)
    ]
    rows = [
        Row.of("decided_to_edge", "ms", (opened_ns - decided_ns) * 1e-6, {"p99": EDGE_MS}),
        Row.of("width, off what was asked", "us", errors_us, {"max": WIDTH_US}),
    ]
    return make_bench("board", {"kind": kind, "n_rewards": n_rewards}, rows)


@contextmanager
def _running(settings: BoardSettings, edges: Path) -> Iterator[Board]:
    try:
        with hosted(settings, edges) as peers:
            board = open_board(settings, lambda: peers)
            try:
                yield board
            finally:
                board.close()
    except BoardError as error:
        raise BenchFailed(str(error)) from error


def _give(board: Board, request_id: int) -> int:
    """One reward, waited for to its end; when it was decided, in ns of `perf_counter`."""
    volume_ul = WIDTHS_MS[(request_id - 1) % len(WIDTHS_MS)]
    decided_ns = time.perf_counter_ns()
    board.reward(RewardRequest(request_id, volume_ul, trial=request_id))
    t_end = time.monotonic() + _END_S
    while board.pending():
        if time.monotonic() > t_end:
            raise BenchFailed(f"reward {request_id} did not end")
        board.turn()
        time.sleep(_TURN_S)
    board.events()
    return decided_ns


def _pulses(path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    edges = [edge for edge in lines if edge["pin"] == "valve"]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _us(edge: dict[str, Any]) -> float:
    """Cycles of the chip where there are some, at 16 MHz."""
    return float(edge["cycle"]) / 16 if "cycle" in edge else float(edge["t_device_us"])
