"""Which page belongs to the moment of the day."""

from bci.core.loop_types import TaskState
from bci.gui.day import Phase

TRIALS = (TaskState.GREY, TaskState.RUN, TaskState.HIT, TaskState.BLACK, TaskState.MISS)


def page_of(phase: Phase, state: TaskState | None) -> str | None:
    """Title of the page on which the operator looks now; None: on the one before.

    Parameters
    ----------
    phase, state
        Of the day, and of the task; None before the first decision.
    """
    if phase is Phase.SETTING_UP:
        return "Rig"
    if phase is Phase.ENDED:
        return "End"
    if state is TaskState.BASELINE:
        return "Baseline"
    return "Session" if state in TRIALS else None
