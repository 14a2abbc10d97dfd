"""Two ensembles alike in what would make one of them easier, and neurons to compare them with."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bci.analysis.baseline.scores import RoiScore, Scores

BALANCED_PART = 0.1


def balanced_split(chosen: Sequence[RoiScore], seed: int) -> tuple[list[RoiScore], list[RoiScore]]:
    """Split ROIs at random into halves, among the tenth of all splits that is most balanced.

    Imbalance is the squared difference of the halves' means in event rate and in tuning, each in
    units of its SD over the ROIs; a property that is unknown or the same everywhere does not count.

    Parameters
    ----------
    chosen
        An even number of ROIs, at most 12.
    seed
        Makes the result reproducible.

    Returns
    -------
    plus, minus
        In the order of `chosen`.
    """
    n = len(chosen)
    splits = np.array(list(combinations(range(n), n // 2)), dtype=np.intp)
    side = np.zeros((len(splits), n))
    side[np.arange(len(splits))[:, np.newaxis], splits] = 1.0
    properties = np.array([[roi.event_rate_hz for roi in chosen], [roi.tuning for roi in chosen]])
    imbalance = np.zeros(len(splits))
    for values in properties:
        spread = values.std()
        # beyond what rounding makes of equal values
        if spread > 1e-9 * np.abs(values).max():
            unit = (values - values.mean()) / spread
            imbalance += ((2 * side - 1) @ unit / (n // 2)) ** 2
    n_kept = max(2, round(BALANCED_PART * len(splits)))
    best = np.argsort(imbalance, kind="stable")[:n_kept]
    taken = side[np.random.default_rng(seed).choice(best)] > 0
    plus = [roi for roi, is_plus in zip(chosen, taken, strict=True) if is_plus]
    minus = [roi for roi, is_plus in zip(chosen, taken, strict=True) if not is_plus]
    return plus, minus


def matched_controls(scores: Scores, ensemble: Sequence[str]) -> tuple[str, ...]:
    """An ROI of P0 for each of the ensembles, as active as it.

    Pairs are chosen together so that the ratios of their event rates are as near to 1 as can be.

    Parameters
    ----------
    scores
        Of the baseline.
    ensemble
        Labels of P+ and P−.

    Returns
    -------
    tuple of str
        In the order of `ensemble`; shorter, without order, where P0 has fewer ROIs.
    """
    others = [
        roi
        for roi in scores.rois
        if roi.plane == scores.plane and roi.is_scored and roi.label not in ensemble
    ]
    if not others:
        return ()
    wanted = _log_rates([scores.of(label) for label in ensemble], scores.duration_s)
    there = _log_rates(others, scores.duration_s)
    rows, columns = linear_sum_assignment(np.abs(wanted[:, np.newaxis] - there[np.newaxis, :]))
    assert (np.diff(rows) > 0).all()
    return tuple(others[column].label for column in columns.tolist())


def _log_rates(rois: Sequence[RoiScore], duration_s: float) -> NDArray[np.float64]:
    rates = np.array([roi.event_rate_hz for roi in rois])
    # half an event more, so that an ROI without any has a logarithm
    logs: NDArray[np.float64] = np.log(rates + 0.5 / duration_s)
    return logs
