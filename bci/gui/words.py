"""How times and states are told to the operator."""

from datetime import datetime

from bci.core.loop_types import TaskState
from bci.gui import theme
from bci.recording.records import JournalStart

STATES: dict[TaskState, tuple[str, str]] = {
    TaskState.WAITING: ("waiting", theme.GREY),
    TaskState.BASELINE: ("baseline", theme.PURPLE),
    TaskState.GREY: ("grey", theme.GREY),
    TaskState.RUN: ("running", theme.SKY),
    TaskState.HIT: ("HIT", theme.GREEN),
    TaskState.BLACK: ("black", theme.GREY),
    TaskState.MISS: ("miss", theme.ORANGE),
    TaskState.PAUSED: ("PAUSED", theme.YELLOW),
    TaskState.DONE: ("done", theme.TEXT),
}
"""Word and colour of each state of the task."""


def state_words(state: TaskState | None) -> tuple[str, str]:
    """Word and colour of a state, one that is not known here included."""
    if state is None:
        return "–", theme.GREY
    return STATES.get(state, (state.name.lower(), theme.TEXT))


def clock(seconds: float) -> str:
    """A duration: 4:05, or 1:04:05 from an hour on; – where unknown."""
    if not seconds >= 0:
        return "–"
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def moment(seconds: float) -> str:
    """A place on the session's clock, as `clock` writes it, with a minus before its start."""
    return f"−{clock(-seconds)}" if seconds <= -1 else clock(max(0.0, seconds))


def time_of_day(t_ns: int, start: JournalStart | None) -> str:
    """Local time of a `time.perf_counter_ns` of the session, such as 14:03:05."""
    if start is None:
        return "–"
    wall_s = (start.t_wall_ns + t_ns - start.t_perf_ns) * 1e-9
    return datetime.fromtimestamp(wall_s).strftime("%H:%M:%S")


def percent(fraction: float) -> str:
    """62 %; – where unknown."""
    return f"{100 * fraction:.0f} %" if fraction == fraction else "–"
