"""T of a later day, from the day's own baseline and z_T of day 1."""

from typing import Literal

CarryOver = Literal["z", "fresh", "easier"]


def carry_over(rule: CarryOver, fresh_t: float, mu: float, sigma: float, z_first: float) -> float:
    """Threshold of day d.

    Parameters
    ----------
    rule
        z: T lies as many sigma above mu as on day 1. fresh: T is found anew, as on day 1. easier:
        the lower of the two.
    fresh_t
        T that this day's baseline gives by itself, in the unit of s3.
    mu, sigma
        Of the mirrored distribution of this day's baseline, same unit.
    z_first
        (T − mu) / sigma of day 1.

    References
    ----------
    Francioni et al. 2026: T_d = mu_d + sigma_d · z_T. Their control program finds T anew every day,
    its older one took the easier.
    """
    if rule == "fresh":
        return fresh_t
    carried_t = mu + sigma * z_first
    return carried_t if rule == "z" else min(carried_t, fresh_t)
