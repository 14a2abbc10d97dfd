"""T by one hit in so many seconds of baseline."""

from typing import Any

import numpy as np
import pytest
from core_session import session_of
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference_task import hits_slowly

from bci.config.experiment import Calibration, Guards
from bci.core.calibration import BaselineRefused, calibrate
from bci.core.hit_rate import count_hits, threshold_of_rate

REARMS: list[tuple[float, int] | None] = [None, (0.5, 2), (0.33, 1), (0.9, 4)]


def guards_of(rearm: tuple[float, int] | None) -> Guards:
    return Guards() if rearm is None else Guards(rearm_fraction=rearm[0], rearm_frames=rearm[1])


def settings_of(**changes: Any) -> Calibration:
    changes = {"rule": "seconds_per_hit"} | changes
    return session_of(calibration=changes).experiment.calibration


def trace(seed: int, n: int = 1500) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.convolve(rng.normal(0, 1, n), np.exp(-np.arange(20) / 5))[:n]


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.4, 0.5, 0.9, 1.0, 2.0]), min_size=1, max_size=60),
    st.data(),
    st.sampled_from(REARMS),
)
@examples(max_examples=150)
def test_hits_are_counted_as_read(
    s3: list[float], data: st.DataObject, rearm: tuple[float, int] | None
) -> None:
    may_hit = data.draw(st.lists(st.booleans(), min_size=len(s3), max_size=len(s3)))
    slowly = hits_slowly(s3, 1.0, may_hit, rearm)
    assert count_hits(np.array(s3), np.array(may_hit), 1.0, guards_of(rearm), 99) == slowly
    assert count_hits(np.array(s3), np.array(may_hit), 1.0, guards_of(rearm), 0) == min(slowly, 1)


@pytest.mark.parametrize("rearm", REARMS)
@pytest.mark.parametrize(("seed", "n_allowed"), [(1, 1), (2, 5), (3, 23)])
def test_threshold_is_where_a_walk_down_first_meets_too_many_hits(
    rearm: tuple[float, int] | None, seed: int, n_allowed: int
) -> None:
    s3, may_hit = trace(seed), np.random.default_rng(seed).random(1500) < 0.8
    lo, step = float(s3.min()), 0.05
    k = 1 + int((s3.max() - lo) / step)
    while k > 1:
        if hits_slowly(s3.tolist(), lo + step * (k - 1), may_hit.tolist(), rearm) > n_allowed:
            break
        k -= 1
    assert threshold_of_rate(s3, may_hit, lo, step, n_allowed, guards_of(rearm)) == lo + step * k


def test_baseline_hits_its_threshold_once_in_the_seconds_asked_for() -> None:
    s3 = trace(5, 12_000)
    guards = guards_of((0.5, 2))
    result = calibrate(s3, 433, settings_of(), plane_rate_hz=15.46, guards=guards)
    everywhere = np.ones(len(s3), dtype=np.bool_)
    allowed = int(12_000 / 15.46 / 65)
    n_hits = count_hits(s3, everywhere, result.t, guards, 99)
    assert allowed - 2 <= n_hits <= allowed == 11


@pytest.mark.parametrize("height", [1e3, 1e12, 1e30])
def test_artefact_of_any_height_ends_in_a_threshold(height: float) -> None:
    s3 = trace(6, 3000)
    s3[1000:1100] = height
    for rearm in REARMS:
        result = calibrate(s3, 100, settings_of(), plane_rate_hz=15.46, guards=guards_of(rearm))
        assert np.isfinite(result.t)
        assert result.t > result.lo


def test_baseline_shorter_than_one_hit_is_refused() -> None:
    with pytest.raises(BaselineRefused, match=r"64\.7 s, one hit shall take 65 s: .*longer"):
        calibrate(trace(7, 1000), 100, settings_of(), plane_rate_hz=15.46)
