"""Session types: what the screen follows, what a hit is, what pays."""

import inspect
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from bci.config.model import Settings


class Course(Settings):
    """A course of angles that no neuron has a part in, begun anew in every trial."""

    angles_deg: tuple[Annotated[float, Field(ge=0, le=90)], ...] = ()
    """Shown one after another and again from the first; none: a seeded walk from 0 by 15."""
    step_s: PositiveFloat = 1.0
    """Time at one angle; at 1 s half of the walks reach the target within 28 s."""
    seed: NonNegativeInt = 1
    """Of the walk."""


class ClosedLoopType(Settings):
    """The neurons turn the grating, a hit pays."""

    kind: Literal["closed_loop"]


class InvertedType(Settings):
    """Closed loop with P+ and P- exchanged: contingency reversal."""

    kind: Literal["inverted"]


class NoRewardType(Settings):
    """Closed loop, hits and all, in which nothing pays."""

    kind: Literal["no_reward"]


class DelayedRewardType(Settings):
    """Closed loop whose reward comes late; black lasts until it has come."""

    kind: Literal["delayed_reward"]
    delay_s: PositiveFloat = 5.0
    """From the hit to the reward, in place of reward_delay_s of the task."""


class RandomRewardType(Settings):
    """Rewards at random times of the task; a hit pays nothing."""

    kind: Literal["random_reward"]
    follows: Literal["neurons", "course"] = "neurons"
    """What turns the grating."""
    rewards_per_min: PositiveFloat | None = None
    """Mean rate over the time in which the task goes on."""
    same_rate_as: Path | None = None
    """Folder of a recorded session whose rate is taken, in place of rewards_per_min."""
    min_interval_s: PositiveFloat = 2.0
    """Shortest time from one to the next; what is left of the mean is random."""
    seed: NonNegativeInt = 1
    """Of the times."""
    course: Course = Course()
    """What the grating follows where that is the course."""


class OpenLoopType(Settings):
    """The grating follows a course, whatever the neurons do; the course at its target pays."""

    kind: Literal["open_loop"]
    course: Course = Course()


class YokedType(Settings):
    """Sham: angles, hits and rewards of a recorded session, trial by trial."""

    kind: Literal["yoked"]
    recording: Path
    """Folder of a recorded session in which the neurons turned the grating."""


class PassiveType(Settings):
    """Gratings as in the baseline block, one after another without grey; no hit, no reward."""

    kind: Literal["passive"]
    seed: NonNegativeInt = 2
    """Of their order and times; the rest is as in the baseline, or its defaults."""


SessionType = Annotated[
    ClosedLoopType
    | InvertedType
    | NoRewardType
    | DelayedRewardType
    | RandomRewardType
    | OpenLoopType
    | YokedType
    | PassiveType,
    Field(discriminator="kind"),
]


def what_happens(session_type: SessionType) -> str:
    """Say in a sentence what turns the grating and what pays."""
    return inspect.getdoc(type(session_type)) or session_type.kind


def follows_neurons(session_type: SessionType) -> bool:
    """True where the neurons turn the grating and make the hits."""
    match session_type:
        case OpenLoopType() | YokedType() | PassiveType():
            return False
        case RandomRewardType(follows=follows):
            return follows == "neurons"
        case _:
            return True


def pays_anything(session_type: SessionType) -> bool:
    """False where the task gives no reward, whatever happens."""
    return not isinstance(session_type, NoRewardType | PassiveType)


def pays_hits(session_type: SessionType) -> bool:
    """True where a hit earns a reward."""
    return pays_anything(session_type) and not isinstance(session_type, RandomRewardType)
