"""What the operator may ask for in each state, and why not."""

from enum import StrEnum

from bci.core.loop_types import BlockKind, TaskState
from bci.gui.day import Day, Phase


class Action(StrEnum):
    """What the buttons do."""

    START = "start"
    BEGIN = "begin"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    REWARD = "reward"
    LIGHT = "light"
    NOTE = "note"


NOTHING_RUNS = "no session runs"
STARTING = "the session is starting"
OVER = "the session is over"


def refusals(day: Day) -> dict[Action, str]:
    """Why an action cannot be asked for now; empty: it can.

    What is allowed here control may still refuse, for it knows more and knows it earlier; what
    is refused here is never asked for.
    """
    state = day.model.state
    begun = day.model.is_begun
    telemetry = day.model.telemetry
    board = "waiting" if telemetry is None else telemetry.board
    running = _not_running(day)
    task = running or (OVER if state is TaskState.DONE else "") or ("" if begun else STARTING)
    held = state is TaskState.PAUSED
    device = task or ("" if board.startswith("ok") else "the board is not connected")
    return {
        Action.START: _cannot_start(day),
        Action.BEGIN: task or _cannot_begin(day),
        Action.PAUSE: task or ("paused already" if held else ""),
        Action.RESUME: task or ("" if held else "the task is not paused"),
        Action.STOP: running or (OVER if state is TaskState.DONE else ""),
        Action.REWARD: device,
        Action.LIGHT: device or _no_light(day),
        Action.NOTE: running,
    }


def _no_light(day: Day) -> str:
    model = day.model
    if not model.has_light:
        return "this session has no light: see experiment.light.trials"
    if model.state is TaskState.PAUSED and not model.light_is_on:
        return "the light stays off while the task is paused"
    return ""


def next_block(day: Day) -> BlockKind:
    """The block that the operator would begin now: the plan's next, else trials."""
    telemetry = day.model.telemetry
    named = telemetry.next_block if telemetry is not None else ""
    return BlockKind(named) if named else BlockKind.CLOSED_LOOP


def _cannot_begin(day: Day) -> str:
    telemetry = day.model.telemetry
    waits_for = telemetry.waits_for if telemetry is not None else ""
    if waits_for == "operator":
        return ""
    return f"waiting for: {waits_for}" if waits_for else "a block runs"


def _not_running(day: Day) -> str:
    match day.phase:
        case Phase.SETTING_UP:
            return NOTHING_RUNS
        case Phase.STARTING:
            return STARTING
        case Phase.ENDED:
            return OVER
        case Phase.RUNNING:
            return "" if day.can_ask else STARTING


def _cannot_start(day: Day) -> str:
    if day.phase is Phase.STARTING:
        return STARTING
    if day.phase is Phase.RUNNING:
        return "a session runs"
    if day.session_file is None:
        return "no session file: choose one in the settings"
    if day.faults:
        return f"the settings have faults: {day.faults[0]}"
    return ""
