"""Light for the opsin: in which trials, in which states, and which ROIs its gate bars."""

from typing import Any

import msgspec
import numpy as np
import pytest
from core_session import Animal, info_of, session_of
from numpy.typing import NDArray

from bci.config.light import Light
from bci.core.board_types import LightCommand
from bci.core.light import blanked_rows, has_light, is_barred, light_of_trial
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Decision, Pause, Resume, Start, Stop, TaskState
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
    told = {trial for trial in range(1, n + 1) if light_of_trial(settings, trial) == "trial"}
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
    assert animal.hears(Pause()).light == LightCommand(on=False)


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
