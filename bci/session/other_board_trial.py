"""A board of another maker tried out: who it is, what it lacks, one drop."""

import time
from collections.abc import Iterator

from bci.config.session import Session
from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.hardware.board.interface import Board, BoardError
from bci.hardware.board.kinds import DIALECTS, open_board
from bci.session.check import Check, Status

END_S = 10.0
TURN_S = 0.005
ENDS = (
    BoardEventKind.REWARD_DONE,
    BoardEventKind.REWARD_FAILED,
    BoardEventKind.REWARD_UNKNOWN,
)


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
    board.reward(RewardRequest(1, volume_ul, trial=0, origin="operator"))
    ends: list[BoardEvent] = []
    t_end = time.monotonic() + END_S
    while not ends and time.monotonic() < t_end:
        board.turn()
        ends = [event for event in board.events() if event.kind in ENDS]
        time.sleep(TURN_S)
    if not ends:
        return Check("valve", Status.FAIL, "the reward did not end", "look at cable and power")
    [end] = ends
    if end.kind is BoardEventKind.REWARD_DONE:
        return Check("valve", Status.OK, f"{volume_ul:g} µl, open for {end.value / 1000:g} ms")
    if end.kind is BoardEventKind.REWARD_UNKNOWN:
        message = f"{volume_ul:g} µl: {end.detail}"
        return Check("valve", Status.WARN, message, "look whether a drop came")
    return Check("valve", Status.FAIL, end.detail, "see rig.board")
