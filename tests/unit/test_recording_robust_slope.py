"""The slope is the one that scipy.stats computes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from bci.recording.robust_slope import theil_sen_slope

POINTS = st.lists(
    st.tuples(st.integers(0, 500), st.floats(-1e6, 1e6)),
    min_size=2,
    max_size=40,
    unique_by=lambda point: point[0],
)


@given(POINTS)
def test_slope_is_that_of_scipy(points: list[tuple[int, float]]) -> None:
    x, y = np.array(points, float).T
    expected = theilslopes(y, x).slope
    assert theil_sen_slope(y, x) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_points_at_the_same_place_have_no_slope_between_them() -> None:
    assert theil_sen_slope(np.array([0.0, 9.0, 2.0]), np.array([0.0, 0.0, 1.0])) == -2.5


def test_points_far_off_do_not_bend_the_line() -> None:
    x = np.arange(100.0)
    y = 3.0 * x + 1.0
    y[::5] += 1000.0
    assert theil_sen_slope(y, x) == pytest.approx(3.0)
