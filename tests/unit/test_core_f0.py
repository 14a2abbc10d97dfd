"""F0 is the trailing percentile, bit for bit as NumPy computes it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.core.decoding.percentile import RollingPercentile

pytestmark = pytest.mark.slow

few_values = st.sampled_from([-1.5, 0.0, 1.0, 1.0000001, 7.25, 500.0])
any_values = st.one_of(
    few_values,
    st.floats(-1e6, 1e6, width=32),
    st.floats(width=32).filter(lambda value: bool(np.isfinite(value))),
)
traces = st.integers(1, 4).flatmap(
    lambda n_rois: st.lists(
        st.lists(any_values, min_size=n_rois, max_size=n_rois), min_size=1, max_size=60
    )
)
percentiles = st.one_of(
    st.sampled_from([0.0, 10.0, 50.0, 90.0, 100.0]), st.integers(0, 100), st.floats(0, 100)
)


def percentile_of(
    trace: NDArray[np.float64], k: int, window: int, percentile: float
) -> list[float]:
    part = trace[max(0, k + 1 - window) : k + 1]
    return np.percentile(part, percentile, axis=0, method="linear").tolist()


def check_equals_numpy(rows: list[list[float]], window: int, percentile: float) -> None:
    trace = np.array(rows)
    rolling = RollingPercentile(trace.shape[1], window, percentile)
    for k, row in enumerate(rows):
        assert rolling.update(row) == percentile_of(trace, k, window, percentile)
        assert len(rolling) == min(k + 1, window)


@given(traces, st.integers(1, 25), percentiles)
@settings(max_examples=150)
def test_equals_numpy_percentile_bit_for_bit(
    rows: list[list[float]], window: int, percentile: float
) -> None:
    check_equals_numpy(rows, window, percentile)


@pytest.mark.long
@pytest.mark.timeout(900)
@given(traces, st.integers(1, 60), percentiles)
@settings(max_examples=20_000)
def test_equals_numpy_percentile_bit_for_bit_long(
    rows: list[list[float]], window: int, percentile: float
) -> None:
    check_equals_numpy(rows, window, percentile)


def noise(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(500, 30, (700, 2))


COURSES = {
    "still": noise,
    "falling": lambda rng: noise(rng) - np.arange(700)[:, None],
    "rising": lambda rng: noise(rng) + np.arange(700)[:, None],
    "wandering": lambda rng: np.cumsum(noise(rng) - 500, axis=0),
    "few values": lambda rng: np.round(noise(rng) / 30) * 30,
    "one value": lambda rng: np.full((700, 2), 7.0),
}


@pytest.mark.parametrize("percentile", [0.0, 10.0, 37.5, 90.0, 100.0])
@pytest.mark.parametrize("course", COURSES)
def test_equals_numpy_over_a_recording(course: str, percentile: float) -> None:
    trace = COURSES[course](np.random.default_rng(1))
    rolling = RollingPercentile(2, 200, percentile)
    for k in range(len(trace)):
        assert rolling.update(trace[k].tolist()) == percentile_of(trace, k, 200, percentile)


def test_window_not_yet_full_uses_what_there_is() -> None:
    rolling = RollingPercentile(1, 100, 50.0)
    assert [rolling.update([value])[0] for value in (4.0, 2.0, 6.0)] == [4.0, 3.0, 4.0]


def test_current_frame_is_in_the_window() -> None:
    rolling = RollingPercentile(1, 5, 100.0)
    assert [rolling.update([value])[0] for value in (1.0, 3.0, 2.0)] == [1.0, 3.0, 3.0]


def test_reset_forgets_every_frame() -> None:
    rolling, fresh = RollingPercentile(2, 4, 10.0), RollingPercentile(2, 4, 10.0)
    rng = np.random.default_rng(2)
    for row in rng.normal(size=(7, 2)).tolist():
        rolling.update(row)
    rolling.reset()
    assert len(rolling) == 0
    for row in rng.normal(size=(9, 2)).tolist():
        assert rolling.update(row) == fresh.update(row)
