"""Drops without a session: one by hand, a train to flush the line, series to be weighed."""

import time
from collections.abc import Callable

from bci.config.rig import Valve
from bci.core.board_types import BoardEventKind, RewardRequest
from bci.hardware.board.interface import Board, BoardError

LEAST_GAP_S = 0.05
_TURN_S = 0.005
_END_S = 10.0
_ENDS = (
    BoardEventKind.REWARD_DONE,
    BoardEventKind.REWARD_FAILED,
    BoardEventKind.REWARD_UNKNOWN,
)


def drop_fault(open_ms: float, valve: Valve) -> str:
    """Why the valve may not be opened for so long; empty: it may."""
    if 0 < open_ms <= valve.max_open_ms:
        return ""
    return f"{open_ms:g} ms: must be above 0 and at most {valve.max_open_ms:g} ms (max_open_ms)"


def period_s(open_ms: float, valve: Valve) -> float:
    """From one drop of a train to the next, so that the board's duty limit is never met."""
    return max(open_ms / 1e3 / valve.max_duty * 1.02, open_ms / 1e3 + LEAST_GAP_S)


def give_drops(
    board: Board,
    valve: Valve,
    open_ms: float,
    n: int,
    first_id: int = 1,
    tell: Callable[[int], None] = lambda _: None,
) -> float:
    """Give drops one after the other, each waited for; milliseconds the valve was open in all.

    Parameters
    ----------
    board
        Open and greeted.
    valve
        Its settings.
    open_ms, n
        Opening time of each, and how many.
    first_id
        Request id of the first; no id is used twice on one line.
    tell
        Called with how many have been given.

    Raises
    ------
    BoardError
        Where one was not given; nothing follows it.
    """
    opened_us = 0.0
    for i in range(n):
        t_next_s = time.monotonic() + period_s(open_ms, valve)
        opened_us += _give(
            board, RewardRequest(first_id + i, valve.volume_ul(open_ms), 0, "operator")
        )
        tell(i + 1)
        while i + 1 < n and time.monotonic() < t_next_s:
            board.turn()
            time.sleep(_TURN_S)
    return opened_us / 1e3


def _give(board: Board, request: RewardRequest) -> float:
    board.reward(request)
    t_end_s = time.monotonic() + _END_S
    while time.monotonic() < t_end_s:
        board.turn()
        for event in board.events():
            if event.request_id != request.request_id or event.kind not in _ENDS:
                continue
            if event.kind is BoardEventKind.REWARD_DONE:
                return event.value
            raise BoardError(f"drop {request.request_id}: {event.kind.value} {event.detail}")
        time.sleep(_TURN_S)
    raise BoardError(f"drop {request.request_id}: the board told no end within {_END_S:g} s")
