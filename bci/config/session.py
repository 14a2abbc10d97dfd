"""A session: one rig, one experiment, one subject."""

from pydantic import Field

from bci.config.day import Day
from bci.config.experiment import Experiment
from bci.config.metadata import Animal, Lab
from bci.config.model import Settings
from bci.config.rig import Rig


class Session(Settings):
    """Everything a run depends on, resolved: this is what the manifest stores."""

    rig: Rig
    experiment: Experiment
    subject: str = Field(default="nobody", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)
    """Name of the animal, a folder name of at most 64 characters."""
    animal: Animal = Animal()
    """The subject, for the data file."""
    lab: Lab = Lab()
    """The people, for the data file."""
    day: Day = Day()
