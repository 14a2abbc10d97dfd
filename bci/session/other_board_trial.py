"""A board of another maker tried out: who it is, what it lacks, one drop."""

import time
from collections.abc import Iterator

from bci.config.session import Session
from bci.core.board_types import RewardRequest
from bci.core.rewards import RewardFate, SessionRewards
from bci.hardware.board.interface import Board, BoardError
from bci.hardware.board.kinds import DIALECTS, open_board
from bci.session.check import Check, Status

END_S = 10.0
TURN_S = 0.005


def other_board_checks(session: Session) -> Iterator[Check]:
    """Identity, what this program's own board has and this one has not, one drop."""
    settings = session.rig.board
    try:
        board = open_board(settings, dict)
    except BoardError as error:
        yield Check("identity", Status.FAIL, str(error), "look at cable, power and rig.board")
        return
    try:
        identity = board.identity
        yield Check("identity", Status.OK, identity.text if identity is not None else "there")
        lacks = "; ".join(DIALECTS[settings.kind](settings).LACKS)
        yield Check("safety", Status.WARN, f"it lacks {lacks}", "docs/other-boards.md")
        yield _valve(board, session.experiment.task.reward_ul)
    finally:
        board.close()


def _valve(board: Board, volume_ul: float) -> Check:
    rewards = SessionRewards()
    board.reward(RewardRequest(1, volume_ul, trial=0, origin="operator"))
    t_end = time.monotonic() + END_S
    while time.monotonic() < t_end:
        board.turn()
        for event in board.events():
            reward = rewards.take(event)
            if reward is None or not reward.fate.ended:
                continue
            if reward.fate is RewardFate.DONE:
                message = f"{volume_ul:g} µl, open for {event.value / 1000:g} ms"
                return Check("valve", Status.OK, message)
            if reward.fate.counts_as_given:
                message = f"{volume_ul:g} µl: {event.detail}"
                return Check("valve", Status.WARN, message, "look whether a drop came")
            return Check("valve", Status.FAIL, event.detail, "see rig.board")
        time.sleep(TURN_S)
    return Check("valve", Status.FAIL, "the reward did not end", "look at cable and power")
