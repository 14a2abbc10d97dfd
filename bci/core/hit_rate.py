"""T by how often the baseline would hit it."""

import numpy as np
from numpy.typing import NDArray

from bci.config.experiment import Guards

Floats = NDArray[np.float64]


def threshold_of_rate(
    s3: Floats, eligible: NDArray[np.bool_], lo: float, step: float, n_allowed: int, guards: Guards
) -> float:
    """Lowest T = lo + k · step, walking down from above all s3, that is hit often enough at most.

    Parameters
    ----------
    s3, eligible
        Read-out of the baseline, and where the other guards hold; both of shape (n_frames,).
    lo
        Where the steps begin, in the unit of s3.
    n_allowed
        Hits in the baseline, at least 1.
    guards
        `experiment.guards`, for the re-arm; without one a hit must fall below T before the next.

    References
    ----------
    HoloBMI, CaBMI: T is lowered until the baseline holds one hit in so many seconds.
    """
    candidates = np.unique(s3[eligible])[::-1]
    places = np.sort(s3[eligible])[::-1]
    # as few frames reach T as hits are allowed: no walk is needed down to here
    start = float(places[n_allowed]) if len(places) > n_allowed else float(places[-1])
    k = first_step_above(start, lo, step)
    while k > 1 and count_hits(s3, eligible, lo + step * (k - 1), guards, n_allowed) <= n_allowed:
        k -= 1
        # between two values of s3, T can be lowered without a further hit
        below = candidates[candidates < lo + step * k]
        k = max(1, min(k, first_step_above(float(below[0]), lo, step))) if len(below) else 1
    return lo + step * k


def count_hits(
    s3: Floats, eligible: NDArray[np.bool_], t: float, guards: Guards, limit: int
) -> int:
    """Hits of a T over the whole of s3, each after a return; counted to one past `limit`.

    Parameters
    ----------
    s3, eligible, guards
        As in `threshold_of_rate`.
    """
    fraction = guards.rearm_fraction
    back = s3 < t if fraction is None else s3 <= fraction * t
    n_back = 1 if fraction is None else guards.rearm_frames
    returned = np.convolve(back, np.ones(n_back, dtype=np.intp))[: len(s3)] == n_back
    armed_at = np.flatnonzero(returned)
    hits_at = np.flatnonzero(eligible & (s3 >= t))
    n, at = 0, -n_back
    while n <= limit:
        if n:
            place = int(armed_at.searchsorted(at + n_back))
            if place == len(armed_at):
                break
            at = int(armed_at[place])
        place = int(hits_at.searchsorted(max(at, 0)))
        if place == len(hits_at):
            break
        at, n = int(hits_at[place]), n + 1
    return n


def first_step_above(value: float, lo: float, step: float) -> int:
    """Smallest k ≥ 1 with lo + step · k > value.

    By halves, because an artefact may lie any number of steps above lo.
    """
    below, above = 0, 1
    while lo + step * above <= value:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if lo + step * middle <= value else (below, middle)
    return above
