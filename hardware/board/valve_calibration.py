"""Opening time of the valve for a volume, from drops that were weighed."""

from collections.abc import Sequence
from datetime import date
from math import nan

import msgspec
import numpy as np

RESIDUAL_MOST = 0.1
DEAD_MOST = 0.9
"""Of the shortest opening."""
USUAL_MS_PER_UL = (0.5, 200.0)
DROP_UL = (0.1, 200.0)
"""A drop outside of this is a weight in another unit."""


class WeighedDrops(msgspec.Struct, frozen=True):
    """Drops of one opening time, weighed together.

    Parameters
    ----------
    open_ms
        Opening time of each.
    n
        How many.
    weight_mg
        Of all together.
    """

    open_ms: float
    n: int
    weight_mg: float


class ValveFit(msgspec.Struct, frozen=True):
    """What the drops say of the valve.

    Parameters
    ----------
    ms_per_ul, dead_ms
        Slope and offset of the line of opening time against volume: how much longer one microlitre
        more takes, and what of each opening gives nothing.
    drop_ul
        Measured volume of one drop, for each opening time.
    residuals
        By which part of the line's volume each measured one differs from it.
    warnings
        What is not plausible, in words.
    """

    ms_per_ul: float
    dead_ms: float
    drop_ul: tuple[float, ...]
    residuals: tuple[float, ...]
    warnings: tuple[str, ...]


class NoFit(ValueError):
    """These drops give no calibration; says why, and what to do."""


def fit_valve(drops: Sequence[WeighedDrops], density_mg_per_ul: float = 1.0) -> ValveFit:
    """Fit opening time against volume with a straight line.

    A valve takes some ms to open, and some to shut. Where these are not the same, no line through
    the origin is right for more than one volume.

    Parameters
    ----------
    drops
        At two opening times or more.
    density_mg_per_ul
        Of the liquid: 1.0 water, 1.04 sucrose of 10 %.

    Raises
    ------
    NoFit
        Where a weight is no weight, or longer openings do not give more.
    """
    if len({one.open_ms for one in drops}) < 2:
        raise NoFit("two opening times or more are needed: one point is no line")
    for one in drops:
        if why := weight_fault(one, density_mg_per_ul):
            raise NoFit(why)
    ordered = sorted(drops, key=lambda one: one.open_ms)
    open_ms = np.array([one.open_ms for one in ordered])
    volume_ul = np.array([one.weight_mg / density_mg_per_ul / one.n for one in ordered])
    for i in np.flatnonzero(np.diff(volume_ul) <= 0):
        raise NoFit(
            f"drops of {open_ms[i + 1]:g} ms are not larger than those of {open_ms[i]:g} ms "
            f"({volume_ul[i + 1]:.3g} and {volume_ul[i]:.3g} µl): air in the line, or weights "
            "that were mixed up"
        )
    ms_per_ul, dead_ms = (float(value) for value in np.polyfit(volume_ul, open_ms, 1))
    residuals = volume_ul / ((open_ms - dead_ms) / ms_per_ul) - 1
    low, high = USUAL_MS_PER_UL
    if not low <= ms_per_ul <= high:
        raise NoFit(
            f"{ms_per_ul:.3g} ms for 1 µl, not {low:g}–{high:g} ms: give the weight of all drops "
            "together in mg (1 g is 1000 mg)"
        )
    return ValveFit(
        ms_per_ul,
        dead_ms,
        tuple(volume_ul.tolist()),
        tuple(residuals.tolist()),
        tuple(_warnings(dead_ms, open_ms.tolist(), residuals.tolist())),
    )


def weight_fault(one: WeighedDrops, density_mg_per_ul: float = 1.0) -> str:
    """Return why a weight cannot be that of these drops in mg; empty if it can."""
    drop_ul = one.weight_mg / density_mg_per_ul / one.n if one.n >= 1 else nan
    least_ul, most_ul = DROP_UL
    if least_ul <= drop_ul <= most_ul:
        return ""
    return (
        f"{one.n} drops of {one.open_ms:g} ms weigh {one.weight_mg:g} mg, {drop_ul:.3g} µl a drop, "
        f"not {least_ul:g}–{most_ul:g} µl: weigh again, all drops together, in mg (1 g is 1000 mg)"
    )


def _warnings(dead_ms: float, open_ms: list[float], residuals: list[float]) -> list[str]:
    found = []
    found += [
        f"drops of {ms:g} ms are {100 * residual:+.0f} % off the line"
        for ms, residual in zip(open_ms, residuals, strict=True)
        if abs(residual) > RESIDUAL_MOST
    ]
    if len(open_ms) == 2:
        found.append("any two points lie on a line: a third opening time would test it")
    if abs(dead_ms) > DEAD_MOST * min(open_ms):
        found.append(
            f"a dead time of {dead_ms:+.1f} ms, when {min(open_ms):g} ms gave drops: weigh more "
            "drops, at openings further apart"
        )
    return found


def calibration_toml(
    fit: ValveFit, drops: Sequence[WeighedDrops], density_mg_per_ul: float, day: date
) -> str:
    """A file that `rig.board.valve` can name: its settings, and what they come from."""
    ordered = sorted(drops, key=lambda one: one.open_ms)
    lines = [
        '# Calibration of the reward valve. In the rig file: [board] valve = "this file"',
        f"# {density_mg_per_ul:g} mg for 1 µl",
        "# opening ms | drops | weight mg | one drop µl | off the line %",
        *(
            f"# {one.open_ms:g} | {one.n} | {one.weight_mg:g} | {ul:.4g} | {100 * off:+.1f}"
            for one, ul, off in zip(ordered, fit.drop_ul, fit.residuals, strict=True)
        ),
        *(f"# warning: {warning}" for warning in fit.warnings),
        f"ms_per_ul = {fit.ms_per_ul:.4f}",
        f"dead_ms = {fit.dead_ms:.4f}",
        f"calibrated_on = {day.isoformat()}",
    ]
    return "\n".join(lines) + "\n"
