"""Light for the opsin, and the gate that shields the detector from it."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from bci.config.model import Settings


class Light(Settings):
    """Light for the opsin: a pulse at each frame's start, within the gate of the detector.

    Where light may occur the gate runs on every frame of the session, or F0 would mix two kinds of
    image. When gate and light rise within a frame is the board's own setting.
    """

    trials: Literal["none", "all", "fraction"] = "none"
    """Trials with light: none, all, or a seeded fraction of them."""
    fraction: float = Field(default=0.5, gt=0, lt=1)
    """Where trials is fraction: of every 20 trials as many, to the nearest, have light."""
    during: Literal["trial", "run"] = "trial"
    """From grey to the end of black, or in RUN alone."""
    in_baseline: bool = True
    """The baseline block has light, so that T is that of the animal with light."""
    seed: NonNegativeInt = 1
    """Of which trials have light."""
    gate_ms: PositiveFloat = 7.0
    """The detector is shut for this long from each frame's start; the first rows are blank."""
    blanked_rows: NonNegativeInt | None = None
    """Rows at the top of the image that are blank; none: as many as pass in gate_ms."""
    margin_px: Annotated[float, Field(ge=0)] = 5.0
    """ROIs of an ensemble have their centre at least this far below them."""
