"""T of later days, by z_T of day 1, anew, or the easier of the two."""

import numpy as np
import pytest
from core_session import Animal, info_of, session_of, started
from numpy.typing import NDArray

from bci.config.experiment import Calibration
from bci.core.calibration import BaselineRefused, CalibrationResult, calibrate

RUN = 40


def baseline(seed: int, size: float = 0.1, shift: float = 0.0) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(shift, size, 3000)
    return np.convolve(noise, np.ones(5) / 5, mode="same")


def day(trace: NDArray[np.float64], **settings: float | str) -> CalibrationResult:
    session = session_of(calibration=dict(settings))
    return calibrate(trace, RUN, session.experiment.calibration)


def test_day_one_finds_t_anew_whatever_the_rule() -> None:
    results = [day(baseline(1), carry_over=rule) for rule in ("z", "fresh", "easier")]
    assert len(set(results)) == 1
    assert results[0].t == results[0].fresh_t


@pytest.mark.parametrize("size", [0.05, 0.1, 0.2])
def test_carried_over_t_lies_as_many_sigma_above_mu_as_on_day_one(size: float) -> None:
    first = day(baseline(1))
    later = day(baseline(2, size, 0.02), z_first=first.z_t)
    left = np.sort(baseline(2, size, 0.02))[:1500]
    symmetric = np.concatenate([left, 2 * np.median(baseline(2, size, 0.02)) - left])
    mu, sigma = symmetric.mean(), symmetric.std(ddof=1)
    assert later.t == pytest.approx(mu + sigma * (first.t - first.mu) / first.sigma)
    assert later.z_t == pytest.approx(first.z_t)
    alone = day(baseline(2, size, 0.02))
    assert (later.fresh_t, later.lo, later.mu) == (alone.t, alone.lo, alone.mu)
    assert later.success_fraction == pytest.approx(
        np.mean(
            [
                baseline(2, size, 0.02)[start : start + RUN].max() >= later.t
                for start in np.random.default_rng(1).integers(0, 3000 - RUN + 1, size=200)
            ]
        )
    )


def test_fresh_and_easier_rules() -> None:
    for z_first in (1.0, 6.0):
        carried, fresh, easier = (
            day(baseline(3), z_first=z_first, carry_over=rule).t
            for rule in ("z", "fresh", "easier")
        )
        assert fresh == day(baseline(3)).t
        assert easier == min(carried, fresh)
        assert (carried < fresh) == (z_first == 1.0)


def test_t_at_or_below_lo_is_refused() -> None:
    with pytest.raises(BaselineRefused, match=r"carried over from day 1.*not above lo.*fresh"):
        day(baseline(4), z_first=-50.0)


def test_loop_carries_t_over_by_its_settings() -> None:
    """As the day's own calibration and as verify, which have nothing but settings and frames."""
    session = session_of(threshold=None, baseline_s=30.0, calibration={"z_first": 2.5})
    animal = Animal(started(session, info_of()), info_of())
    rng = np.random.default_rng(1)
    for _ in range(310):
        animal.acts(float(rng.exponential(0.3)))
    assert animal.loop.needs_calibration
    result = animal.loop.calibrate()
    assert result.t == result.mu + result.sigma * 2.5
    settings: Calibration = session.experiment.calibration
    assert settings.carry_over == "z"
