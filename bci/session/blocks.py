"""What keeps a session from going on, in words for people."""

from bci.core.loop import ClosedLoop
from bci.core.loop_types import BlockKind, TaskState


def waits_for(loop: ClosedLoop) -> str:
    """What keeps the next block or trial from beginning; empty: nothing does."""
    if loop.state is not TaskState.WAITING:
        return ""
    coming = loop.blocks.kind or loop.blocks.next
    if coming is BlockKind.CLOSED_LOOP and not loop.decoder.labels:
        return "ensembles"
    if coming is BlockKind.CLOSED_LOOP and not loop.is_ready:
        return "threshold"
    if loop.blocks.kind is None and loop.blocks.due is None:
        return "operator"
    return "" if loop.is_settled else "F0 window"
