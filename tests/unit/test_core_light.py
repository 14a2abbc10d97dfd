"""Light for the opsin: in which trials, in which states, and which ROIs its gate bars."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from core_session import Animal, info_of, session_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.config.light import Light
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand
from bci.core.light import LitTrials, blanked_rows, has_light, is_barred
from bci.core.loop import ClosedLoop
from bci.core.loop_types import (
    Decision,
    LedgerKind,
    LightSet,
    LoopEvent,
    Pause,
    Resume,
    Stalled,
    Start,
    Stop,
    TaskState,
)
from bci.core.stream_types import Roi

S = TaskState
TRIAL = {S.GREY, S.RUN, S.HIT, S.BLACK, S.MISS}


def animal_with(baseline_s: float | None = None, **light: Any) -> Animal:
    session, info = session_of(light=light, baseline_s=baseline_s), info_of()
    animal = Animal(ClosedLoop(session, info), info)
    animal.hears(Start())
    if baseline_s is not None:
        animal.rests()
        animal.until(S.WAITING)
    return animal


def lit_states(decisions: list[Decision]) -> dict[int, set[TaskState]]:
    """States in which the light was on, by trial."""
    on, found = False, dict[int, set[TaskState]]()
    for decision in decisions:
        on = decision.light.on if decision.light is not None else on
        if on:
            found.setdefault(decision.trial, set()).add(decision.state)
    return found


def plays(animal: Animal, n_frames: int = 300) -> Animal:
    for k in range(n_frames):
        animal.acts(3.0 if k % 23 == 0 else 0.0)
    return animal


def test_light_in_all_trials_is_on_from_grey_to_black() -> None:
    lit = lit_states(plays(animal_with(trials="all")).decisions)
    assert len(lit) > 5
    assert set().union(*lit.values()) == TRIAL


def test_light_during_run_is_on_in_no_other_state() -> None:
    lit = lit_states(plays(animal_with(trials="all", during="run")).decisions)
    assert len(lit) > 5
    assert set().union(*lit.values()) == {S.RUN}


def test_fraction_of_trials_is_seeded_and_the_same_for_loop_and_file() -> None:
    settings = Light(trials="fraction", fraction=0.4, seed=7)
    decisions = plays(animal_with(trials="fraction", fraction=0.4, seed=7)).decisions
    n = decisions[-1].trial
    told = {trial for trial in range(1, n + 1) if has_light(settings, trial)}
    assert set(lit_states(decisions)) == told
    assert 0 < len(told) < n


@pytest.mark.parametrize(("fraction", "n_with"), [(0.4, 8), (0.5, 10), (0.01, 1), (0.999, 19)])
def test_every_twenty_trials_hold_the_fraction_in_an_order_of_their_own(
    fraction: float, n_with: int
) -> None:
    def lit(seed: int) -> NDArray[np.bool_]:
        settings = Light(trials="fraction", fraction=fraction, seed=seed)
        trials = range(1, 401)
        return np.array([has_light(settings, trial) for trial in trials]).reshape(20, 20)

    assert set(lit(7).sum(axis=1)) == {n_with}
    assert len({row.tobytes() for row in lit(7)}) > 5
    assert not np.array_equal(lit(7), lit(8))


def test_session_without_light_tells_the_board_nothing_before_a_hold() -> None:
    animal = plays(animal_with())
    assert all(decision.light is None for decision in animal.decisions)
    assert animal.hears(Pause()).light == LightCommand(on=False, gate=False)


def test_gate_runs_from_the_start_to_the_end_of_a_session_with_light() -> None:
    animal = animal_with(trials="fraction")
    animal.rests()
    assert animal.hears(Pause()).light == LightCommand(on=False, gate=True)
    animal.hears(Resume())
    plays(animal)
    told = [decision.light for decision in animal.decisions if decision.light is not None]
    assert told
    assert all(command.gate for command in told)
    assert animal.hears(Stop("over")).light == LightCommand(on=False, gate=False)


def test_gate_is_asked_for_with_the_start() -> None:
    loop = ClosedLoop(session_of(light={"trials": "all"}), info_of())
    assert loop.apply(Start()).light == LightCommand(on=False, gate=True)


@pytest.mark.parametrize("in_baseline", [True, False])
def test_baseline_has_light_as_declared(in_baseline: bool) -> None:
    animal = animal_with(baseline_s=3.0, trials="all", in_baseline=in_baseline)
    lit = lit_states(animal.decisions)
    assert lit == ({0: {S.BASELINE}} if in_baseline else {})
    last = [d.light for d in animal.decisions if d.light is not None][-1]
    assert last == LightCommand(on=False, gate=True)


def test_pause_puts_the_light_out_and_the_next_trial_brings_it_back() -> None:
    animal = animal_with(trials="all")
    animal.until(S.RUN)
    assert animal.hears(Pause()).light == LightCommand(on=False, gate=True)
    animal.rests(10)
    animal.hears(Resume())
    assert animal.until(S.GREY).light == LightCommand(on=True, gate=True)


def refused(decision: Decision) -> list[LedgerKind]:
    return [entry.kind for entry in decision.ledger]


def test_light_by_hand_is_raised_within_the_gate_and_put_out_without_ending_the_gate() -> None:
    animal = animal_with(trials="fraction", fraction=0.01)
    animal.rests()
    assert animal.hears(LightSet(True)).light == LightCommand(on=True, gate=True)
    plays(animal, 60)
    assert animal.loop.trial > 1
    assert all(decision.light is None for decision in animal.decisions[-60:])
    assert animal.hears(LightSet(False)).light == LightCommand(on=False, gate=True)
    plays(animal, 60)
    assert all(decision.light is None for decision in animal.decisions[-60:])


def test_light_put_out_by_hand_stays_out_until_the_operator_resumes() -> None:
    animal = animal_with(trials="all")
    animal.until(S.RUN)
    assert animal.hears(LightSet(False)).light == LightCommand(on=False, gate=True)
    plays(animal, 40)
    animal.hears(Stalled(2.0))
    plays(animal, 40)  # the end of a stall resumes the task, and not the light
    assert lit_states(animal.decisions[-80:]) == {}
    animal.hears(Pause())
    animal.hears(Resume())
    assert animal.until(S.GREY).light == LightCommand(on=True, gate=True)


def test_light_put_on_by_hand_ends_with_a_pause() -> None:
    animal = animal_with(trials="fraction", fraction=0.01)
    animal.hears(LightSet(True))
    assert animal.hears(Pause()).light == LightCommand(on=False, gate=True)
    assert refused(animal.hears(LightSet(True))) == [LedgerKind.REFUSED]
    assert animal.hears(Resume()).light is None
    assert animal.rests(3).light is None


@pytest.mark.parametrize("on", [True, False])
def test_light_by_hand_is_refused_in_a_session_without_light(on: bool) -> None:
    animal = animal_with()
    decision = animal.hears(LightSet(on))
    assert refused(decision) == [LedgerKind.REFUSED]
    assert decision.light is None


EVENTS: dict[str, Callable[[], LoopEvent]] = {
    "on": lambda: LightSet(True),
    "off": lambda: LightSet(False),
    "pause": Pause,
    "resume": Resume,
    "stall": lambda: Stalled(2.0),
}


@given(st.lists(st.one_of(st.sampled_from([*EVENTS]), st.integers(1, 30)), max_size=30))
def test_whatever_the_operator_orders_the_gate_runs_until_the_end(steps: list[str | int]) -> None:
    animal = animal_with(trials="fraction", fraction=0.5)
    found: list[Decision] = []
    for step in steps:
        if isinstance(step, int):
            before = len(animal.decisions)
            plays(animal, step)
            found += animal.decisions[before:]
        else:
            found.append(animal.hears(EVENTS[step]()))
    on = False
    for decision in found:
        if decision.light is not None:
            assert decision.light.gate
            on = decision.light.on
        assert not (on and decision.state is S.PAUSED)
    assert animal.hears(Stop("over")).light == LightCommand(on=False, gate=False)


CONFIRMED, OUT = (BoardEvent(0, BoardEventKind.LIGHT, None, 0, value=value) for value in (1.0, 0.0))
SAFE = BoardEvent(0, BoardEventKind.LIGHT, None, 0, detail="lowered by the safe state")
LOST, BACK = (
    BoardEvent(0, kind, None, 0) for kind in (BoardEventKind.LOST, BoardEventKind.CONNECTED)
)
ON, OFF = (LightCommand(on, gate=True) for on in (True, False))


@pytest.mark.parametrize(
    ("steps", "light"),
    [
        ([S.GREY, S.RUN, S.HIT, S.BLACK], "none"),
        ([ON, S.GREY, CONFIRMED, S.RUN, S.HIT, S.BLACK], "trial"),
        ([ON, S.GREY, S.RUN, S.HIT, CONFIRMED, S.BLACK], "trial"),
        ([ON, S.GREY, S.RUN, S.HIT, S.BLACK], "none"),
        ([ON, S.GREY, S.RUN, OFF, CONFIRMED, OUT, S.HIT, S.BLACK], "part"),
        ([S.GREY, ON, S.RUN, S.RUN, CONFIRMED, OFF, S.HIT, OUT, S.BLACK], "run"),
        ([S.GREY, S.RUN, ON, CONFIRMED, S.RUN, OFF, OUT, S.MISS], "part"),
        ([ON, CONFIRMED, S.GREY, OFF, OUT, S.RUN, S.MISS], "part"),
        ([ON, CONFIRMED, S.GREY, S.RUN, SAFE, LOST, S.RUN, BACK, S.MISS], "part"),
        ([ON, CONFIRMED, S.GREY, SAFE, LOST, S.GREY, BACK, CONFIRMED, S.RUN, S.MISS], "part"),
        ([ON, CONFIRMED, S.GREY], "trial"),
        ([ON, CONFIRMED, S.WAITING, OFF, OUT, S.GREY, S.RUN, S.MISS], "none"),
    ],
)
def test_light_of_a_trial_is_what_the_board_confirmed(
    steps: list[TaskState | LightCommand | BoardEvent], light: str
) -> None:
    lit = LitTrials()
    for step in steps:
        if isinstance(step, LightCommand):
            lit.order(step)
        elif isinstance(step, BoardEvent):
            lit.hear(step)
        else:
            lit.count(step, 7)
    assert lit.of_trial(7) == light
    assert lit.n_trials == (light != "none")
    assert lit.of_trial(8) == "none"


def image(y_px: float, n_rows: int = 512) -> tuple[Any, Roi]:
    info = msgspec.structs.replace(info_of(rate_hz=30.92), image_shape=(n_rows, 796))
    return info, Roi(0, "a", 0, x_px=10.0, y_px=y_px)


def test_gate_of_7_ms_blanks_the_first_rows_of_the_image() -> None:
    info, _ = image(0.0)
    assert blanked_rows(Light(trials="all"), info) == 111
    assert blanked_rows(Light(trials="all", blanked_rows=50), info) == 50


@pytest.mark.parametrize(
    ("y_px", "light", "barred"),
    [
        (115.9, {"trials": "all"}, True),
        (116.0, {"trials": "all"}, False),
        (115.9, {"trials": "none"}, False),
        (115.9, {"trials": "fraction", "margin_px": 0.0}, False),
        (54.0, {"trials": "all", "blanked_rows": 50}, True),
        (55.0, {"trials": "all", "blanked_rows": 50}, False),
        (float("nan"), {"trials": "all"}, True),
        (float("nan"), {"trials": "all", "blanked_rows": 0}, False),
        (0.0, {"trials": "all", "blanked_rows": 0}, False),
    ],
)
def test_gated_roi_is_barred_from_the_ensembles(
    y_px: float, light: dict[str, Any], barred: bool
) -> None:
    info, roi = image(y_px)
    assert is_barred(Light(**light), info, roi) == barred


def test_image_of_unknown_size_bars_every_roi() -> None:
    info, roi = image(400.0, n_rows=0)
    assert is_barred(Light(trials="all"), info, roi)
