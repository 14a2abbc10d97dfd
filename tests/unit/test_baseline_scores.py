"""Scores of a baseline find what its cells were made of."""

import tracemalloc
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from baseline_of_known_cells import (
    CELLS,
    DECAY_S,
    DURATION_S,
    HEIGHT,
    NOISE,
    RATE_HZ,
    baseline_of,
    session,
)
from played_session import Played, made_session

from bci.analysis.baseline.events import find_events, trailing_mean
from bci.analysis.baseline.proposal import candidates, shortcomings
from bci.analysis.baseline.recording import read_baseline
from bci.analysis.baseline.scores import Scores, correlations, drift, score_rois
from bci.analysis.baseline.signals import plane_signals
from bci.analysis.baseline.tuning import tuning
from bci.config.ensembles import EnsembleChoice
from bci.core.loop import ClosedLoop
from bci.core.loop_types import BlockBegun, BlockKind, EpochStarted, Pause, Resume
from bci.core.stream_types import RoiFrame
from bci.recording.folder import JOURNAL
from bci.recording.readers.traces import RecordingError

BASELINE, TIMES = baseline_of(CELLS)


@pytest.fixture(scope="module")
def scores() -> Scores:
    return score_rois(BASELINE)


def test_each_cell_falls_short_of_what_it_was_made_without(scores: Scores) -> None:
    settings = BASELINE.session.experiment.ensembles
    found = {roi.label: shortcomings(roi, 0, settings) for roi in scores.rois}
    assert found["usual"] == found["busy"] == found["other"] == ()
    assert "rate" in found["silent"]
    assert found["fading"] == ("drift",)
    assert found["slow"] == ("decay",)
    assert found["tuned"] == ("tuned",)
    assert found["missing"] == ("not finite",)
    assert "SNR" in found["noisy"]


def test_events_are_counted_and_shaped_as_they_were_made(scores: Scores) -> None:
    first_s = scores_start_s()
    for place, label in ((0, "usual"), (9, "other")):
        roi = scores.of(label)
        times = TIMES[place]
        # two within a decay time are one rise
        apart = np.append(True, np.diff(times) > 2 * DECAY_S) & (times > first_s)
        expected = np.count_nonzero(apart) / (DURATION_S - first_s)
        assert roi.event_rate_hz == pytest.approx(expected, rel=0.12)
        assert roi.decay_s == pytest.approx(DECAY_S, rel=0.15)
        # mean of 3 frames: white noise falls by √3, and the peak by what decays meanwhile
        assert roi.snr == pytest.approx(HEIGHT * 0.85 / (NOISE / 3**0.5), rel=0.35)
        assert isnan(roi.x_px)
    assert scores.of("slow").decay_s == pytest.approx(2.0, rel=0.3)
    assert scores.of("busy").event_rate_hz > 1.7 * scores.of("usual").event_rate_hz
    assert scores.of("fading").drift == pytest.approx(-0.4, abs=0.05)
    assert abs(scores.of("usual").drift) < 0.02


def scores_start_s() -> float:
    return float(plane_signals(BASELINE, 0).frame_ids[0]) / RATE_HZ


def test_one_neuron_drawn_twice_is_found_and_taken_once(scores: Scores) -> None:
    twin, usual = scores.of("twin"), scores.of("usual")
    assert (twin.most_like, usual.most_like) == ("usual", "twin")
    assert min(twin.correlation_max, usual.correlation_max) > 0.9
    assert scores.of("other").correlation_max < 0.3
    labels = [roi.label for roi in candidates(scores, EnsembleChoice())]
    assert len({"twin", "usual"} & set(labels)) == 1
    assert {"busy", "other"} < set(labels)
    by_all = candidates(scores, EnsembleChoice(max_correlation=1.0))
    assert {"twin", "usual"} < {roi.label for roi in by_all}


def test_the_response_to_the_target_lies_in_its_interval(scores: Scores) -> None:
    assert scores.has_gratings
    tuned = scores.of("tuned")
    # F0 of a cell that is often active stands a little above its rest
    assert tuned.tuning_low < 0.3 < tuned.tuning_high + 0.03
    assert tuned.tuning_low > 0.1
    untuned = [scores.of(label) for label in ("usual", "busy", "other")]
    assert all(roi.tuning_low < 0 < roi.tuning_high for roi in untuned)


