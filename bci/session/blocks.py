"""What the blocks of a session begin with, and what they wait for."""

from math import nan

from bci.config.day import KnownThreshold
from bci.core.loop import ClosedLoop
from bci.core.loop_types import BlockKind, GuardLevels, TaskState, ThresholdSet


def threshold_of(known: KnownThreshold) -> ThresholdSet:
    """The event that tells the loop a T it has no baseline for."""
    guards = None
    if known.p_minus_max is not None or known.others_min:
        below = nan if known.p_minus_max is None else known.p_minus_max
        guards = GuardLevels(below, known.others_min)
    median = nan if known.baseline_median is None else known.baseline_median
    return ThresholdSet(known.t, known.lo, median, known.origin, guards, known.raised_from)


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
