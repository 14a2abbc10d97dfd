"""Rewards of a session: each from its request to its end."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.recording.reward_ledger import ledger_path, read_ledger, volume_on
from bci.recording.session_record import SessionRecord

log = logging.getLogger("bci.rewards")

K = BoardEventKind
REWARD_KINDS = (
    K.REWARD_REQUESTED,
    K.REWARD_SENT,
    K.REWARD_ACKNOWLEDGED,
    K.REWARD_DONE,
    K.REWARD_FAILED,
    K.REWARD_UNKNOWN,
)
ENDS = {K.REWARD_DONE: "done", K.REWARD_FAILED: "failed", K.REWARD_UNKNOWN: "unknown"}


class RewardHistory(msgspec.Struct, frozen=True):
    """What became of one reward.

    Parameters
    ----------
    request_id, trial
        As asked for; trial 0: none earned it.
    origin
        task or operator.
    volume_ul
        Volume asked for.
    events
        Board events by kind, first of each.
    fate
        done, failed, unknown, or open: the record ends before it did.
    """

    request_id: int
    trial: int
    origin: str
    volume_ul: float
    events: Mapping[BoardEventKind, BoardEvent]
    fate: str

    @property
    def given(self) -> bool:
        """Done, or begun and never known to have ended."""
        return self.fate in ("done", "unknown")


def reward_histories(record: SessionRecord) -> list[RewardHistory]:
    """Every reward that was asked for, in the order in which they were."""
    asked = {d.reward.request_id: d.reward for d in record.decisions if d.reward is not None}
    events: dict[int, dict[BoardEventKind, BoardEvent]] = {request: {} for request in asked}
    for event in record.board:
        if event.kind in REWARD_KINDS:
            events.setdefault(event.request_id, {}).setdefault(event.kind, event)
    histories = []
    for request_id, kinds in events.items():
        request = asked.get(request_id)
        fate = next((end for kind, end in ENDS.items() if kind in kinds), "open")
        told = kinds.get(K.REWARD_REQUESTED)
        histories.append(
            RewardHistory(
                request_id,
                request.trial if request else 0,
                request.origin if request else "operator",
                request.volume_ul if request else (told.value if told else 0.0),
                kinds,
                fate,
            )
        )
    return histories


class RewardTotals(msgspec.Struct, frozen=True):
    """Volumes of a session and of its day, microlitres; rewards of unknown fate count as given.

    Parameters
    ----------
    task_ul, operator_ul
        Given in this session, by who asked for it.
    day_ul
        Given to the subject on the day of the session, in all sessions of the same folder, as the
        subject's ledger has it by now; None: the ledger cannot be read.
    cap_ul
        `experiment.task.daily_cap_ul`; None: no cap.
    ms_per_ul, dead_ms, calibrated_on
        Of the valve, `rig.board.valve`; None: never calibrated.
    """

    task_ul: float
    operator_ul: float
    day_ul: float | None
    cap_ul: float | None
    ms_per_ul: float
    dead_ms: float
    calibrated_on: str | None


def reward_totals(record: SessionRecord, histories: Sequence[RewardHistory]) -> RewardTotals:
    """What the subject got."""
    session = record.session
    board, task = session.rig.board, session.experiment.task
    # the animal's day, wherever the file is read
    where = datetime.fromisoformat(record.manifest.started).tzinfo
    day = datetime.fromtimestamp(record.start.t_wall_ns / 1e9, where).date()
    of_origin = {
        origin: sum(one.volume_ul for one in histories if one.given and one.origin == origin)
        for origin in ("task", "operator")
    }
    try:
        lines = read_ledger(ledger_path(record.folder, session.subject))
        day_ul: float | None = volume_on(lines, day, board.kind)
    except OSError as error:
        # NWB and report must not fail because of a file beside the session
        log.warning("the volume of the day is not known: %s", error)
        day_ul = None
    calibrated_on = board.valve.calibrated_on
    return RewardTotals(
        task_ul=of_origin["task"],
        operator_ul=of_origin["operator"],
        day_ul=day_ul,
        cap_ul=task.daily_cap_ul,
        ms_per_ul=board.valve.ms_per_ul,
        dead_ms=board.valve.dead_ms,
        calibrated_on=None if calibrated_on is None else calibrated_on.isoformat(),
    )
