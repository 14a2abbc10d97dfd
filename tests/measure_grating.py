"""Measure a grating in pictures of the screen, knowing nothing of how it was drawn.

Pictures are 2-D float arrays of luminance, rows from the top. Angles are clockwise as seen, as
everywhere in this program: the wave vector of vertical bars points right (0 degrees), that of
horizontal bars down (90 degrees).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import theilslopes

Image = NDArray[np.float64]


@dataclass(frozen=True)
class Wave:
    """The strongest sinusoid of a picture; kx right, ky down, cycles per pixel."""

    kx: float
    ky: float

    @property
    def orientation_deg(self) -> float:
        """Clockwise turn of the bars from vertical, 0-180."""
        return math.degrees(math.atan2(self.ky, self.kx)) % 180

    @property
    def cycles_per_px(self) -> float:
        return math.hypot(self.kx, self.ky)


def find_wave(image: Image) -> Wave:
    """The peak of the two-dimensional Fourier transform, refined between its bins."""
    # bars are many pixels wide: some 150 rows are enough
    step = max(1, min(image.shape) // 150)
    windowed = _windowed(image[::step, ::step])
    height, width = windowed.shape
    rows, columns = 2 * height, 2 * width
    spectrum = np.abs(np.fft.rfft2(windowed, (rows, columns)))
    # the mean and what the window makes of it
    spectrum[:3, :3] = spectrum[-3:, :3] = 0
    row, column = np.unravel_index(np.argmax(spectrum), spectrum.shape)
    start = np.array([column / columns, np.fft.fftfreq(rows)[row]])
    found = minimize(
        lambda k: -abs(_component(windowed, k[0], k[1])) / spectrum.max(),
        start,
        method="Nelder-Mead",
        options={
            "initial_simplex": start + np.array([[0, 0], [0.3 / columns, 0], [0, 0.3 / rows]]),
            "xatol": 1e-7,
            "fatol": 1e-9,
        },
    )
    kx, ky = found.x / step
    # of the two directions the one in -45 to 135 degrees, so that 0 to 90 lie far from the seam
    return Wave(kx, ky) if kx + ky >= 0 else Wave(-kx, -ky)


def orientation_deg(image: Image) -> float:
    """Clockwise turn of the bars from vertical, 0-180."""
    return find_wave(image).orientation_deg


def phase_cycles(image: Image, wave: Wave) -> float:
    """Phase of the wave at the centre of the picture, cycles, in 0-1."""
    component = _component(_windowed(image), wave.kx, wave.ky)
    return float(np.angle(component) / (2 * math.pi)) % 1.0


def drift(images: Sequence[Image], times_s: Sequence[float]) -> tuple[float, float]:
    """Speed and direction of a drifting grating.

    Parameters
    ----------
    images
        Of one orientation; less than half a cycle may pass between two of them.
    times_s
        When each was seen.

    Returns
    -------
    hz
        Cycles a second, at least 0.
    direction_deg
        Where the bars move: 0 right, 90 down, 180 left, 270 up.
    """
    wave = find_wave(images[0])
    phases = np.array([phase_cycles(image, wave) for image in images])
    # bars that move along the wave vector delay its phase
    moved = -np.unwrap(phases, period=1.0)
    # the median slope: one picture of a screen that was held up does not turn it
    hz = float(theilslopes(moved, np.asarray(times_s)).slope)
    direction = math.degrees(math.atan2(wave.ky, wave.kx))
    return abs(hz), (direction if hz >= 0 else direction + 180) % 360


def angle_between(first_deg: float, second_deg: float, period_deg: float) -> float:
    """Smallest difference of two angles, at least 0."""
    return abs((first_deg - second_deg + period_deg / 2) % period_deg - period_deg / 2)


def _windowed(image: Image) -> Image:
    height, width = image.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    mean = np.sum(image * window) / np.sum(window)
    return (image - mean) * window


def _component(image: Image, kx: float, ky: float) -> complex:
    """Fourier component, its phase counted from the centre of the picture."""
    height, width = image.shape
    x = np.arange(width) - (width - 1) / 2
    y = np.arange(height) - (height - 1) / 2
    down = 2 * np.pi * ky * y
    cosine, sine = np.vstack([np.cos(down), np.sin(down)]) @ image
    return complex((cosine - 1j * sine) @ np.exp(-2j * np.pi * kx * x))
