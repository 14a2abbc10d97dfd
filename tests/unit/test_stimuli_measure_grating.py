"""The ruler itself: gratings made by formula, in the convention of the task."""

import numpy as np
import pytest
from measure_grating import Image, angle_between, drift, find_wave, orientation_deg


def grating(angle_deg: float, phase: float = 0.0, cycles: float = 5.0) -> Image:
    """Bars turned clockwise from vertical, moved by `phase` cycles along (cos, sin down)."""
    y, x = np.mgrid[0:300, 0:400]
    theta = np.radians(angle_deg)
    along = (x - 200) * np.cos(theta) + (y - 150) * np.sin(theta)
    envelope = np.exp(-((x - 200) ** 2 + (y - 150) ** 2) / (2 * 50**2))
    return 0.5 + 0.5 * envelope * np.cos(2 * np.pi * (cycles * along / 400 - phase))


@pytest.mark.parametrize("angle_deg", [0, 15, 30, 37.2, 45, 60, 75, 90, 135, 170])
def test_orientation_is_found_within_a_tenth_of_a_degree(angle_deg: float) -> None:
    assert angle_between(orientation_deg(grating(angle_deg)), angle_deg, 180) < 0.1


def test_vertical_bars_are_0_and_horizontal_bars_90() -> None:
    vertical = np.tile(0.5 + 0.5 * np.cos(np.arange(400) / 10), (300, 1))
    assert angle_between(orientation_deg(vertical), 0, 180) < 0.1
    assert angle_between(orientation_deg(vertical.T), 90, 180) < 0.1


def test_bars_like_a_slash_are_45_and_not_135() -> None:
    picture = np.zeros((200, 200))
    for row in range(200):
        for column in range(200):
            # a slash: from bottom left to top right, where row + column stays the same
            picture[row, column] = 0.5 + 0.5 * np.cos((row + column) / 8)
    assert angle_between(orientation_deg(picture), 45, 180) < 0.1


@pytest.mark.parametrize("angle_deg", [0, 45, 90, 200, 300])
def test_drift_speed_and_direction_are_found(angle_deg: float) -> None:
    times_s = [0, 0.07, 0.1, 0.19, 0.3]
    hz, direction_deg = drift([grating(angle_deg, 2.0 * t) for t in times_s], times_s)
    assert hz == pytest.approx(2.0, rel=1e-3)
    assert angle_between(direction_deg, angle_deg, 360) < 0.5


def test_spatial_frequency_is_found() -> None:
    assert find_wave(grating(30, cycles=7.0)).cycles_per_px * 400 == pytest.approx(7.0, rel=2e-3)
