"""What every settings model shares: frozen, no unknown key, no silent number."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(gt=0, le=1_000_000)]
"""How many of something; a frame carries no more ROIs."""
Whole = Annotated[int, Field(ge=0, lt=1 << 63)]
"""0 or more, as JSON of other programs holds it."""


class Settings(BaseModel):
    """Base of all settings: immutable, refuses unknown keys, refuses inf and NaN."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
