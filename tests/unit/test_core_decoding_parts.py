"""Every part that a decoder may be made of, against its words in plain NumPy."""

from math import isnan, nan
from typing import Any, get_args

import numpy as np
import pytest
from core_session import Animal, frame_of, info_of, session_of, started
from numpy.typing import NDArray
from reference_parts import density_at, read_exponential, read_spikes, read_velocity, width_of

from bci.config.experiment import Decoder
from bci.core.decoding.decoder import EnsembleDecoder
from bci.core.decoding.exponential import ExponentialMean
from bci.core.decoding.kernel_mode import KernelMode, kernel_mode
from bci.core.decoding.registry import (
    CURSORS,
    F0_MODES,
    READ_OUT_WORDS,
    READ_OUTS,
    SIGNAL_UNITS,
    SIGNALS,
)
from bci.core.decoding.spikes import Spikes
from bci.core.decoding.velocity import Velocity
from bci.core.loop_types import LedgerKind, TaskState
from bci.core.stimulus_types import ScreenKind


def counts(seed: int, n_frames: int, n_rois: int) -> NDArray[np.float64]:
    """Rest with noise, and transients upwards."""
    rng = np.random.default_rng(seed)
    active = rng.random((n_frames, n_rois)) < 0.1
    rest = rng.uniform(100, 900, n_rois)
    return rest * (
        1 + rng.normal(0, 0.03, active.shape) + active * rng.exponential(1, active.shape)
    )


def decoder_of(labels: str = "abcd", rate_hz: float = 10.0, **decoder: Any) -> EnsembleDecoder:
    minus = () if decoder.get("read_out") == "one_population" else labels[len(labels) // 2 :]
    plus = labels[: len(labels) // 2]
    session = session_of(p_plus=plus, p_minus=minus, decoder=dict(decoder))
    return EnsembleDecoder(session.experiment.decoder, info_of(labels, rate_hz=rate_hz))


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("f0_mode", F0_MODES),
        ("signal", SIGNALS),
        ("signal", SIGNAL_UNITS),
        ("read_out", READ_OUTS),
        ("read_out", READ_OUT_WORDS),
        ("control", CURSORS),
    ],
)
def test_every_choice_of_the_settings_is_registered(name: str, registered: dict[str, Any]) -> None:
    assert set(get_args(Decoder.model_fields[name].annotation)) == set(registered)


@pytest.mark.parametrize(("seed", "window"), [(1, 1), (2, 7), (3, 464), (4, 2000)])
def test_exponential_mean_is_the_recursion_after_the_mean_of_its_first_frames(
    seed: int, window: int
) -> None:
    f = counts(seed, 900, 3)
    f0 = ExponentialMean(3, window)
    for _ in range(2):
        found = [f0.update(row) for row in f.tolist()]
        np.testing.assert_allclose(found, read_exponential(f, window), rtol=1e-12)
        f0.reset()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 463])
