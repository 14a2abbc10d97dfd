"""The program against an independent reading of the experiment's description."""

from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core_session import frame_of, info_of, session_of, started
from numpy.typing import NDArray
from reference_reading import Frame, Reading, Rules, frames_that_count, read_experiment
from reference_task import interval_slowly, play_passively

from bci.core.calibration import CalibrationResult
from bci.core.chance import predict_chance
from bci.core.loop_types import Decision
from bci.core.stream_types import RoiFrame, StreamInfo

pytestmark = pytest.mark.slow

N_PLUS = N_MINUS = 4


def rules_of(rate_hz: str, n_planes: int, seed: int, **changes: Any) -> Rules:
    """Windows and trials of so many decoded frames, whatever the rate."""
    plane_rate = float(rate_hz) / n_planes

    def seconds(n_frames: float) -> str:
        return f"{n_frames / plane_rate:.4f}"

    fields: dict[str, Any] = {
        "rate_hz": rate_hz,
        "n_planes": n_planes,
        "window_s": seconds(90),
        "percentile": 10.0,
        "smoothing": 3,
        "floor": 1.0,
        "dark": 12.5,
        "polarity": 1,
        "baseline_s": seconds(900),
        "grey_s": seconds(8),
        "trial_s": seconds(120.5),
        "hit_s": seconds(31),
        "reward_delay_s": seconds(15.5),
        "black_s": seconds(15),
        "miss_s": seconds(46),
        "session_s": seconds(1700),
        "seed": seed,
        "max_gap_s": seconds(60),
    }
    return Rules(**(fields | changes))


def run_program(
    received: list[RoiFrame], info: StreamInfo, rules: Rules, angle_map: str
) -> tuple[list[Decision], list[list[float]], CalibrationResult]:
    labels = [roi.label for roi in info.plane_rois(0)]
    session = session_of(
        p_plus=labels[:N_PLUS],
        p_minus=labels[N_PLUS : N_PLUS + N_MINUS],
        baseline_s=float(rules.baseline_s),
        decoder={
            "f0_window_s": float(rules.window_s),
            "f0_percentile": rules.percentile,
            "smoothing_frames": rules.smoothing,
            "dff_floor_counts": rules.floor,
            "angle_map": angle_map,
        },
        task={
            name: float(getattr(rules, name))
            for name in (
                "grey_s",
                "trial_s",
                "hit_s",
                "reward_delay_s",
                "black_s",
                "miss_s",
                "session_s",
            )
        },
        faults={"max_gap_s": float(rules.max_gap_s)},
        calibration={
            "seed": rules.seed,
            "carry_over": rules.carry_over,
            "z_first": rules.z_first,
        },
    )
    loop = started(session, info)
    assert loop.run_frames == rules.run_frames
    decisions, dff, result = [], [], None
    for frame in received:
        decisions.append(loop.step(frame))
        if decisions[-1].decoded:
            dff.append(list(loop.decoder.signal))
        if loop.needs_calibration:
            found = loop.calibrate()
            chance = predict_chance(
                session.experiment,
                info,
                loop.decoder.layout,
                loop.baseline_s3,
                loop.baseline_signals,
                found.threshold,
            )
            loop.apply(found.threshold)
            result = found.with_chance(chance)
    assert result is not None
    return decisions, dff, result


