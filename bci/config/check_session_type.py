"""Rules between the session type and the other keys."""

from bci.config.fault import Fault
from bci.config.session import Session
from bci.config.session_type import (
    DelayedRewardType,
    InvertedType,
    RandomRewardType,
    follows_neurons,
)

KEY = "experiment.session_type"


def session_type_faults(session: Session) -> list[Fault]:
    """What the session type asks for and does not find."""
    faults = _adaptive(session)
    match session.experiment.session_type:
        case InvertedType():
            faults += _inverted(session)
        case DelayedRewardType() as delayed:
            faults += _delayed(session, delayed)
        case RandomRewardType() as random:
            faults += _random(random)
        case _:
            pass
    return faults


def _adaptive(session: Session) -> list[Fault]:
    experiment = session.experiment
    if experiment.adaptive is None or follows_neurons(experiment.session_type):
        return []
    return [
        Fault(
            "experiment.adaptive",
            None,
            f"must not be there where {KEY}.kind is {experiment.session_type.kind}",
            "T follows the hits of the neurons, and these are not theirs: remove it",
            (f"{KEY}.kind",),
        )
    ]


def _inverted(session: Session) -> list[Fault]:
    minus = "experiment.decoder.p_minus"
    if session.experiment.decoder.p_minus:
        return []
    return [
        Fault(
            f"{KEY}.kind",
            "inverted",
            f"needs ROIs in {minus}, which it exchanges with p_plus",
            "name them, or choose another type",
            (minus,),
        )
    ]


def _delayed(session: Session, delayed: DelayedRewardType) -> list[Fault]:
    usual = "experiment.task.reward_delay_s"
    usual_s = session.experiment.task.reward_delay_s
    if delayed.delay_s > usual_s:
        return []
    return [
        Fault(
            f"{KEY}.delay_s",
            delayed.delay_s,
            f"must be above {usual} = {usual_s:g}",
            'a shorter delay is closed loop: set kind = "closed_loop" and reward_delay_s',
            (usual,),
        )
    ]


def _random(random: RandomRewardType) -> list[Fault]:
    rate, same = f"{KEY}.rewards_per_min", f"{KEY}.same_rate_as"
    if (random.rewards_per_min is None) == (random.same_rate_as is None):
        both = random.rewards_per_min is not None
        return [
            Fault(
                rate,
                random.rewards_per_min,
                f"must be there, or {same}, and not both",
                "remove one of them" if both else "name a rate or a recorded session",
                (same,),
            )
        ]
    if random.rewards_per_min is None:
        return []
    mean_s = 60.0 / random.rewards_per_min
    if random.min_interval_s < mean_s:
        return []
    return [
        Fault(
            f"{KEY}.min_interval_s",
            random.min_interval_s,
            f"must be below the mean interval of 60 s / {rate} = {mean_s:g} s",
            "shorten it, or lower the rate",
            (rate,),
        )
    ]
