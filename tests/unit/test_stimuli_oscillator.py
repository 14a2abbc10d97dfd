"""A tone that changes without a click."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.stimuli.oscillator import Oscillator

RATE_HZ = 48000.0
VOLUME = 0.5


def heard(oscillator: Oscillator, n: int, block: int = 64) -> NDArray[np.float32]:
    samples = np.empty(n, dtype=np.float32)
    for start in range(0, n, block):
        oscillator.fill(samples[start : start + block])
    return samples


def frequency_hz(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * len(samples)))
    return float(np.argmax(spectrum)) * RATE_HZ / (8 * len(samples))


@pytest.mark.parametrize("tone_hz", [6000.0, 10677.08, 19000.0])
def test_tone_has_its_frequency_and_loudness(tone_hz: float) -> None:
    oscillator = Oscillator(RATE_HZ, VOLUME)
    oscillator.tone_hz = tone_hz
    samples = heard(oscillator, 9600)[960:]
    assert frequency_hz(samples) == pytest.approx(tone_hz, abs=2.0)
    assert np.abs(samples).max() == pytest.approx(VOLUME, rel=0.01)


def test_silence_is_exactly_zero_before_and_after_a_tone() -> None:
    oscillator = Oscillator(RATE_HZ, VOLUME)
    assert not heard(oscillator, 1000).any()
    oscillator.tone_hz = 8000.0
    heard(oscillator, 1000)
    oscillator.tone_hz = 0.0
    heard(oscillator, 320)
    assert not heard(oscillator, 1000).any()


@given(st.lists(st.sampled_from([0.0, 500.0, 700.0, 1000.0]), max_size=12), st.integers(1, 200))
def test_no_change_of_tone_clicks(tones: list[float], block: int) -> None:
    oscillator = Oscillator(RATE_HZ, VOLUME)
    parts = [np.zeros(1, dtype=np.float32)]
    for tone_hz in tones:
        oscillator.tone_hz = tone_hz
        parts.append(heard(oscillator, 300, block))
    steps = np.abs(np.diff(np.concatenate(parts)))
    # the steepest that 1000 Hz can be, and the rise of the loudness
    assert steps.max(initial=0.0) <= VOLUME * (2 * np.pi * 1000.0 / RATE_HZ + 1 / 240) + 1e-6


def test_blocks_of_any_size_are_one_tone() -> None:
    def tone(block: int) -> NDArray[np.float32]:
        oscillator = Oscillator(RATE_HZ, VOLUME)
        oscillator.tone_hz = 7000.0
        return heard(oscillator, 4000, block)

    np.testing.assert_allclose(tone(64), tone(777), atol=1e-5)
