import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.session.light_leak import leak_of
from bci.session.stream_trial import StreamTrialFailed


def turns(leak: float, drift: float, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    level = 500.0 + drift * np.arange(8) + rng.normal(0, noise, 8)
    return level[::2], level[1::2] + leak


@given(st.integers(0, 10**6), st.floats(-2, 2))
def test_a_leak_is_found_whatever_the_drift(seed: int, drift: float) -> None:
    leak = leak_of(*turns(20.0, drift, 0.5, seed), 100.0)
    assert leak.found
    assert leak.difference_counts == pytest.approx(20.0, abs=3.0)


def test_without_a_leak_none_is_told() -> None:
    told = sum(leak_of(*turns(0.0, 1.0, 0.5, seed), 100.0).found for seed in range(300))
    assert told <= 6


def test_a_leak_too_small_to_matter_is_none() -> None:
    leak = leak_of(*turns(0.2, 0.0, 0.0, 1), 100.0)
    assert leak.difference_counts == pytest.approx(0.2)
    assert not leak.found


def test_turns_without_frames_are_no_measurement() -> None:
    with pytest.raises(StreamTrialFailed, match="too few frames"):
        leak_of([500.0, 500.0], [500.0], 0.0)
