"""What the animal sees, measured in pictures of a real PsychoPy window."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from measure_grating import Image, angle_between, drift, find_wave, orientation_deg, phase_cycles
from picture_screen import PictureScreen, grating_command

from bci.config.experiment import Stimulus
from bci.config.rig import PhotodiodePatch, Screen
from bci.core.stimulus_types import ScreenKind

REFRESH_S = 1 / 60
GREY_LEVEL = 1 / 255


@pytest.fixture(scope="module", autouse=True)
def no_display() -> Iterator[None]:
    """Every window of this module opens on an X server of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DISPLAY", raising=False)
        yield


@pytest.fixture(scope="module")
def gabor(no_display: None) -> Iterator[PictureScreen]:
    with PictureScreen(Screen(), Stimulus()) as screen:
        yield screen


@pytest.fixture(scope="module")
def full(no_display: None) -> Iterator[PictureScreen]:
    screen = Screen(photodiode=PhotodiodePatch(enabled=True, size_px=40, corner="top_right"))
    with PictureScreen(screen, Stimulus(mask="full")) as full_screen:
        yield full_screen


@pytest.mark.parametrize(
    "angle_deg",
    [
        0,
        45,
        90,
        37.2,
        135,
        *(pytest.param(deg, marks=pytest.mark.long) for deg in (15, 30, 60, 75)),
    ],
)
def test_orientation_on_the_screen_is_the_commanded_one(
    gabor: PictureScreen, angle_deg: float
) -> None:
    assert (
        angle_between(orientation_deg(gabor.show(grating_command(angle_deg))), angle_deg, 180) < 1
    )


@pytest.mark.parametrize("angle_deg", [0, pytest.param(45, marks=pytest.mark.long), 90])
def test_grating_drifts_with_the_commanded_speed_and_direction(
    gabor: PictureScreen, angle_deg: float
) -> None:
    command = grating_command(angle_deg, temporal_freq_hz=2.0)
    # as irregular as with missed flips
    times_s = [flip * REFRESH_S for flip in (0, 1, 2, 5, 6, 11, 17)]
    hz, direction_deg = drift([gabor.show(command, t_s) for t_s in times_s], times_s)
    assert hz == pytest.approx(2.0, rel=0.02)
    assert angle_between(direction_deg, angle_deg, 360) < 1


def test_phase_goes_on_through_turns(gabor: PictureScreen) -> None:
    phases = []
    times_s = np.arange(13) * 0.05
    for index, t_s in enumerate(times_s):
        command = grating_command(15.0 * (index % 7), command_id=index, temporal_freq_hz=2.0)
        picture = gabor.show(command, float(t_s))
        phases.append(phase_cycles(picture, find_wave(picture)))
    moved = -np.unwrap(phases, period=1.0)
    np.testing.assert_allclose(np.diff(moved), 2.0 * 0.05, atol=0.01)


def test_frozen_grating_stands_still_and_goes_on_from_there(gabor: PictureScreen) -> None:
    drifting = grating_command(90, temporal_freq_hz=2.0)
    frozen = grating_command(90, temporal_freq_hz=2.0, screen=ScreenKind.FROZEN)
    before = gabor.show(drifting, 10.0)
    held = [gabor.show(frozen, t_s) for t_s in (10.1, 10.2, 11.0)]
    for picture in held:
        np.testing.assert_array_equal(picture, before)
    wave = find_wave(before)
    after = gabor.show(drifting, 11.0 + 1 / 16)
    moved = (phase_cycles(before, wave) - phase_cycles(after, wave)) % 1.0
    assert moved == pytest.approx(2.0 / 16, abs=0.01)


def test_temporal_frequency_zero_stands_still(gabor: PictureScreen) -> None:
    before = gabor.show(grating_command(30), 20.0)
    np.testing.assert_array_equal(gabor.show(grating_command(30), 20.37), before)


def test_grey_is_mid_grey_and_black_is_black(gabor: PictureScreen) -> None:
    for command in (None, grating_command(0, screen=ScreenKind.GREY)):
        assert np.abs(gabor.show(command) - 0.5).max() <= GREY_LEVEL
    assert gabor.show(grating_command(0, screen=ScreenKind.BLACK)).max() == 0
    # and again grey: the black is not left over
    grey = gabor.show(grating_command(0, screen=ScreenKind.GREY))
    assert np.abs(grey - 0.5).max() <= GREY_LEVEL


