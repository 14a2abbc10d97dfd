"""The simulated field of view has the statistics that its settings name."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.config.rig import SimulatedSource
from bci.core.source import EndOfSource
from bci.simulation.field_of_view import Kernel, SimulatedFieldOfView

pytestmark = pytest.mark.slow

NOISELESS = 1e12


def field(**settings: Any) -> SimulatedFieldOfView:
    """Neurons that are all alike, unless told otherwise."""
    alike = {"kind": "simulated", "diversity": 0.0}
    return SimulatedFieldOfView(SimulatedSource(**(alike | settings)))


def play(source: SimulatedFieldOfView, n_frames: int) -> np.ndarray:
    """Fluorescence, n_frames × n_rois, of a source with one plane."""
    return np.stack([source.read(0.0).fluorescence for _ in range(n_frames)]).astype(float)


@given(
    seed=st.integers(0, 2**32),
    n_planes=st.integers(1, 3),
    places=st.lists(st.integers(0, 4000), min_size=1, max_size=8),
)
def test_a_frame_is_the_same_however_one_came_to_it(
    seed: int, n_planes: int, places: list[int]
) -> None:
    def make() -> SimulatedFieldOfView:
        return field(seed=seed, n_planes=n_planes, n_rois=7, event_rate_hz=2.0, diversity=0.5)

    jumping = make()
    for place in places:
        jumping.seek(place)
        found = jumping.read(0.0)
        direct = make()
        direct.seek(max(0, place - 3))
        for _ in range(min(3, place)):
            direct.read(0.0)
        read_on = direct.read(0.0)
        assert found.frame_id == read_on.frame_id == place
        assert found.plane == read_on.plane == place % n_planes
        assert found.fluorescence.tobytes() == read_on.fluorescence.tobytes()


def test_sought_frames_are_those_of_sequential_reading() -> None:
    through = field(n_rois=5, seed=4)
    frames = play(through, 900)
    sought = field(n_rois=5, seed=4)
    for place in (899, 0, 256, 255, 512, 700):
        sought.seek(place)
        np.testing.assert_array_equal(sought.read(0.0).fluorescence, frames[place])


def test_another_seed_is_another_animal() -> None:
    assert not np.array_equal(play(field(seed=1), 30), play(field(seed=2), 30))


def test_rois_are_dealt_to_the_planes_in_turn() -> None:
    source = field(n_rois=7, n_planes=3)
    assert [roi.plane for roi in source.info.rois] == [0, 1, 2, 0, 1, 2, 0]
    sizes = [len(source.read(0.0).fluorescence) for _ in range(6)]
    assert sizes == [3, 2, 2, 3, 2, 2]
    assert [len(source.info.plane_rois(plane)) for plane in range(3)] == [3, 2, 2]


def test_it_ends_after_its_duration() -> None:
    source = field(duration_s=1.0, rate_hz=30.0)
    play(source, 30)
    with pytest.raises(EndOfSource):
        source.read(0.0)


def test_events_come_at_their_rate_as_a_poisson_process() -> None:
    source = field(n_rois=50, event_rate_hz=0.25)
    rois, times = source.events(0.0, 2000.0)
    expected = 50 * 0.25 * 2000
    assert abs(len(times) - expected) < 5 * math.sqrt(expected)
    counts = np.bincount(rois, minlength=50)
    assert np.var(counts) / np.mean(counts) == pytest.approx(1.0, abs=0.8)
    own = np.sort(times[rois == 3])
    intervals = np.diff(own)
    # of an exponential distribution, mean and SD are the same
    assert np.std(intervals) / np.mean(intervals) == pytest.approx(1.0, abs=0.2)


def test_neurons_differ_in_rate_size_and_rest_and_lie_in_the_image() -> None:
    source = field(n_rois=200, diversity=0.4, n_planes=2, photons_per_count=NOISELESS)
    rois, _ = source.events(0.0, 2000.0)
    counts = np.bincount(rois, minlength=200)
    assert counts.mean() == pytest.approx(0.25 * 2000, rel=0.02)
    assert np.std(np.log(counts)) == pytest.approx(0.4, abs=0.06)
    frames = [source.read(0.0) for _ in range(1000)]
    for plane in (0, 1):
        light = np.stack([frame.fluorescence for frame in frames[plane::2]]) - 100
        rest = np.percentile(light, 2, axis=0)
        own = source.neurons.baseline_counts[plane::2]
        np.testing.assert_allclose(rest, own, rtol=0.12)
        assert np.std(np.log(rest)) == pytest.approx(0.4, abs=0.1)
        # the neuron of the largest events shows the largest dF/F
        size = np.log(light.max(axis=0) / rest - 1)
        assert np.corrcoef(size, np.log(source.neurons.event_dff[plane::2]))[0, 1] > 0.6
    height, width = source.info.image_shape
    places = {(roi.x_px, roi.y_px) for roi in source.info.rois}
    assert len(places) == 200
    assert all(0 < x < width and 0 < y < height for x, y in places)
    assert field(n_rois=200, diversity=0.4).neurons.share[0] == source.neurons.share[0]


def test_events_of_a_window_are_those_of_a_wider_one_that_lie_in_it() -> None:
    rois, times = field(n_rois=50).events(0.0, 20.0)
    inside = (times >= 3.25) & (times < 7.75)
    some_rois, some_times = field(n_rois=50).events(3.25, 7.75)
    np.testing.assert_array_equal(some_rois, rois[inside])
    np.testing.assert_array_equal(some_times, times[inside])
    assert len(some_times) > 20


def test_one_event_rises_to_its_peak_and_decays_with_its_constant() -> None:
    settings = {
        "n_rois": 1,
        "rate_hz": 200.0,
        "event_rate_hz": 0.02,
        "event_dff": 0.6,
        "rise_s": 0.05,
        "decay_s": 0.4,
        "photons_per_count": NOISELESS,
        "bleaching_tau_s": 1e9,
        "dark_counts": 100.0,
        "baseline_counts": 500.0,
    }
    source = field(**settings)
    _, times = source.events(0.0, 2000.0)
    ends = np.sort(times)
    alone = next(a for before, a, b in zip(ends, ends[1:], ends[2:], strict=False)
                 if a - before > 10 and b - a > 10)  # fmt: skip
    source.seek(math.ceil(alone * 200))
    t_s = (math.ceil(alone * 200) + np.arange(600)) / 200 - alone
    dff = (play(source, 600)[:, 0] - 100) / 500 - 1
    assert dff.max() == pytest.approx(0.6, rel=1e-3)
    kernel = Kernel.of(0.05, 0.4)
    assert t_s[np.argmax(dff)] == pytest.approx(kernel.peak_s, abs=0.006)
    np.testing.assert_allclose(dff, 0.6 * kernel.at(t_s), atol=1e-5)
    late = (t_s > 0.6) & (t_s < 1.4)
    slope = np.polyfit(t_s[late], np.log(dff[late]), 1)[0]
    assert -1 / slope == pytest.approx(0.4, rel=0.01)


def test_the_mean_is_that_of_shot_noise_on_filtered_events() -> None:
    source = field(n_rois=200, event_rate_hz=0.5, photons_per_count=NOISELESS, bleaching_tau_s=1e9)
    source.seek(3000)
    frames = play(source, 3000)
    kernel = Kernel.of(0.05, 0.4)
    area_s = kernel.scale * (kernel.decay_s - kernel.rise_s)
    expected = 100 + 500 * (1 + 0.5 * 0.6 * area_s)
    assert frames.mean() == pytest.approx(expected, rel=0.005)


def test_shot_noise_has_the_variance_of_its_photons() -> None:
    quiet = {"event_rate_hz": 1e-9, "bleaching_tau_s": 1e9, "n_rois": 100}
    for photons, baseline in ((4.0, 500.0), (0.5, 80.0)):
        frames = play(field(photons_per_count=photons, baseline_counts=baseline, **quiet), 2000)
        light = frames - 100
        assert light.mean() == pytest.approx(baseline, rel=1e-3)
        assert light.var() == pytest.approx(baseline / photons, rel=0.02)
        # no memory from frame to frame, and none between ROIs
        centred = light - light.mean(axis=0)
        lagged = np.mean(centred[1:] * centred[:-1]) / np.mean(centred**2)
        assert abs(lagged) < 0.01


def test_shot_noise_grows_with_the_light_of_a_transient() -> None:
    common = {"n_rois": 100, "event_rate_hz": 1.0, "event_dff": 2.0, "bleaching_tau_s": 1e9}
    noisy = play(field(photons_per_count=1.0, **common), 1500)
    clean = play(field(photons_per_count=NOISELESS, **common), 1500)
    light, noise = clean - 100, noisy - clean
    bright = light > 1200
    assert noise[bright].var() == pytest.approx(light[bright].mean(), rel=0.03)
    assert noise[~bright].var() == pytest.approx(light[~bright].mean(), rel=0.03)


def test_light_bleaches_with_its_constant_and_the_dark_level_does_not() -> None:
    source = field(
        n_rois=100, event_rate_hz=1e-9, bleaching_tau_s=50.0, photons_per_count=NOISELESS
    )
    levels = []
    for second in (0, 50, 100):
        source.seek(second * 30)
        levels.append(play(source, 1).mean() - 100)
    for before, after in pairwise(levels):
        assert after / before == pytest.approx(math.exp(-1), rel=1e-4)


@pytest.mark.parametrize(("rise_s", "decay_s"), [(0.05, 0.4), (0.4, 0.4), (0.4, 0.05), (1e-4, 2)])
def test_a_kernel_peaks_at_one_whatever_its_constants(rise_s: float, decay_s: float) -> None:
    kernel = Kernel.of(rise_s, decay_s)
    t_s = np.linspace(0, 10 * decay_s + rise_s, 400_001)
    assert kernel.at(t_s).max() == pytest.approx(1.0, rel=1e-4)
    assert kernel.at(np.array([kernel.peak_s]))[0] == pytest.approx(1.0)
    assert kernel.at(t_s).min() >= 0
