"""Rewards of a session: each from its request to its end."""

from collections.abc import Mapping

import msgspec

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.recording.session_record import SessionRecord

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
        Volume asked for by the task; what the opening time comes to for an operator's.
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
    us_per_ul = record.session.rig.board.valve.ms_per_ul * 1000
    histories = []
    for request_id, kinds in events.items():
        request = asked.get(request_id)
        fate = next((end for kind, end in ENDS.items() if kind in kinds), "open")
        opened_us = kinds[K.REWARD_DONE].value if K.REWARD_DONE in kinds else 0.0
        histories.append(
            RewardHistory(
                request_id,
                request.trial if request else 0,
                request.origin if request else "operator",
                request.volume_ul if request else opened_us / us_per_ul,
                kinds,
                fate,
            )
        )
    return histories
