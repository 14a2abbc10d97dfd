"""A choice is calibrated by the loop that sessions run, and kept as readable files."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from baseline_of_known_cells import CELLS, Cell, baseline_of

from bci.analysis.baseline.calibration import Calibrated, calibrate_ensembles
from bci.analysis.baseline.figures import distribution_figure, success_figure
from bci.analysis.baseline.keeping import choose, keep
from bci.analysis.baseline.proposal import Ensembles
from bci.analysis.baseline.recording import Baseline
from bci.analysis.baseline.scores import Scores, score_rois
from bci.config import SettingsError
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Start
from bci.core.stream_types import RoiFrame
from bci.recording.subject import SubjectFolder

pytestmark = pytest.mark.slow

CHOICE = Ensembles(("usual", "other"), ("busy", "twin"), (), 1)
BASELINE, _ = baseline_of(CELLS, seed=3)


@pytest.fixture(scope="module")
def scores() -> Scores:
    return score_rois(BASELINE)


@pytest.fixture(scope="module")
def found() -> Calibrated:
    return calibrate_ensembles(BASELINE, CHOICE)


def test_threshold_is_the_one_that_a_session_with_these_ensembles_finds(
    found: Calibrated,
) -> None:
    session = BASELINE.with_ensembles(CHOICE.p_plus, CHOICE.p_minus)
    loop = ClosedLoop(session, BASELINE.info)
    loop.apply(Start())
    for item in BASELINE.inputs:
        if isinstance(item, RoiFrame) and not loop.needs_calibration:
            loop.step(item)
    expected = loop.calibrate()
    assert found.s3.tolist() == loop.baseline_s3
    for field in ("t", "lo", "mu", "sigma", "z_t", "success_fraction", "n_frames"):
        assert getattr(found.result, field) == getattr(expected, field)
    assert 0.0 <= found.result.chance_low <= found.result.chance <= found.result.chance_high <= 1.0
    assert found.signal.shape == (len(found.s3), 4)
    # s of the last frames is the difference of the means, s3 its mean over 3 frames
    s = found.signal[:, :2].mean(axis=1) - found.signal[:, 2:].mean(axis=1)
    np.testing.assert_allclose(found.s3[2:], (s[2:] + s[1:-1] + s[:-2]) / 3, atol=1e-12)


def test_success_falls_with_the_threshold_and_t_lies_on_the_curve(found: Calibrated) -> None:
    thresholds, fractions = found.success_curve()
    assert (np.diff(fractions) <= 0).all()
    assert (fractions[0], fractions[-1]) == (1.0, 0.0)
    at_t = int(np.argmin(np.abs(thresholds - found.result.t)))
    assert fractions[at_t] == pytest.approx(found.result.success_fraction)
    assert fractions[at_t] <= 0.5 < fractions[at_t - 1]


def test_the_same_seed_gives_the_same_t(found: Calibrated) -> None:
    again = calibrate_ensembles(BASELINE, CHOICE)
    assert again.result == found.result
    calibration = BASELINE.session.experiment.calibration.model_copy(update={"seed": 9})
    experiment = BASELINE.session.experiment.model_copy(update={"calibration": calibration})
    session = BASELINE.session.model_copy(update={"experiment": experiment})
    other = Baseline(session, BASELINE.info, BASELINE.inputs, BASELINE.source)
    assert calibrate_ensembles(other, CHOICE).maxima.tolist() != found.maxima.tolist()


def test_later_day_carries_z_of_the_first(found: Calibrated) -> None:
    later = calibrate_ensembles(BASELINE, CHOICE, z_first=1.25)
    assert later.result.t == pytest.approx(found.result.mu + 1.25 * found.result.sigma)
    assert later.result.t != pytest.approx(found.result.t, abs=0.01)


def test_pictures_show_the_numbers(found: Calibrated) -> None:
    bars = distribution_figure(found).data[0]
    width = float(bars.x[1] - bars.x[0])
    assert float(np.sum(bars.y)) * width == pytest.approx(1.0)
    centre = float(np.sum(bars.x * bars.y)) * width
    assert centre == pytest.approx(float(found.s3.mean()), abs=width)
    marker = success_figure(found).data[1]
    assert (marker.x[0], marker.y[0]) == (found.result.t, found.result.success_fraction)


def test_choice_calibration_and_page_are_kept_and_the_choice_stays(
    scores: Scores, found: Calibrated, tmp_path: Path
) -> None:
    subject = SubjectFolder(tmp_path, "m1")
    names = {"plus": ["usual", "other"], "minus": ["busy", "twin"]}
    first = choose(scores, BASELINE.session, subject, **names)  # type: ignore[arg-type]
    assert first.stored is None
    files = keep(subject, first, found, scores, BASELINE)
    stored = json.loads(Path(files["ensembles"]).read_text("utf-8"))
    assert (stored["p_plus"], stored["p_minus"]) == (["usual", "other"], ["busy", "twin"])
    assert json.loads(Path(files["calibration"]).read_text("utf-8"))["t"] == found.result.t
    page = Path(files["plot"]).read_text("utf-8")
    told = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    for text in ("P+", "usual, other", f"{found.result.t:.3f}", "not finite", "predicted chance"):
        assert text in told
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", told)

    second = choose(scores, BASELINE.session, subject)
    assert second.stored is not None
    assert second.ensembles.labels == ("usual", "other", "busy", "twin")
    assert second.z_first == found.result.z_t
    later = calibrate_ensembles(BASELINE, second.ensembles, second.z_first)
    assert set(keep(subject, second, later, scores, BASELINE)) == {"calibration", "plot"}
    assert len(subject.calibrations()) == 2
    with pytest.raises(SettingsError, match="stay the same on all days"):
        choose(scores, BASELINE.session, subject, seed=4)
    anew = choose(scores, BASELINE.session, subject, **names, again=True)  # type: ignore[arg-type]
    assert (anew.stored, anew.z_first) == (None, None)


def test_ensembles_that_the_recording_lacks_are_named(tmp_path: Path, scores: Scores) -> None:
    subject = SubjectFolder(tmp_path, "m1")
    first = choose(
        scores, BASELINE.session, subject, plus=["usual", "other"], minus=["busy", "twin"]
    )
    keep(subject, first, calibrate_ensembles(BASELINE, first.ensembles), scores, BASELINE)
    fewer, _ = baseline_of({"usual": Cell(), "other": Cell(), "busy": Cell()})
    with pytest.raises(SettingsError, match="twin"):
        choose(score_rois(fewer), fewer.session, subject)


def test_population_dynamics_gets_its_axis(tmp_path: Path, scores: Scores) -> None:
    experiment = BASELINE.session.experiment
    decoder = experiment.decoder.model_copy(
        update={"read_out": "population_dynamics", "p_minus": ()}
    )
    session = BASELINE.session.model_copy(
        update={"experiment": experiment.model_copy(update={"decoder": decoder})}
    )
    baseline = Baseline(session, BASELINE.info, BASELINE.inputs, BASELINE.source)
    subject = SubjectFolder(tmp_path, "m1")
    choice = choose(scores, session, subject, plus=["usual", "busy", "twin"])
    found = calibrate_ensembles(baseline, choice.ensembles)
    assert found.axis is not None
    assert found.axis.labels == ("usual", "busy", "twin")
    # the two that show one neuron lead
    assert abs(found.axis.weights[1]) < min(found.axis.weights[0], found.axis.weights[2])
    assert found.session.experiment.decoder.axis == found.axis
    stored = json.loads(
        Path(keep(subject, choice, found, scores, baseline)["ensembles"]).read_text()
    )
    assert stored["axis"]["weights"] == list(found.axis.weights)
