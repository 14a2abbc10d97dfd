"""Rewards of a session that broke off, brought from its journal into the subject's ledger."""

from datetime import datetime
from pathlib import Path

from bci.recording.reward_ledger import RewardLine, append_lines, ledger_path, read_ledger
from bci.recording.rewards import REWARD_KINDS, RewardHistory, reward_histories
from bci.recording.session_record import SessionRecord


def settle_rewards(folder: Path) -> int:
    """Write what the ledger lacks of a session that is over; a second call does nothing.

    A reward whose end the journal does not hold was perhaps given: it is `unknown`, and counts.
    One that was never sent has `failed`.

    Parameters
    ----------
    folder
        Folder of the session; its journal is whole, or has been recovered.

    Returns
    -------
    int
        How many rewards were added.

    Raises
    ------
    bci.recording.manifest.NoManifest
        Where manifest.json is missing or unreadable.
    FileNotFoundError
        Where there is no journal.
    bci.recording.session_record.DamagedJournal
        Where a record of the journal is damaged.
    """
    record = SessionRecord.read(folder)
    session = record.session
    if session.rig.stream.delivery == "lossless" and session.rig.board.kind == "simulated":
        return 0
    name, path = record.start.session, ledger_path(folder, session.subject)
    known = {line.request_id for line in read_ledger(path) if line.session == name}
    missing = [
        RewardLine(
            time=_ended_at(record, history),
            session=name,
            request_id=history.request_id,
            origin=history.origin,
            trial=history.trial,
            volume_ul=history.volume_ul,
            state=_state(history),
            board=session.rig.board.kind,
        )
        for history in reward_histories(record)
        if history.request_id not in known
    ]
    if missing:
        append_lines(path, missing)
    return len(missing)


def _state(history: RewardHistory) -> str:
    if history.fate != "open":
        return history.fate
    # the journal may have ended before the sending was on file
    return "unknown"


def _ended_at(record: SessionRecord, history: RewardHistory) -> str:
    start = record.start
    told_ns = [history.events[kind].t_host_ns for kind in REWARD_KINDS if kind in history.events]
    passed_ns = max(max(told_ns, default=0) - start.t_perf_ns, 0)
    t_s = (start.t_wall_ns + passed_ns) / 1e9
    return datetime.fromtimestamp(t_s).astimezone().isoformat(timespec="milliseconds")
