"""The axis of day 1, and the read-out that projects on it; weights of the populations."""

from typing import Any

import numpy as np
import pytest
from core_session import Animal, info_of, session_of, started
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.config.experiment import Axis
from bci.core.calibration import BaselineRefused
from bci.core.decoding.decoder import EnsembleDecoder
from bci.core.decoding.fit_axis import fit_axis
from bci.core.decoding.registry import s_unit
from bci.core.loop_types import EnsemblesSet, LedgerKind, TaskState

LABELS = ("a", "b", "c", "d")


def shared_activity(seed: int, loadings: NDArray[np.float64], n: int = 4000) -> NDArray[np.float64]:
    """Signals that share one source, each with noise, a mean and a size of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.2, (n, len(loadings)))
    sizes, means = rng.uniform(0.1, 3, len(loadings)), rng.normal(0, 1, len(loadings))
    return means + sizes * (np.outer(rng.normal(0, 1, n), loadings) + noise)


def decoder_of(axis: Axis, labels: tuple[str, ...] = LABELS, **decoder: Any) -> EnsembleDecoder:
    session = session_of(
        p_plus=labels,
        p_minus=(),
        decoder={"read_out": "population_dynamics", "axis": axis.model_dump(), "signal": "raw"}
        | decoder,
    )
    return EnsembleDecoder(session.experiment.decoder, info_of())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_axis_is_the_direction_along_which_z_scored_activity_varies_most(seed: int) -> None:
    x = shared_activity(seed, np.array([1.0, 1.0, -0.5, 0.8]))
    fitted = fit_axis(x, LABELS)
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    _, singular, directions = np.linalg.svd(z, full_matrices=False)
    found = np.array(fitted.axis.weights)
    assert abs(found @ directions[0]) == pytest.approx(1.0, abs=1e-9)
    assert fitted.explained == pytest.approx(singular[0] ** 2 / (singular**2).sum())
    assert fitted.explained > 0.6
    assert (np.sign(found) == np.sign([1, 1, -1, 1])).all()
    assert (fitted.axis.labels, fitted.n_frames) == (LABELS, len(x))
    np.testing.assert_allclose(fitted.axis.means, x.mean(axis=0))
    np.testing.assert_allclose(fitted.axis.scales, x.std(axis=0, ddof=1))


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_more_activity_on_the_whole_turns_to_the_target(seed: int) -> None:
    loadings = np.random.default_rng(seed).normal(0, 1, 4)
    weights = fit_axis(shared_activity(seed, loadings, 300), LABELS).axis.weights
    assert sum(weights) > 0
    assert fit_axis(shared_activity(seed, -loadings, 300), LABELS).axis.weights is not None


def test_where_weights_cancel_out_the_largest_is_positive() -> None:
    t = np.sin(np.arange(1000.0))
    weights = fit_axis(np.stack([t, -t], axis=1), "ab").axis.weights
    assert sorted(weights) == pytest.approx([-(0.5**0.5), 0.5**0.5])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: x[:, :1], "2 ROIs or more"),
        (lambda x: x[:4], "more frames than ROIs, not 4 frames of 4 ROIs"),
        (lambda x: x * [1, 0, 1, 0], "do not vary or are not finite: b, d"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 7, np.nan, x), "finite: a, b, c, d"),
    ],
)
def test_baseline_that_gives_no_axis_is_refused(change: Any, told: str) -> None:
    x = change(shared_activity(1, np.ones(4), 50))
    with pytest.raises(BaselineRefused, match=told):
        fit_axis(x, LABELS[: x.shape[1]])


def test_s3_is_the_projection_of_the_z_scored_smoothed_signals() -> None:
    x = shared_activity(5, np.array([1.0, 0.4, -0.6, 0.9]), 500) + 50
    axis = fit_axis(x, LABELS).axis
    decoder = decoder_of(axis, smoothing_frames=3)
    for k, row in enumerate(x.tolist()):
        s3 = decoder.update(row)
        smoothed = x[max(0, k - 2) : k + 1].mean(axis=0)
        z = (smoothed - np.array(axis.means)) / np.array(axis.scales)
        assert s3 == pytest.approx(float(z @ np.array(axis.weights)), abs=1e-12)


def test_ensembles_without_an_axis_for_them_are_refused_in_words() -> None:
    """Chosen on the baseline of the session itself, where no axis can be known yet."""
    dynamics = {"read_out": "population_dynamics"}
    session = session_of(p_plus=(), p_minus=(), threshold=None, baseline_s=20.0, decoder=dynamics)
    animal = Animal(started(session, info_of()), info_of())
    animal.until(TaskState.WAITING, limit=300)
    refused = animal.hears(EnsemblesSet(("a", "b"), ()))
    assert refused.ledger[0].kind is LedgerKind.REFUSED
    assert "experiment.decoder.axis" in refused.ledger[0].detail
    assert "bci calibrate" in refused.ledger[0].detail


def test_s_of_an_axis_is_in_standard_deviations() -> None:
    axis = fit_axis(shared_activity(1, np.ones(4), 50), LABELS).axis
    dynamics = session_of(
        p_plus=LABELS,
        p_minus=(),
        decoder={"read_out": "population_dynamics", "axis": axis.model_dump()},
    )
    units = [s_unit(session.experiment.decoder) for session in (dynamics, session_of())]
    assert units == ["SD", "dF/F"]


def test_axis_finds_its_rois_by_label_in_any_order() -> None:
    x = shared_activity(6, np.array([1.0, 0.4, -0.6, 0.9]), 50)
    axis = fit_axis(x, LABELS).axis
    one, other = decoder_of(axis), decoder_of(axis, ("d", "b", "a", "c"))
    for row in x.tolist():
        a, b, c, d = row
        assert one.update([a, b, c, d]) == other.update([d, b, a, c])


def test_loop_with_an_axis_plays_a_trial_to_a_hit() -> None:
    axis = {"labels": ["b", "a"], "weights": [0.6, 0.8], "means": [0, 0], "scales": [1, 0.5]}
    session = session_of(
        p_plus="ab",
        p_minus="",
        threshold=(1.0, -1.0),
        decoder={"read_out": "population_dynamics", "axis": axis, "smoothing_frames": 1},
    )
    animal = Animal(started(session, info_of()), info_of())
    animal.until(TaskState.RUN, limit=100)
    decision = animal.acts(3.0)
    dff = animal.loop.decoder.signal
    assert decision.s3 == pytest.approx(0.6 * dff[1] + 0.8 * dff[0] / 0.5)
    assert decision.state is TaskState.HIT


def test_weights_stand_for_one_over_n_where_they_are_named() -> None:
    def decoder(**weights: Any) -> EnsembleDecoder:
        settings_ = {"signal": "raw", "smoothing_frames": 1} | weights
        session = session_of(p_plus="ab", p_minus="cd", decoder=settings_)
        return EnsembleDecoder(session.experiment.decoder, info_of())

    frame = [10.0, 20.0, 3.0, 5.0]
    assert decoder().update(frame) == 15.0 - 4.0
    assert decoder(weights_plus=[0.75, 0.25]).update(frame) == 12.5 - 4.0
    assert decoder(weights_minus=[2.0, -1.0]).update(frame) == 15.0 - 1.0
    both = decoder(weights_plus=[0.5, 0.5], weights_minus=[0.5, 0.5])
    assert both.update(frame) == decoder().update(frame)
