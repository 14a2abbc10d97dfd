"""Ensembles chosen from a real recording."""

from pathlib import Path

import numpy as np
import pytest
from running_session import REPLAY

from bci.analysis.baseline.calibration import calibrate_ensembles
from bci.analysis.baseline.proposal import propose
from bci.analysis.baseline.recording import read_baseline
from bci.analysis.baseline.scores import score_rois
from bci.config import load_session

pytestmark = pytest.mark.realdata


def test_active_neurons_are_proposed_and_give_a_threshold(bci_data: Path) -> None:
    traces = bci_data / "sue2x" / "traces.npy"
    baseline = read_baseline(traces, load_session(REPLAY, (), traces))
    scores = score_rois(baseline)
    chosen = propose(scores, baseline.session.experiment.ensembles)
    rates = {roi.label: roi.event_rate_hz for roi in scores.rois}
    assert min(rates[label] for label in chosen.labels) > np.median(list(rates.values()))
    alike = scores.correlation[np.ix_(*2 * [[scores.labels.index(x) for x in chosen.labels]])]
    assert alike[~np.eye(8, dtype=bool)].max() <= 0.6
    found = calibrate_ensembles(baseline, chosen)
    assert found.result.t > 0.02
    assert 0.4 <= found.result.success_fraction <= 0.5