def test_interval_of_tuning_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    # few visits of large spread against many of small: what Welch's interval is for
    visits = np.array([90.0] * 4 + [45.0] * 5 + [0.0] * 16)
    angle, n_cells = np.repeat(visits, 10), 4000
    spread = np.where(visits == 90.0, 1.0, 0.2)[:, np.newaxis]
    means = 0.4 * (visits == 90.0)[:, np.newaxis] + spread * rng.standard_normal((25, n_cells))
    # gratings that follow each other alike are one visit: a frame of grey between them
    angle[9::10] = np.nan
    found = tuning(np.repeat(means, 10, axis=0), angle, 10.0, 0.9)
    covered = np.mean((found.low < 0.4) & (found.high > 0.4))
    assert covered == pytest.approx(0.9, abs=0.02)


def test_what_a_grating_leaves_behind_is_not_counted_to_the_next() -> None:
    angle = np.tile(np.repeat([0.0, 90.0], 10), 20)
    late = np.roll((angle == 90.0).astype(float), 2)[:, np.newaxis]
    found = tuning(late, angle, 10.0, 0.95)
    assert found.difference.tolist() == [1.0]


def test_too_few_gratings_tell_nothing() -> None:
    angle = np.full(100, np.nan)
    angle[10:30] = 90.0
    assert np.isnan(tuning(np.ones((100, 2)), angle, 10.0, 0.95)).all()


def test_noise_on_a_slope_makes_no_second_event() -> None:
    trace = np.tile([-1.0, 1.0], 200)
    trace[101:111] = [9.0, 3.3, 2.8, 3.4, 2.7, 3.2, 2.6, 2.4, 2.2, 1.9]
    events = find_events(trace, 3.0)
    assert events.onsets.tolist() == [101]
    assert events.peaks.tolist() == [101]
    assert find_events(np.zeros(50), 3.0).snr == 0.0


def test_denoised_ripples_are_no_events() -> None:
    trace = np.zeros(200)
    trace[50:60], trace[120:130] = 0.3, 1e-6
    assert find_events(trace, 4.0).onsets.tolist() == [50, 120]
    assert find_events(trace, 4.0, least=0.05).onsets.tolist() == [50]


def test_smoothing_is_that_of_the_decoder() -> None:
    session_3 = BASELINE.with_population(["usual"], 0)
    smoothed: list[float] = []
    BASELINE.run(session_3, lambda loop, _: smoothed.append(loop.decoder.s3))
    s3 = smoothed[-len(plane_signals(BASELINE, 0).frame_ids) :]
    signal = plane_signals(BASELINE, 0).signal[:, :1]
    np.testing.assert_allclose(trailing_mean(signal, 3)[2:, 0], s3[2:], atol=1e-12)


def test_signals_are_those_of_the_loop_bit_for_bit() -> None:
    found = plane_signals(BASELINE, 0)
    assert [roi.label for roi in found.rois] == [name for name in CELLS if name != "missing"]
    singles: list[float] = []
    loop = BASELINE.run(
        BASELINE.with_population(["slow"], 0), lambda loop, _: singles.append(loop.decoder.s)
    )
    n = len(loop.baseline_s3)
    assert found.signal[:, 4].tolist() == singles[-n:]
    assert len(found.frame_ids) == n


def test_drift_and_correlation_of_flat_traces_are_told_apart() -> None:
    decoder = session().experiment.decoder
    flat = np.full((100, 3), [100.0, 0.0, 50.0], dtype=np.float32)
    flat[:, 2] *= np.linspace(0.9, 1.1, 100, dtype=np.float32)
    found = drift(flat, 10.0, decoder)
    assert found[0] == 0.0
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(0.2, rel=0.1)
    r = correlations(flat.astype(float))
    assert r[0, 2] == 0.0
    assert r[2, 2] == pytest.approx(1.0)


GRATINGS = {"duration_s": 8.0, "stimulus": "gratings", "grating_s": 0.5, "grating_jitter_s": 0.2}


def day_with_gratings(folder: Path, **changes: Any) -> Played:
    return Played(
        folder, made_session(experiment={"threshold": None, "baseline": GRATINGS} | changes)
    )


