"""Session type, feedback and light of a session, in words."""

from bci.config.experiment import Experiment
from bci.config.session_type import DelayedRewardType, RandomRewardType, YokedType


def conditions_in_words(experiment: Experiment) -> str:
    """Session type, feedback and light: `yoked to 20261122T081500, light in all trials`."""
    return ", ".join(
        part for part in (_type(experiment), _feedback(experiment), _light(experiment)) if part
    )


def _type(experiment: Experiment) -> str:
    match experiment.session_type:
        case YokedType(recording=folder):
            return f"yoked to {folder.name}"
        case RandomRewardType(rewards_per_min=float() as rate):
            return f"random reward, {rate:g} a minute"
        case RandomRewardType(same_rate_as=folder) if folder is not None:
            return f"random reward, as many a minute as in {folder.name}"
        case DelayedRewardType(delay_s=delay_s):
            return f"reward delayed to {delay_s:g} s"
        case other:
            return other.kind.replace("_", " ")


def _feedback(experiment: Experiment) -> str:
    kind = experiment.feedback.kind
    return "" if kind == "visual" else f"feedback {kind}"


def _light(experiment: Experiment) -> str:
    light = experiment.light
    if light.trials == "none":
        return ""
    where = "all trials" if light.trials == "all" else f"{100 * light.fraction:g} % of trials"
    return f"light in {where}" + (", in RUN alone" if light.during == "run" else "")
