"""Settles drops whose end is not in the reward log: from the journal, and from the board."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from bci.core.rewards import BoardReward, RewardFate
from bci.recording.reward_log import (
    RewardLine,
    RewardLog,
    board_session,
    read_reward_log,
    reward_log_path,
    unsettled,
)
from bci.recording.rewards import RewardHistory, reward_histories
from bci.recording.session_record import SessionRecord


def settle_from_journal(folder: Path) -> tuple[int, list[RewardLine]]:
    """Write what the reward log lacks of a session that is over; a second call writes nothing.

    Parameters
    ----------
    folder
        Folder of the session; its journal is whole, or has been recovered.

    Returns
    -------
    tuple
        How many lines were added, and the drops whose end neither log nor journal holds: the board
        may know, see `settle_from_board`.

    Raises
    ------
    bci.recording.manifest.NoManifest
        If manifest.json is missing or unreadable.
    FileNotFoundError
        If there is no journal.
    bci.recording.contents.DamagedJournal
        If a record of the journal is damaged.
    OSError
        If the log cannot be read or written.
    """
    record = SessionRecord.read(folder)
    session = record.session
    if session.rig.stream.delivery == "lossless" and session.rig.board.kind == "simulated":
        return 0, []
    path, name = reward_log_path(folder, session.subject), record.start.session
    own = [line for line in read_reward_log(path) if line.session == name]
    fates = {line.request_id: line.state for line in own}
    added = [
        RewardLine(
            time=_ended_at(record, history),
            session=name,
            request_id=reward.request_id,
            origin=reward.origin,
            trial=reward.trial,
            volume_ul=reward.volume_ul,
            # the journal may have ended before the sending was on file
            state=reward.fate if reward.fate.ended else RewardFate.UNKNOWN,
            board=session.rig.board.kind,
        )
        for history in reward_histories(record)
        if (reward := history.reward).request_id not in fates
        or (reward.fate.ended and not fates[reward.request_id].ended)
    ]
    with RewardLog(path, name, session.rig.board.kind) as log:
        log.settle(added)
    return len(added), unsettled([*own, *added])


def settle_from_board(
    log: RewardLog, lines: Iterable[RewardLine], remembered: Sequence[BoardReward] | None
) -> list[RewardLine]:
    """Write the end of drops of which only a board can know; those lines.

    What the board does not remember was perhaps given: it is `unknown`, and counts.

    Parameters
    ----------
    log
        Takes the lines.
    lines
        Drops that were sent, as of `unsettled`.
    remembered
        What the board tells of its last rewards; None: it keeps none.

    Raises
    ------
    OSError
        If the log cannot be written.
    """
    fates = {(one.session, one.request_id): one.fate for one in remembered or ()}
    ended = []
    for line in lines:
        fate = fates.get((board_session(line.session), line.request_id), RewardFate.UNKNOWN)
        if not fate.ended:
            fate = RewardFate.UNKNOWN
        # it began at this time, and no pulse is long
        ended.append(msgspec.structs.replace(line, state=fate))
    log.settle(ended)
    return ended


def _ended_at(record: SessionRecord, history: RewardHistory) -> str:
    start = record.start
    told_ns = [event.t_host_ns for event in history.events.values()]
    passed_ns = max(max(told_ns, default=0) - start.t_perf_ns, 0)
    t_s = (start.t_wall_ns + passed_ns) / 1e9
    return datetime.fromtimestamp(t_s).astimezone().isoformat(timespec="milliseconds")
