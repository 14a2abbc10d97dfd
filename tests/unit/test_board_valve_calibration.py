"""The valve's line from weighed drops, and a scale's answers."""

import tomllib
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.config.rig import Valve
from bci.hardware.board.drops import drop_fault, period_s
from bci.hardware.board.scale import weight_mg
from bci.hardware.board.valve_calibration import (
    NoFit,
    WeighedDrops,
    calibration_toml,
    fit_valve,
    weight_fault,
)


def weighed(ms_per_ul: float, dead_ms: float = 0.0, density: float = 1.0) -> list[WeighedDrops]:
    return [
        WeighedDrops(ms, 100, 100 * density * (ms - dead_ms) / ms_per_ul) for ms in (20, 40, 80)
    ]


@given(st.floats(0.6, 150), st.floats(0.9, 1.2))
def test_valve_that_is_proportional_is_found_exactly(ms_per_ul: float, density: float) -> None:
    fit = fit_valve(weighed(ms_per_ul, density=density), density)
    assert fit.ms_per_ul == pytest.approx(ms_per_ul)
    assert fit.dead_ms == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(fit.residuals, 0, atol=1e-9)
    assert fit.warnings == ()


@given(st.floats(0.6, 40), st.floats(-15, 15))
def test_dead_time_is_part_of_the_calibration(ms_per_ul: float, dead_ms: float) -> None:
    fit = fit_valve(weighed(ms_per_ul, dead_ms))
    assert (fit.ms_per_ul, fit.dead_ms) == (
        pytest.approx(ms_per_ul),
        pytest.approx(dead_ms, abs=1e-6),
    )
    np.testing.assert_allclose(fit.residuals, 0, atol=1e-9)
    assert fit.warnings == ()


def test_what_is_no_line_or_no_test_of_one_is_told() -> None:
    bent = [WeighedDrops(20, 100, 100), WeighedDrops(40, 100, 500), WeighedDrops(80, 100, 600)]
    assert any("off the line" in warning for warning in fit_valve(bent).warnings)
    assert any("a third opening" in warning for warning in fit_valve(weighed(10.0)[:2]).warnings)
    assert any("dead time" in warning for warning in fit_valve(weighed(10.0, 19.0)).warnings)


@given(st.floats(0.6, 150), st.floats(-15, 50), st.floats(0.01, 500))
def test_volume_and_opening_are_each_others_inverse(
    ms_per_ul: float, dead_ms: float, open_ms: float
) -> None:
    valve = Valve(ms_per_ul=ms_per_ul, dead_ms=dead_ms)
    assert valve.open_ms(valve.volume_ul(open_ms)) == pytest.approx(open_ms)
    assert valve.open_ms(2.0) - valve.open_ms(1.0) == pytest.approx(ms_per_ul)


@pytest.mark.parametrize(
    ("drops", "why"),
    [
        ([WeighedDrops(20, 100, 200)], "two opening times"),
        ([WeighedDrops(20, 100, 200), WeighedDrops(40, 100, 0.0)], "weigh again"),
        ([WeighedDrops(20, 100, float("nan")), WeighedDrops(40, 100, 1)], "weigh again"),
        ([WeighedDrops(20, 100, 200), WeighedDrops(40, 100, 190)], "not larger"),
    ],
)
def test_drops_that_make_no_sense_are_refused(drops: list[WeighedDrops], why: str) -> None:
    with pytest.raises(NoFit, match=why):
        fit_valve(drops)


@pytest.mark.parametrize("ms_per_ul", [1.0, 10.0, 100.0])
def test_weights_in_grams_are_refused(ms_per_ul: float) -> None:
    in_mg = weighed(ms_per_ul)
    grams = [WeighedDrops(one.open_ms, one.n, one.weight_mg / 1000) for one in in_mg]
    assert fit_valve(in_mg).ms_per_ul == pytest.approx(ms_per_ul)
    assert all(weight_fault(one) for one in grams)
    with pytest.raises(NoFit, match="1000 mg"):
        fit_valve(grams)


def test_calibration_file_is_what_the_settings_of_the_valve_take() -> None:
    drops = weighed(10.0, dead_ms=8.0)
    text = calibration_toml(fit_valve(drops), drops, 1.0, date(2026, 11, 22))
    valve = Valve.model_validate(tomllib.loads(text))
    assert valve.calibrated_on == date(2026, 11, 22)
    assert (valve.ms_per_ul, valve.dead_ms) == (10.0, 8.0)
    assert valve.open_ms(4.0) == pytest.approx(48.0)


@given(st.floats(1, 500), st.floats(0.05, 1))
def test_train_never_meets_the_duty_limit(open_ms: float, max_duty: float) -> None:
    valve = Valve(max_duty=max_duty)
    assert not drop_fault(open_ms, valve)
    per_10_s = int(10 / period_s(open_ms, valve)) + 1
    assert (per_10_s - 1) * open_ms / 1e3 <= 10 * max_duty


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("S S     100.002 g", 100_002.0),
        ("S D     100.002 g", None),
        ("S I", None),
        ("    12.5 mg", 12.5),
        ("N     +  0.1234 g", 123.4),
        ("-0.5 g", -500.0),
        ("  12.34 g ?", None),
        ("ES", None),
    ],
)
def test_lines_of_scales_are_read(line: str, found: float | None) -> None:
    assert weight_mg(line) == (None if found is None else pytest.approx(found))
