"""What one day brings along: filled in by `bci run` from its options and the subject's folder."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from bci.config.model import Settings

NonNegativeFloat = Annotated[float, Field(ge=0)]
BlockName = Literal["baseline", "closed_loop", "alignment"]


class KnownThreshold(Settings):
    """T and lo that are known before the session begins."""

    t: float
    """Hit at s3 >= t, in the unit of the signal."""
    lo: float
    """s3 that shows 0 degrees, same unit."""
    origin: str = Field(min_length=1)
    """Where they come from, in words."""
    baseline_median: float | None = None
    """Median fluorescence of that baseline, counts above dark; none: unknown."""
    p_minus_max: float | None = None
    """Level of the guard p_minus_below_mean."""
    others_min: tuple[float, ...] = ()
    """Levels of the guard p_plus_others_sd, one a cell of P+."""
    chance: float | None = None
    """Predicted chance at this T, 0 to 1; none: not predicted."""
    chance_low: float | None = None
    """Lower end of its interval of 95 %."""
    chance_high: float | None = None
    """Upper end."""
    raised_from: float | None = None
    """First T of the day, where adaptive difficulty has raised it to this one; none: it has not."""
    higher: tuple[tuple[float, float, float, float], ...] = ()
    """T that it may be raised to, and what is predicted there: T, chance and both ends."""


class Resumed(Settings):
    """The interrupted session that this one goes on with."""

    session: str = Field(min_length=1)
    """Its name."""
    trials: NonNegativeInt = 0
    """Trials of the day so far; the next one counts on from here."""
    session_spent_s: NonNegativeFloat = 0.0
    """Closed loop of the day so far; what is left of session_s is left."""
    rewards: NonNegativeInt = 0
    """Rewards of the day so far."""
    volume_ul: NonNegativeFloat = 0.0
    """Volume of the day so far."""


class Day(Settings):
    """What `bci run` adds to the settings; nothing of it needs to be written by hand."""

    blocks: tuple[BlockName, ...] = ()
    """Blocks of this session, in place of experiment.blocks; `--block` sets it."""
    ensembles_from: str = ""
    """File of the subject's folder that the ensembles were taken from."""
    without: tuple[str, ...] = ()
    """ROIs of the subject's ensembles that are left out today; `--without` sets it."""
    threshold: KnownThreshold | None = None
    """T and lo of today's earlier baseline, where this session has none before its closed loop."""
    resumed: Resumed | None = None
    """Where the session goes on with an interrupted one; `--resume` sets it."""
