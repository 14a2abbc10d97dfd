"""T, lo and predicted chance of chosen ensembles, by running their baseline through the loop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.analysis.baseline.proposal import Ensembles
from bci.analysis.baseline.recording import Baseline
from bci.config import Session
from bci.config.experiment import Axis
from bci.core.calibration import CalibrationResult, pseudo_trial_maxima
from bci.core.chance import predict_chance
from bci.core.decoding.fit_axis import fit_axis
from bci.core.loop import ClosedLoop
from bci.core.stream_types import RoiFrame


@dataclass(frozen=True)
class Calibrated:
    """A baseline calibrated for its ensembles.

    Parameters
    ----------
    session
        The settings with these ensembles, and with the axis where one was fitted.
    ensembles
        The choice.
    result
        T, lo and what belongs to them, with predicted chance.
    s3
        Read-out of the baseline, unit of the signal, shape (n_frames,).
    signal
        Of P+ and then P− at the same frames, shape (n_frames, n_rois).
    frame_ids
        Of these frames, shape (n_frames,).
    maxima
        Largest s3 of every pseudo-trial, shape (n_pseudo_trials,).
    rate_hz
        Of frame_id over all planes, Hz.
    axis
        Fitted here; None: the read-out needs none, or the settings had one.
    """

    session: Session
    ensembles: Ensembles
    result: CalibrationResult
    s3: NDArray[np.float64]
    signal: NDArray[np.float64]
    frame_ids: NDArray[np.int64]
    maxima: NDArray[np.float64]
    rate_hz: float
    axis: Axis | None = None

    def success_curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fraction of the pseudo-trials that reach a threshold, at every step from lo up.

        Returns
        -------
        thresholds, fractions
            Until none succeeds; guards are left out.
        """
        step = self.session.experiment.calibration.step_dff
        n_steps = int((float(self.maxima.max()) - self.result.lo) / step) + 3
        thresholds = self.result.lo + step * np.arange(1, n_steps, dtype=np.float64)
        below = np.sort(self.maxima).searchsorted(thresholds, side="left")
        fractions: NDArray[np.float64] = 1.0 - below / np.float64(len(self.maxima))
        return thresholds, fractions


def calibrate_ensembles(
    baseline: Baseline, ensembles: Ensembles, z_first: float | None = None
) -> Calibrated:
    """Run a baseline once, in order, through the loop of these ensembles.

    Parameters
    ----------
    baseline
        The recording.
    ensembles
        The choice.
    z_first
        (T − mu) / sigma of day 1, for a later day; None: this is day 1.

    Raises
    ------
    bci.core.calibration.BaselineRefused
        Where it gives no threshold.
    """
    session = baseline.with_ensembles(ensembles.p_plus, ensembles.p_minus)
    experiment = session.experiment
    axis = None
    if experiment.decoder.read_out == "population_dynamics" and experiment.decoder.axis is None:
        axis = _fitted_axis(baseline, ensembles)
        decoder = experiment.decoder.model_copy(update={"axis": axis})
        experiment = experiment.model_copy(update={"decoder": decoder})
    if z_first is not None:
        calibration = experiment.calibration.model_copy(update={"z_first": z_first})
        experiment = experiment.model_copy(update={"calibration": calibration})
    session = session.model_copy(update={"experiment": experiment})
    kept = _Kept()
    loop = baseline.run(session, kept.take)
    result = loop.calibrate()
    chance = predict_chance(
        experiment,
        baseline.info,
        loop.decoder.layout,
        loop.baseline_s3,
        loop.baseline_signals,
        result.threshold,
    )
    s3 = np.array(loop.baseline_s3, dtype=np.float64)
    return Calibrated(
        session,
        ensembles,
        result.with_chance(chance),
        s3,
        np.array(kept.signal, dtype=np.float64),
        np.array(kept.frame_ids, dtype=np.int64),
        pseudo_trial_maxima(s3, loop.run_frames, experiment.calibration),
        baseline.info.rate_hz,
        axis,
    )


def _fitted_axis(baseline: Baseline, ensembles: Ensembles) -> Axis:
    plane = baseline.session.experiment.decoder.decode_plane
    kept = _Kept(smoothed=True)
    baseline.run(baseline.with_population(ensembles.p_plus, plane), kept.take)
    return fit_axis(kept.signal, ensembles.p_plus).axis


class _Kept:
    """The ensembles' signal at the frames that the loop keeps for its calibration."""

    def __init__(self, *, smoothed: bool = False) -> None:
        self._smoothed = smoothed
        self.signal: list[list[float]] = []
        self.frame_ids: list[int] = []

    def take(self, loop: ClosedLoop, frame: RoiFrame) -> None:
        if len(loop.baseline_s3) > len(self.frame_ids):
            decoder = loop.decoder
            self.signal.append(decoder.smoothed if self._smoothed else decoder.signal)
            self.frame_ids.append(frame.frame_id)
