"""What was asked for is not asked for again before it shows."""

from math import inf
from time import monotonic, perf_counter_ns

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.config import load_session
from bci.config.load import Override
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.loop_types import Pause, Start, TaskState
from bci.gui import controls
from bci.gui.controls import Controls, Pending
from bci.gui.day import Day
from bci.gui.model import SessionModel
from bci.gui.permissions import Action, refusals
from bci.recording.history import DECISION_COLUMNS, HistoryChunk
from bci.stream.operator import OperatorReward
from bci.stream.telemetry import Telemetry


def decided(state: TaskState, t_ns: int) -> bytes:
    row = np.zeros(1, DECISION_COLUMNS)
    row["state"], row["t_ns"] = state, t_ns
    return row.tobytes()


def test_a_change_of_state_is_waited_for_until_all_that_is_known_is_newer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "LONGEST_S", inf)
    model = SessionModel(None)
    before_ns = perf_counter_ns()
    model.take(HistoryChunk(1, True, events=((before_ns, Pause()),)))
    pending = Pending(Pause())
    assert not pending.is_over(model)
    pending.answered_s = monotonic()
    assert pending.is_over(None)
    # the pause before it, and frames decided before it, are nothing new
    model.take(HistoryChunk(2, True, decisions=decided(TaskState.RUN, before_ns)))
    model.take_telemetry(Telemetry(before_ns, "RUN"))
    assert not pending.is_over(model)
    paused_ns = perf_counter_ns()
    model.take(HistoryChunk(3, True, events=((paused_ns, Pause()),)))
    assert not pending.is_over(model)
    model.take(HistoryChunk(4, True, decisions=decided(TaskState.PAUSED, paused_ns)))
    assert not pending.is_over(model)
    model.take_telemetry(Telemetry(perf_counter_ns(), "PAUSED"))
    assert pending.is_over(model)


def test_what_never_shows_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SessionModel(None)
    pending = Pending(Pause())
    pending.answered_s = monotonic()
    assert not pending.is_over(model)
    monkeypatch.setattr(controls, "LONGEST_S", -1.0)
    assert pending.is_over(model)


def test_what_changes_no_state_is_over_with_its_answer() -> None:
    pending = Pending(OperatorReward())
    assert not pending.is_over(None)
    pending.answered_s = monotonic()
    assert pending.is_over(None)


def test_light_button_asks_for_the_opposite_of_what_the_board_confirmed(
    qtbot: QtBot, day: Day
) -> None:
    controls = Controls(day)
    qtbot.addWidget(controls)
    shown = []
    for place, (value, detail) in enumerate(((1.0, ""), (0.0, ""), (1.0, ""), (0.0, "safe"))):
        event = BoardEvent(0, BoardEventKind.LIGHT, None, 0, value, detail)
        day.model.take(HistoryChunk(place, True, board=(event,)))
        controls.refresh()
        shown.append((day.model.light_is_on, controls.light.text()))
    (on, off), others = shown[:2], shown[2:]
    assert (on[0], off[0]) == (True, False)
    assert on[1] != off[1]
    assert others == [on, off]


def running(day: Day, monkeypatch: pytest.MonkeyPatch, *overrides: Override) -> dict[Action, str]:
    """What is refused in a session that runs, with everything connected."""
    monkeypatch.setattr("bci.gui.permissions._not_running", lambda _: "")
    day.model = SessionModel(load_session(DEMO, overrides))
    state = decided(TaskState.RUN, 1)
    day.model.take(HistoryChunk(1, True, events=((1, Start()),), decisions=state))
    day.model.take_telemetry(Telemetry(1, "RUN", board="ok"))
    return refusals(day)


def test_light_by_hand_is_for_sessions_with_light(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_light = (
        Override.parse("experiment.light.trials=all"),
        Override.parse("experiment.light.blanked_rows=0"),
    )
    assert running(day, monkeypatch)[Action.LIGHT]
    assert not running(day, monkeypatch, *with_light)[Action.LIGHT]
