"""The angle that the read-out stands for."""

from math import isnan, nan, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.core.decoding.angle import angle_of

read_outs = st.floats(-1e6, 1e6)
scales = st.tuples(st.floats(-10, 10), st.floats(1e-3, 10)).map(lambda p: (p[0] + p[1], p[0]))


@pytest.mark.parametrize(
    ("s3", "angle"),
    [
        (-9.0, 0),
        (0.0, 0),
        (0.9, 0),
        (1.0, 15),
        (1.9, 15),
        (3.0, 45),
        (5.99, 75),
        (6.0, 90),
        (99, 90),
    ],
)
def test_seven_angles_in_steps_of_15_degrees(s3: float, angle: float) -> None:
    assert angle_of(s3, 6.0, 0.0, continuous=False) == angle


@pytest.mark.parametrize(("s3", "angle"), [(-1.0, 0), (1.0, 15), (1.5, 22.5), (6.0, 90), (7.0, 90)])
def test_continuous_angle_is_linear_between_lo_and_threshold(s3: float, angle: float) -> None:
    assert angle_of(s3, 6.0, 0.0, continuous=True) == pytest.approx(angle)


@given(read_outs, scales, st.booleans())
def test_angle_lies_in_0_to_90_and_steps_are_whole(
    s3: float, scale: tuple[float, float], continuous: bool
) -> None:
    angle = angle_of(s3, *scale, continuous=continuous)
    assert 0 <= angle <= 90
    assert continuous or angle in (0, 15, 30, 45, 60, 75, 90)


@given(read_outs, read_outs, scales, st.booleans())
def test_angle_never_falls_as_the_read_out_rises(
    a: float, b: float, scale: tuple[float, float], continuous: bool
) -> None:
    low, high = sorted((a, b))
    assert angle_of(low, *scale, continuous=continuous) <= angle_of(
        high, *scale, continuous=continuous
    )


@given(scales, st.booleans())
def test_target_angle_is_shown_at_the_threshold(
    scale: tuple[float, float], continuous: bool
) -> None:
    t, lo = scale
    assert angle_of(t, t, lo, continuous=continuous) == 90
    assert angle_of(lo, t, lo, continuous=continuous) == 0
    assert angle_of(nextafter(lo, -1e9), t, lo, continuous=continuous) == 0


@pytest.mark.parametrize("values", [(nan, 1, 0), (0.5, nan, 0), (0.5, 1, nan)])
def test_unknown_read_out_or_threshold_has_no_angle(values: tuple[float, float, float]) -> None:
    assert isnan(angle_of(*values, continuous=False))
    assert isnan(angle_of(*values, continuous=True))
