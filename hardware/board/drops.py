"""Drops without a session: one by hand, a train to flush the line, series to be weighed."""

import time
from collections.abc import Callable

from bci.config.rig import Valve
from bci.core.board_types import BoardEvent, RewardRequest
from bci.core.rewards import RewardFate, SessionRewards
from bci.hardware.board.interface import Board, BoardError
from bci.recording.reward_log import RewardLog, local_now

LEAST_GAP_S = 0.05
_TURN_S = 0.005
_END_S = 10.0


def drop_fault(open_ms: float, valve: Valve) -> str:
    """Why the valve may not be opened for so long; empty: it may."""
    if 0 < open_ms <= valve.max_open_ms:
        return ""
    return f"{open_ms:g} ms: must be above 0 and at most {valve.max_open_ms:g} ms (max_open_ms)"


def period_s(open_ms: float, valve: Valve) -> float:
    """From one drop of a train to the next, so that the board's duty limit is never met."""
    return max(open_ms / 1e3 / valve.max_duty * 1.02, open_ms / 1e3 + LEAST_GAP_S)


class Drops:
    """Gives drops one after the other, each on record and waited for.

    Parameters
    ----------
    board
        Open and greeted; made with `log`.
    valve
        Its settings.
    log
        Gets the end of each drop.
    origin
        operator, flush or calibration.

    Attributes
    ----------
    log
        As given.
    """

    def __init__(self, board: Board, valve: Valve, log: RewardLog, origin: str) -> None:
        self._board = board
        self._valve = valve
        self.log = log
        self._origin = origin
        self._rewards = SessionRewards()

    def give(self, open_ms: float, n: int, tell: Callable[[int], None] = lambda _: None) -> float:
        """Give drops of one size; milliseconds the valve was open in all.

        Parameters
        ----------
        open_ms, n
            Opening time of each, and how many.
        tell
            Called with how many have been given.

        Raises
        ------
        BoardError
            If one was not given; nothing follows it.
        """
        opened_us = 0.0
        for i in range(n):
            t_next_s = time.monotonic() + period_s(open_ms, self._valve)
            opened_us += self._give(self._valve.volume_ul(open_ms))
            tell(i + 1)
            while i + 1 < n and time.monotonic() < t_next_s:
                self._board.turn()
                time.sleep(_TURN_S)
        return opened_us / 1e3

    def close(self) -> None:
        """Shut the board, and write what became of a drop that was still under way."""
        self._board.close()
        self._hear()
        self.log.flush()

    def _give(self, volume_ul: float) -> float:
        request = RewardRequest(len(self._rewards) + 1, volume_ul, 0, self._origin)
        self._rewards.ask(request)
        self._board.reward(request)
        t_end_s = time.monotonic() + _END_S
        while time.monotonic() < t_end_s:
            self._board.turn()
            for event in self._hear():
                if event.request_id != request.request_id:
                    continue
                if event.kind is RewardFate.DONE.event:
                    return event.value
                raise BoardError(f"drop {request.request_id}: {event.kind.value} {event.detail}")
            time.sleep(_TURN_S)
        raise BoardError(f"drop {request.request_id}: the board told no end within {_END_S:g} s")

    def _hear(self) -> list[BoardEvent]:
        """Events that ended a drop."""
        ended = []
        for event in self._board.events():
            reward = self._rewards.take(event)
            if reward is not None and reward.fate.ended:
                self.log.end(reward, local_now())
                ended.append(event)
        if ended:
            self.log.flush()
        return ended
