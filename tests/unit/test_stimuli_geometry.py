import math

import pytest

from bci.stimuli.geometry import ScreenGeometry

# 10 px a centimetre
GEOMETRY = ScreenGeometry(width_px=800, height_px=600, width_cm=80.0, distance_cm=20.0)


def test_45_degrees_lie_as_far_out_as_the_eye_is_away() -> None:
    assert GEOMETRY.position_px((45.0, -45.0)) == pytest.approx((200.0, -200.0))


def test_disc_of_90_degrees_is_twice_as_wide_as_the_eye_is_away() -> None:
    assert GEOMETRY.diameter_px(90.0) == pytest.approx(400.0)


def test_cycles_per_degree_and_per_screen() -> None:
    assert GEOMETRY.cycles_per_px(5.0, "cycles_per_screen") == pytest.approx(5 / 800)
    px_per_deg = 200 * math.pi / 180
    assert GEOMETRY.cycles_per_px(0.1, "cycles_per_deg") == pytest.approx(0.1 / px_per_deg)


@pytest.mark.parametrize("centre_px", [(0.0, 0.0), (100.0, -50.0)])
def test_covering_square_holds_every_corner_however_it_is_turned(
    centre_px: tuple[float, float],
) -> None:
    corners = [(x, y) for x in (-400, 400) for y in (-300, 300)]
    farthest = max(math.hypot(x - centre_px[0], y - centre_px[1]) for x, y in corners)
    assert GEOMETRY.covering_px(centre_px) / 2 >= farthest