def test_gabor_envelope_has_the_sigma_of_the_settings(gabor: PictureScreen) -> None:
    # an eighth of the width of 800 px; two pictures a quarter of a cycle apart give the envelope
    start = gabor.show(grating_command(45, temporal_freq_hz=1.0), 30.0)
    quarter = gabor.show(grating_command(45, temporal_freq_hz=1.0), 30.25)
    envelope = np.hypot(start - 0.5, quarter - 0.5)
    y, x = np.mgrid[0:600, 0:800]
    inside = envelope > 0.05
    squared_px = (x - 399.5) ** 2 + (y - 299.5) ** 2
    slope, intercept = np.polyfit(squared_px[inside], np.log(envelope[inside]), 1)
    assert math.sqrt(-1 / (2 * slope)) == pytest.approx(100, rel=0.02)
    assert math.exp(intercept) == pytest.approx(0.5, rel=0.02)


def test_five_cycles_fit_the_screen(full: PictureScreen) -> None:
    wave = find_wave(full.show(grating_command(0)))
    assert wave.cycles_per_px * 800 == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize("contrast", [1.0, 0.5, 0.1])
def test_contrast_is_the_commanded_one(full: PictureScreen, contrast: float) -> None:
    picture = below_patch(full.show(grating_command(20, contrast=contrast)))
    michelson = (picture.max() - picture.min()) / (picture.max() + picture.min())
    assert michelson == pytest.approx(contrast, abs=0.01)
    assert picture.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "angle_deg", [45, *(pytest.param(deg, marks=pytest.mark.long) for deg in (0, 90))]
)
def test_full_field_reaches_every_corner(full: PictureScreen, angle_deg: float) -> None:
    first, second = (
        below_patch(full.show(grating_command(angle_deg, temporal_freq_hz=1.0), t_s))
        for t_s in (40.0, 40.25)
    )
    # wherever there is a grating, two pictures a quarter of a cycle apart are never both grey
    assert np.hypot(first - 0.5, second - 0.5).min() > 0.45


def test_photodiode_patch_turns_over_once_a_command(full: PictureScreen) -> None:
    states = []
    # repetitions of a command, and pictures between commands, change nothing
    for command_id in (100, 100, 100, 101, 101, 102, 103, 103):
        picture = full.show(grating_command(0, command_id=command_id))
        patch = picture[:40, -40:]
        assert np.ptp(patch) == 0
        states.append(patch[0, 0])
    assert set(states) == {0.0, 1.0}
    changes = [int(a != b) for a, b in itertools.pairwise(states)]
    assert changes == [0, 0, 1, 0, 1, 1, 0]


@pytest.mark.parametrize("kind", [ScreenKind.GREY, ScreenKind.BLACK])
def test_photodiode_patch_is_drawn_on_every_screen(full: PictureScreen, kind: ScreenKind) -> None:
    shown = {
        float(full.show(grating_command(0, command_id=command_id, screen=kind))[20, -20])
        for command_id in (200, 201)
    }
    assert shown == {0.0, 1.0}


def test_circle_and_cycles_per_degree_are_as_set() -> None:
    screen = Screen(width_cm=52.0, distance_cm=20.0, background=-1.0)
    stimulus = Stimulus(
        mask="circle",
        circle_diameter_deg=40.0,
        position_deg=(20.0, 10.0),
        spatial_freq=0.2,
        spatial_freq_unit="cycles_per_deg",
    )
    with PictureScreen(screen, stimulus) as circle:
        start, quarter, half = (
            circle.show(grating_command(0, temporal_freq_hz=1.0), t_s) for t_s in (0.0, 0.25, 0.5)
        )
    lit = np.hypot(start, quarter)
    rows, columns = np.nonzero(lit > 0.1)
    px_per_cm = 800 / 52.0
    diameter_px = 2 * 20 * math.tan(math.radians(20)) * px_per_cm
    assert np.ptp(columns) + 1 == pytest.approx(diameter_px, abs=3)
    assert np.ptp(rows) + 1 == pytest.approx(diameter_px, abs=3)
    right_px = 20 * math.tan(math.radians(20)) * px_per_cm
    up_px = 20 * math.tan(math.radians(10)) * px_per_cm
    assert columns.mean() - 399.5 == pytest.approx(right_px, abs=2)
    assert 299.5 - rows.mean() == pytest.approx(up_px, abs=2)
    # the background is black, as set
    assert lit[10, 10] == 0
    # a degree is that of the centre of the screen, everywhere
    px_per_deg = 20 * math.radians(1) * px_per_cm
    assert find_wave(start - half).cycles_per_px * px_per_deg == pytest.approx(0.2, rel=0.01)


def below_patch(picture: Image) -> Image:
    return picture[60:]
