"""Asks a board what became of drops whose end is on no record."""

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from bci.hardware.board.hosted import hosted
from bci.hardware.board.interface import Board, BoardError
from bci.hardware.board.kinds import PROCESSES, open_board
from bci.recording.folder import EDGES
from bci.recording.manifest import read_manifest
from bci.recording.reward_log import RewardLine, RewardLog, reward_log_path, unsettled
from bci.recording.settled_rewards import settle_from_board, settle_from_journal

log = logging.getLogger("bci.rewards")


def settle_at_opening(
    rewards: RewardLog, lines: Iterable[RewardLine], board: Board, kind: str
) -> None:
    """Settle drops of earlier sessions with the board that was just opened, before any reward.

    Parameters
    ----------
    rewards
        Log of the session that begins.
    lines
        Of the log so far.
    board
        Open and greeted.
    kind
        `rig.board.kind`; a board that is a process of ours remembers its own session alone.
    """
    sent = [line for line in unsettled(lines) if line.board == kind]
    if not sent or kind in PROCESSES:
        return
    try:
        settled = settle_from_board(rewards, sent, board.recall())
    except (BoardError, OSError) as error:
        log.warning("%d drops stay unsettled and count as given: %s", len(sent), error)
        return
    for line in settled:
        log.warning(
            "a drop of %g ul in session %s, whose end was on no record: %s",
            line.volume_ul,
            line.session,
            line.state,
        )


def settle_session(folder: Path) -> int:
    """Bring the rewards of a session that broke off into the subject's log; how many lines.

    From its journal, and from its board if that can be opened: what only a board knows that is
    not there stays as sent, which counts, until the next session opens it.

    Raises
    ------
    bci.recording.manifest.NoManifest, FileNotFoundError, OSError
        As in `settle_from_journal`.
    bci.recording.contents.DamagedJournal
        As in `settle_from_journal`.
    """
    added, sent = settle_from_journal(folder)
    if not sent:
        return added
    session = read_manifest(folder).session_settings()
    settings = session.rig.board
    try:
        with ExitStack() as stack:
            peers: dict[str, str] = {}
            if settings.kind in PROCESSES:
                peers = stack.enter_context(hosted(settings, folder / EDGES))
            board = open_board(settings, lambda: peers)
            stack.callback(board.close)
            remembered = board.recall()
    except (BoardError, OSError) as error:
        log.warning("%d drops stay unsettled and count as given: %s", len(sent), error)
        return added
    path = reward_log_path(folder, session.subject)
    with RewardLog(path, f"settled {folder.name}", settings.kind) as rewards:
        return added + len(settle_from_board(rewards, sent, remembered))
