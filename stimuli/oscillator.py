"""A tone whose frequency may change at any moment, without a click."""

import math

import numpy as np
from numpy.typing import NDArray

_RAMP_S = 0.005


class Oscillator:
    """Phase goes on through every change, loudness rises and falls within 5 ms.

    Parameters
    ----------
    sample_rate_hz
        Samples a second.
    volume
        Amplitude, 0–1.

    Attributes
    ----------
    tone_hz
        What is wanted now, 0: silence; written by one thread, read by another.
    """

    def __init__(self, sample_rate_hz: float, volume: float) -> None:
        self.tone_hz = 0.0
        self._rate_hz = sample_rate_hz
        self._volume = volume
        self._ramp = 1 / (_RAMP_S * sample_rate_hz)
        self._heard_hz = 0.0
        self._loudness = 0.0
        self._phase_cycles = 0.0

    def fill(self, samples: NDArray[np.float32]) -> None:
        """Write the next samples, shape (n,), -1 to 1."""
        wanted_hz = self.tone_hz
        target = 1.0 if wanted_hz > 0 else 0.0
        # a tone that ends is heard at its own frequency until it is silent
        self._heard_hz = wanted_hz or self._heard_hz
        if target == self._loudness == 0.0:
            samples.fill(0.0)
            return
        along = np.arange(1, len(samples) + 1)
        step = self._ramp if target > self._loudness else -self._ramp
        loudness = np.clip(self._loudness + step * along, 0.0, 1.0)
        if target == self._loudness:
            loudness.fill(target)
        cycles = self._phase_cycles + self._heard_hz / self._rate_hz * along
        samples[:] = self._volume * loudness * np.sin(2 * math.pi * cycles)
        self._loudness = float(loudness[-1])
        self._phase_cycles = float(cycles[-1] % 1.0)