def test_baseline_of_a_session_is_the_one_that_its_loop_calibrated_on(tmp_path: Path) -> None:
    played = day_with_gratings(tmp_path / "day").start()
    played.frames(0, 60)
    played.frames(63, 90)
    played.apply(Pause(), 7.6)
    played.frames(90, 100)
    played.apply(Resume(), 8.1)
    played.frames(100, 200)
    calibrated = played.loop.calibrate()
    baseline_s3 = list(played.loop.baseline_s3)
    played.apply(calibrated.threshold, 13.0)
    played.frames(200, 260)
    played.close()

    baseline = read_baseline(tmp_path / "day", None)
    assert baseline.run(baseline.session).baseline_s3 == baseline_s3
    assert baseline.run(baseline.session).calibrate() == calibrated
    assert (baseline.name, baseline.source) == ("mouse-20260301T101500", tmp_path / "day")
    signals = plane_signals(baseline, 0)
    by_frame = {d.frame_id: d.command for d in played.decisions if d.command is not None}
    shown = [
        by_frame[max(k for k in by_frame if k < frame_id)].orientation_deg
        for frame_id in signals.frame_ids.tolist()
    ]
    assert signals.angle_deg.tolist() == shown
    assert len(set(shown)) >= 4
    # another choice of ensembles, on the same frames
    other = baseline.run(baseline.with_ensembles(["c"], ["d"]))
    assert len(other.baseline_s3) == len(baseline_s3)
    assert other.baseline_s3 != baseline_s3


def test_of_several_baselines_the_last_counts_with_its_f0_from_before(tmp_path: Path) -> None:
    played = day_with_gratings(tmp_path / "day", hold=True).start()
    played.frames(0, 30)
    played.apply(BlockBegun(BlockKind.BASELINE), 4.5)
    played.frames(30, 250)
    played.apply(EpochStarted(1), 15.5)
    played.epoch = 1
    played.frames(250, 300)
    played.apply(BlockBegun(BlockKind.BASELINE), 18.0)
    played.frames(300, 480)
    played.close()
    assert played.loop.needs_calibration
    baseline = read_baseline(tmp_path / "day", None)
    signals = plane_signals(baseline, 0)
    assert signals.frame_ids.tolist() == list(range(300, 460))
    found = baseline.run(baseline.session).baseline_s3
    np.testing.assert_allclose(found[2:], played.loop.baseline_s3[2:])
    assert np.isfinite(signals.angle_deg).all()


def test_baseline_without_ensembles_can_be_chosen_from(tmp_path: Path) -> None:
    decoder = {"p_plus": [], "p_minus": [], "f0_window_s": 1.0}
    played = day_with_gratings(tmp_path / "day", decoder=decoder).start()
    played.frames(0, 200)
    played.close()
    baseline = read_baseline(tmp_path / "day", None)
    assert len(plane_signals(baseline, 0).frame_ids) == 8 * 20 - 20
    assert len(baseline.run(baseline.with_ensembles(["a"], ["c"])).baseline_s3) == 140


def test_of_a_long_session_no_more_than_its_baseline_is_held(tmp_path: Path) -> None:
    labels = tuple(f"roi{i}" for i in range(2000))
    decoder = {"p_plus": ["roi0"], "p_minus": ["roi1"], "f0_window_s": 1.0}
    session = made_session(
        experiment={"threshold": None, "baseline": {"duration_s": 3.0}, "decoder": decoder}
    )
    played = Played(tmp_path / "day", session, labels=labels).start()
    played.frames(0, 2000)
    played.close()
    tracemalloc.start()
    try:
        baseline = read_baseline(tmp_path / "day", None)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    n_frames = sum(isinstance(item, RoiFrame) for item in baseline.inputs)
    assert 60 <= n_frames < 120
    assert most_bytes < (tmp_path / "day" / JOURNAL).stat().st_size / 3


def test_session_without_a_baseline_is_refused(tmp_path: Path) -> None:
    Played(tmp_path / "day").start().close()
    with pytest.raises(RecordingError, match="without a baseline block"):
        read_baseline(tmp_path / "day", None)


def test_plain_recording_needs_settings(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.ones((3, 40)))
    with pytest.raises(RecordingError, match="session file"):
        read_baseline(tmp_path / "f.npy", None)


def test_every_frame_of_a_recording_goes_through_the_loop() -> None:
    frames = [item for item in BASELINE.inputs if isinstance(item, RoiFrame)]
    loop = ClosedLoop(BASELINE.session, BASELINE.info)
    window = loop.decoder.window_frames
    assert len(BASELINE.run(BASELINE.session).baseline_s3) == len(frames) - window