def compare(
    traces: NDArray[np.float32], rules: Rules, lost: set[int], angle_map: str = "steps"
) -> Reading:
    """One recording (ROIs × frames of the decoded plane) through the program and the reading."""
    n_rois, n_frames = traces.shape
    labels = [f"roi{i}" for i in range(n_rois)] * rules.n_planes
    labels = [f"{label}p{i // n_rois}" for i, label in enumerate(labels)]
    info = info_of(
        labels,
        planes=[i // n_rois for i in range(len(labels))],
        rate_hz=float(rules.rate_hz),
        polarity=rules.polarity,
        dark_counts=rules.dark,
    )
    received = []
    for frame_id in range(n_frames * rules.n_planes):
        plane, k = frame_id % rules.n_planes, frame_id // rules.n_planes
        if frame_id not in lost:
            values = traces[:, k] if plane == 0 else traces[::-1, k]
            received.append(frame_of(info, frame_id, values, plane))

    decisions, dff, result = run_program(received, info, rules, angle_map)
    decoded = [decision for decision in decisions if decision.decoded]

    counted = frames_that_count([(f.frame_id, f.plane) for f in received], 0, rules)
    frames = [
        Frame(received[i].frame_id, received[i].fluorescence[: N_PLUS + N_MINUS].tolist(), refilled)
        for i, refilled in counted
    ]
    reading = read_experiment(frames, N_PLUS, rules, continuous=angle_map == "continuous")

    assert [d.frame_id for d in decoded] == [frame.frame_id for frame in frames]
    assert np.array_equal(dff, reading.dff)
    tight = {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose([d.s for d in decoded], reading.s, **tight)
    np.testing.assert_allclose([d.s3 for d in decoded], reading.s3, **tight)
    np.testing.assert_allclose(
        [result.lo, result.t, result.fresh_t, result.mu, result.sigma, result.z_t],
        [reading.lo, reading.t, reading.fresh_t, reading.mu, reading.sigma, reading.z_t],
        **tight,
    )
    compare_chance(result, reading, rules)
    angles = [d.angle_deg for d in decoded]
    if angle_map == "steps":
        assert np.array_equal(angles, reading.angles, equal_nan=True)
    else:
        np.testing.assert_allclose(angles, reading.angles, rtol=1e-11, atol=1e-11)
    assert [d.state.name for d in decoded] == reading.states
    assert [d.trial for d in decoded] == reading.trial_of
    assert [
        (d.trial_end.outcome, d.trial_end.start_frame_id, d.trial_end.stop_frame_id)
        for d in decisions
        if d.trial_end is not None
    ] == [(trial.outcome, trial.start_id, trial.stop_id) for trial in reading.trials]
    ends = [d.trial_end for d in decisions if d.trial_end is not None]
    assert [end.early for end in ends] == [trial.early for trial in reading.trials]
    assert [
        (d.frame_id, d.reward.trial) for d in decisions if d.reward is not None
    ] == reading.rewards
    return reading


def compare_chance(result: CalibrationResult, reading: Reading, rules: Rules) -> None:
    """The task from grey to black, laid out over the baseline; hit rates of blocks of 60 s."""
    s3 = reading.baseline.tolist()
    trials = play_passively(s3, reading.t, rules, [True] * len(s3))
    assert result.chance_trials == len(trials)
    rate = np.mean([hit for _, hit in trials]) if trials else np.nan
    np.testing.assert_equal(result.chance, rate)
    block_frames = ceil(60 * rules.plane_rate_hz)
    if len(s3) < 2 * block_frames:
        assert np.isnan([result.chance_low, result.chance_high]).all()
        return
    session_frames = float(Fraction(rules.session_s) * rules.plane_rate_hz)
    expected = interval_slowly(trials, len(s3), block_frames, rules.seed, session_frames)
    np.testing.assert_allclose((result.chance_low, result.chance_high), expected, rtol=1e-9)


def calcium(n_rois: int, n_frames: int, seed: int) -> NDArray[np.float32]:
    """Events that decay, on a background with noise and bleaching, counts."""
    rng = np.random.default_rng(seed)
    events = rng.random((n_rois, n_frames)) < 0.02
    kernel = np.exp(-np.arange(60) / 12)
    activity = np.array([np.convolve(row, kernel)[:n_frames] for row in events.astype(float)])
    background = rng.uniform(200, 800, (n_rois, 1)) * np.linspace(1, 0.9, n_frames)
    counts = background * (1 + 0.5 * activity) + rng.normal(0, 10, (n_rois, n_frames))
    return counts.astype(np.float32)


def some_lost(n_ids: int, seed: int, one_in: int, n_long: int, long_ids: int) -> set[int]:
    """Single frames, a few in a row, and gaps long enough for F0 to begin anew."""
    rng = np.random.default_rng(seed + 1000)
    lost = {int(i) for i in rng.integers(1, n_ids, n_ids // one_in)}
    for start in rng.integers(1, n_ids - 40, 10):
        lost |= set(range(start, start + int(rng.integers(2, 40))))
    for start in rng.integers(n_ids // 3, n_ids - long_ids, n_long):
        lost |= set(range(start, start + long_ids + int(rng.integers(1, 20))))
    return lost


def long(*values: object) -> Any:
    """More of the same, for `make test-long`."""
    return pytest.param(*values, marks=pytest.mark.long)


@pytest.mark.parametrize("seed", [1, long(2), long(3)])
@pytest.mark.parametrize(
    ("rate_hz", "n_planes"), [("15.46", 1), ("30", 1), ("1000", 1), ("30.92", 2), ("29.7", 3)]
)
def test_simulated_recording_reads_as_described(rate_hz: str, n_planes: int, seed: int) -> None:
    rules = rules_of(rate_hz, n_planes, seed)
    traces = calcium(N_PLUS + N_MINUS + 2, 3000, seed)
    lost = some_lost(3000 * n_planes, seed, one_in=50, n_long=1, long_ids=61 * n_planes)
    reading = compare(traces, rules, lost)
    outcomes = [trial.outcome for trial in reading.trials]
    assert "hit" in outcomes
    assert len(outcomes) >= 5


def rules_with_interval(rate_hz: str, n_planes: int, seed: int, **changes: Any) -> Rules:
    """A baseline of 140 s, so that chance has an interval, and an hour of trials after it."""
    return rules_of(rate_hz, n_planes, seed, baseline_s="140", session_s="3600", **changes)


@pytest.mark.parametrize(
    ("rate_hz", "n_planes", "carry_over"),
    [
        ("15.46", 1, "z"),
        ("15.46", 1, "fresh"),
        ("30.92", 2, "easier"),
        long("15.46", 1, "easier"),
        *(long("30", 1, carry_over) for carry_over in ("z", "fresh", "easier")),
        *(long("30.92", 2, carry_over) for carry_over in ("z", "fresh")),
    ],
)
def test_later_day_carries_t_over_and_predicts_chance_as_described(
    rate_hz: str, n_planes: int, carry_over: str
) -> None:
    plane_rate = float(rate_hz) / n_planes
    n_frames = round(190 * plane_rate)

    def day(seed: int, scale: float, **changes: Any) -> Reading:
        rules = rules_with_interval(rate_hz, n_planes, seed, **changes)
        traces = 300 + scale * (calcium(N_PLUS + N_MINUS + 2, n_frames, seed) - 300)
        lost = some_lost(n_frames * n_planes, seed, 50, 0, 0)
        return compare(traces.astype(np.float32), rules, lost)

    first = day(11, 1.0)
    assert first.trials
    for seed, scale in ((12, 0.7), (13, 1.2)):
        later = day(seed, scale, z_first=first.z_t, carry_over=carry_over)
        assert later.trials
        assert later.t <= later.fresh_t or carry_over == "z"


def test_later_day_at_1000_hz_carries_t_over_as_described() -> None:
    traces = calcium(N_PLUS + N_MINUS + 2, 3000, 14)
    z_first = compare(traces, rules_of("1000", 1, 14), set()).z_t
    lost = some_lost(3000, 15, one_in=50, n_long=1, long_ids=61)
    rules = rules_of("1000", 1, 15, z_first=0.9 * z_first)
    assert compare(calcium(N_PLUS + N_MINUS + 2, 3000, 15), rules, lost).trials


@pytest.mark.parametrize("seed", [4, long(5)])
def test_inverted_digitiser_continuous_angle_and_low_counts_read_as_described(seed: int) -> None:
    rules = rules_of(
        "30.92",
        2,
        seed,
        polarity=-1,
        dark=65535.0,
        percentile=37.5,
        smoothing=5,
        floor=400.0,
    )
    traces = np.float32(65535) - np.round(calcium(N_PLUS + N_MINUS + 2, 3000, seed))
    reading = compare(traces, rules, some_lost(6000, seed, 30, 1, 125), angle_map="continuous")
    assert reading.trials


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("rate_hz", "n_planes", "seed"),
    [("15.46", 1, 1), ("30.92", 2, 4), long("30", 1, 2), long("1000", 1, 3)],
)
def test_recording_of_a_mouse_reads_as_described(
    bci_data: Path, rate_hz: str, n_planes: int, seed: int
) -> None:
    traces = np.load(bci_data / "sue2x" / "traces.npy") + np.float32(500)
    rng = np.random.default_rng(seed)
    traces = traces[rng.permutation(len(traces))]
    n_frames = traces.shape[1]
    lost = some_lost(n_frames * n_planes, seed, 40, 1, 61 * n_planes)
    reading = compare(traces, rules_of(rate_hz, n_planes, seed), lost)
    assert reading.trials
    assert compare(traces, rules_of(rate_hz, n_planes, seed), set()).rewards


@pytest.mark.realdata
@pytest.mark.parametrize("carry_over", ["easier", long("z")])
def test_later_day_of_a_mouse_reads_as_described(bci_data: Path, carry_over: str) -> None:
    """Day 1 are some of its neurons, day 2 others; 194 s at 15.46 Hz give chance an interval."""
    traces = np.load(bci_data / "sue2x" / "traces.npy") + np.float32(500)
    first = compare(traces, rules_with_interval("15.46", 1, 1), set())
    rules = rules_with_interval("15.46", 1, 2, z_first=first.z_t, carry_over=carry_over)
    assert compare(np.roll(traces, 20, axis=0), rules, some_lost(3000, 2, 40, 0, 0)).trials
