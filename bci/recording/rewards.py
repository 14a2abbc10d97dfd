"""Rewards of a session: each from its request to its end."""

import logging
from collections.abc import Mapping
from datetime import datetime

import msgspec

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.rewards import Reward, RewardFate, SessionRewards
from bci.recording.daily_cap import DailyCap
from bci.recording.reward_log import read_reward_log, reward_log_path
from bci.recording.session_record import Carries, SessionRecord

log = logging.getLogger("bci.rewards")


class RewardHistory(msgspec.Struct, frozen=True):
    """What became of one reward.

    Parameters
    ----------
    reward
        The reward; not ended if the record ends before it did.
    events
        Board events by kind, first of each.
    """

    reward: Reward
    events: Mapping[BoardEventKind, BoardEvent]


def rewards_of(record: SessionRecord) -> SessionRewards:
    """Every reward that was asked for, and how many there were."""
    rewards = SessionRewards()
    for decision in record.carrying(Carries.REWARD):
        if decision.reward is not None:
            rewards.ask(decision.reward)
    for event in record.board:
        rewards.take(event)
    return rewards


def reward_histories(record: SessionRecord) -> list[RewardHistory]:
    """Every reward with its board events, in the order in which they were asked for."""
    events: dict[int, dict[BoardEventKind, BoardEvent]] = {}
    for event in record.board:
        if RewardFate.of(event.kind) is not None:
            events.setdefault(event.request_id, {}).setdefault(event.kind, event)
    return [
        RewardHistory(reward, events.get(reward.request_id, {}))
        for reward in rewards_of(record).rewards
    ]


class DayVolumes(msgspec.Struct, frozen=True):
    """Volumes of a session and of its day, microlitres; rewards of unknown fate count as given.

    Parameters
    ----------
    task_ul, operator_ul
        Given in this session, by who asked for it.
    day_ul
        Given to the subject on the day of the session, in all sessions of the same folder, as the
        subject's reward log has it by now; None: the log cannot be read.
    cap_ul, operator_cap_ul
        `experiment.task.daily_cap_ul` and `operator_daily_cap_ul`; None: no cap.
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
    operator_cap_ul: float | None = None


def day_volumes(record: SessionRecord) -> DayVolumes:
    """What the subject got."""
    session, rewards = record.session, rewards_of(record)
    board, task = session.rig.board, session.experiment.task
    # the animal's day, wherever the file is read
    where = datetime.fromisoformat(record.manifest.started).tzinfo
    started = datetime.fromtimestamp(record.start.t_wall_ns / 1e9, where)
    day = DailyCap(task, board.kind, clock=lambda: started)
    try:
        day.read(read_reward_log(reward_log_path(record.folder, session.subject)))
        day_ul: float | None = day.given().volume_ul
    except OSError as error:
        # NWB and report must not fail because of a file beside the session
        log.warning("the volume of the day is not known: %s", error)
        day_ul = None
    calibrated_on = board.valve.calibrated_on
    return DayVolumes(
        task_ul=rewards.totals("task").volume_ul,
        operator_ul=rewards.totals("operator").volume_ul,
        day_ul=day_ul,
        cap_ul=task.daily_cap_ul,
        operator_cap_ul=task.operator_daily_cap_ul,
        ms_per_ul=board.valve.ms_per_ul,
        dead_ms=board.valve.dead_ms,
        calibrated_on=None if calibrated_on is None else calibrated_on.isoformat(),
    )
