"""What was asked for is not asked for again before it shows."""

from math import inf
from time import monotonic, perf_counter_ns

import numpy as np
import pytest

from bci.core.loop_types import Pause, TaskState
from bci.gui import controls
from bci.gui.controls import Pending
from bci.gui.model import SessionModel
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