def test_kernel_mode_is_where_the_density_is_highest(seed: int, n: int) -> None:
    values = np.sort(counts(seed, n, 1)[:, 0])
    mode = kernel_mode(values)
    if n == 1:
        assert mode == values[0]
        return
    candidates = values[:: max(1, n // 32)]
    density = density_at(candidates, values, width_of(values))
    place = int(np.argmin(np.abs(candidates - mode)))
    assert mode == pytest.approx(candidates[place], rel=1e-13)
    assert density[place] == pytest.approx(density.max(), rel=1e-9)


def test_kernel_mode_is_the_rest_of_an_active_cell() -> None:
    rng = np.random.default_rng(0)
    quiet = rng.normal(500, 10, 300)
    active = rng.uniform(500, 2500, 164)
    assert kernel_mode(np.sort(np.r_[quiet, active])) == pytest.approx(500, abs=10)


@pytest.mark.parametrize("values", [[5.0] * 9, [5.0] * 8 + [9.0], [1e9] * 50 + [1e9 + 1]])
def test_kernel_mode_of_equal_values_is_that_value(values: list[float]) -> None:
    assert kernel_mode(np.array(values)) == values[0]


def test_kernel_mode_is_brought_up_to_date_one_roi_a_frame_over_the_trailing_window() -> None:
    f, n_rois, window = counts(6, 120, 3), 3, 40
    f0 = KernelMode(n_rois, window)
    for _ in range(2):
        expected = f[0].copy()
        for k, row in enumerate(f.tolist()):
            found = f0.update(row)
            i = k % n_rois
            expected[i] = kernel_mode(np.sort(f[max(0, k + 1 - window) : k + 1, i]))
            assert found == expected.tolist()
        f0.reset()


def voltage(seed: int, n_frames: int, n_rois: int) -> tuple[NDArray[np.float64], list[list[int]]]:
    """Slow drift, noise, and spikes of one frame."""
    rng = np.random.default_rng(seed)
    drift = 5000 + 300 * np.sin(np.arange(n_frames) / 400)[:, None]
    f = drift + rng.normal(0, 20, (n_frames, n_rois))
    at = [
        sorted(rng.choice(np.arange(600, n_frames, 10), 40, replace=False)) for _ in range(n_rois)
    ]
    for i, frames in enumerate(at):
        f[frames, i] += 250
    return f, at


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_spikes_are_the_crossings_of_the_high_passed_trace(seed: int) -> None:
    f, _ = voltage(seed, 3000, 4)
    spikes = Spikes(4, 500, 1000.0, 10.0, 4.0)
    for _ in range(2):
        found = np.array([spikes.update(row) for row in f.tolist()])
        assert np.array_equal(found > 0, read_spikes(f, 500, 1000.0, 10.0, 4.0))
        assert set(np.unique(found)) == {0.0, 1000.0}
        spikes.reset()


def test_spikes_that_were_put_in_are_found_and_few_others() -> None:
    f, at = voltage(7, 6000, 3)
    spikes = Spikes(3, 1000, 1000.0, 10.0, 5.0)
    found = np.array([spikes.update(row) for row in f.tolist()])[600:] > 0
    for i, frames in enumerate(at):
        hit = np.isin(np.array(frames) - 600, np.flatnonzero(found[:, i]))
        assert hit.mean() > 0.95
        assert found[:, i].sum() - hit.sum() <= 2


def test_smoothed_spikes_are_spikes_per_second() -> None:
    decoder = decoder_of("ab", 1000.0, signal="spikes", smoothing_frames=100)
    rest = [1000.0 + (k % 7) for k in range(3000)]
    for k, value in enumerate(rest):
        decoder.update([value + (500.0 if k % 50 == 0 and k > 2000 else 0.0), value])
    assert decoder.s3 == pytest.approx(20.0)


def test_raw_signal_is_the_counts() -> None:
    decoder = decoder_of("abcd", signal="raw", smoothing_frames=1)
    assert decoder.update([10.0, 20.0, 3.0, 4.0]) == 15.0 - 3.5
    assert decoder.signal == [10.0, 20.0, 3.0, 4.0]


def test_one_population_is_the_mean_of_p_plus() -> None:
    session = session_of(
        p_plus="ab", p_minus="", decoder={"read_out": "one_population", "signal": "raw"}
    )
    decoder = EnsembleDecoder(session.experiment.decoder, info_of("abcd"))
    assert decoder.update([10.0, 20.0]) == 15.0
    assert decoder.labels == ("a", "b")


@pytest.mark.parametrize("seed", [1, 2])
def test_velocity_is_the_sum_of_its_turns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s3 = rng.normal(0.1, 0.3, 400)
    running = np.repeat(rng.random(20) < 0.7, 20)
    cursor = Velocity(2.5, continuous=True)
    found, reached = [], []
    for value, runs in zip(s3.tolist(), running.tolist(), strict=True):
        reached.append(cursor.update(value, 0.4, -0.1, running=runs))
        found.append(cursor.angle_deg)
    expected = read_velocity(s3, running, 0.4, -0.1, 2.5)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert reached == [angle == 90.0 and runs for angle, runs in zip(found, running, strict=True)]
    assert True in reached


def test_velocity_without_threshold_shows_no_angle() -> None:
    cursor = Velocity(2.5, continuous=False)
    assert not cursor.update(0.5, nan, nan, running=False)
    assert isnan(cursor.angle_deg)


def test_velocity_turns_from_zero_in_every_run_and_hits_at_the_target() -> None:
    session = session_of(
        threshold=(1.0, 0.0),
        decoder={"control": "velocity", "velocity_deg_per_s": 300.0, "f0_percentile": 0.0},
    )
    animal = Animal(started(session, info_of()), info_of())
    animal.until(TaskState.RUN, limit=100)
    assert animal.decisions[-1].angle_deg == 0.0
    shown = [animal.acts(5.0) for _ in range(4)]
    assert [d.angle_deg for d in shown] == [30.0, 60.0, 90.0, 0.0]
    assert [d.state for d in shown[:3]] == [TaskState.RUN, TaskState.RUN, TaskState.HIT]
    assert shown[0].command is not None
    assert (shown[0].command.screen, shown[0].command.orientation_deg) == (ScreenKind.GRATING, 30)
    animal.until(TaskState.RUN)
    assert animal.decisions[-1].angle_deg == 0.0


def test_lost_and_unreadable_frames_do_not_turn_the_velocity() -> None:
    info = info_of()
    session = session_of(
        threshold=(1.0, 0.0),
        decoder={"control": "velocity", "velocity_deg_per_s": 150.0, "f0_percentile": 0.0},
        task={"trial_s": 20.0},
    )
    animal = Animal(started(session, info), info)
    animal.until(TaskState.RUN, limit=100)
    animal.acts(5.0)
    animal.loses(3)
    assert animal.acts(5.0).angle_deg == 30.0
    animal.take(frame_of(info, animal.next_id, [np.nan] * 4))
    assert animal.decisions[-1].ledger[0].kind is LedgerKind.NOT_FINITE
    assert animal.acts(5.0).angle_deg == 45.0
