"""When the blocks of a session were."""

import msgspec

from bci.core.blocks import block_label
from bci.core.loop_types import BlockKind, BlockTurn
from bci.recording.performance import time_of
from bci.recording.session_record import LARGEST_ID, Carries, SessionRecord
from bci.recording.time_axis import TimeAxis


class BlockSpan(msgspec.Struct, frozen=True):
    """One block on the session's clock.

    Parameters
    ----------
    number
        In the session, from 1.
    label
        Its kind or, if it has trials, their session type.
    start_s, stop_s
        From its first frame to the first one after it, one frame at least; to the last frame if
        the session ended in it.
    whole
        False where the session ended in it.
    """

    number: int
    kind: BlockKind
    label: str
    start_s: float
    stop_s: float
    whole: bool


def block_spans(record: SessionRecord, axis: TimeAxis) -> list[BlockSpan]:
    """All blocks that had a frame, in order."""
    begun: dict[int, BlockTurn] = {}
    over: dict[int, BlockTurn] = {}
    for decision in record.carrying(Carries.BLOCKS):
        for turn in decision.blocks:
            (begun if turn.begins else over).setdefault(turn.number, turn)
    time = time_of(record)
    last_id = min(time.last_id, LARGEST_ID - 1)
    spans = []
    for number, turn in begun.items():
        end = over.get(number)
        # one that began before the first frame knows nothing of its id
        first_id = min(max(turn.frame_id, time.first_id), LARGEST_ID - 1)
        stop_id = min(end.frame_id, LARGEST_ID) if end is not None else last_id
        if first_id > last_id:
            continue
        start_s, stop_s = axis.seconds([first_id, max(stop_id, first_id + 1)]).tolist()
        label = block_label(turn.kind, record.session.experiment.session_type)
        spans.append(BlockSpan(number, turn.kind, label, start_s, stop_s, end is not None))
    return spans
