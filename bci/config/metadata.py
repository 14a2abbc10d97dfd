"""What a data file tells of the animal, the people and the microscope; nothing depends on it."""

from datetime import date
from typing import Literal

from pydantic import Field, PositiveFloat

from bci.config.model import Settings

UNKNOWN_AGE = "P0D/"
"""ISO 8601 range without an end: any age."""


class Animal(Settings):
    """The subject, as archives of data ask for it."""

    species: str = Field(default="Mus musculus", pattern=r"^[A-Z][a-z]+ [a-z]+$")
    """Latin binomial."""
    sex: Literal["M", "F", "O", "U"] = "U"
    """U: unknown."""
    date_of_birth: date | None = None
    """ISO date; none: `age` says what is known."""
    age: str = Field(default=UNKNOWN_AGE, pattern=r"^P[0-9DWMY.]+(/(P[0-9DWMY.]+)?)?$")
    """ISO 8601 duration such as P90D, or a range such as P80D/P100D."""
    strain: str | None = None
    genotype: str | None = None
    weight_g: PositiveFloat | None = None
    """On the day of the session."""
    indicator: str = Field(default="unknown", min_length=1)
    """Such as jGCaMP7f."""
    location: str = Field(default="root", min_length=1)
    """Imaged area; for mice a name or acronym of the Allen atlas, such as RSP. root: anywhere."""


class Lab(Settings):
    """Who did it, where."""

    experimenters: tuple[str, ...] = ()
    """As "Last, First"."""
    name: str | None = None
    institution: str | None = None


class Imaging(Settings):
    """The microscope."""

    microscope: str = Field(default="two-photon microscope", min_length=1)
    manufacturer: str | None = None
    excitation_nm: PositiveFloat | None = None
    """None: unknown."""
    emission_nm: PositiveFloat | None = None
    """Centre of the detected band; none: unknown."""
