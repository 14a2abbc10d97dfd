"""Which ROIs may be the ensembles of a stream."""

from collections import Counter
from collections.abc import Sequence

from bci.config.check_decoder import WITH_P_MINUS
from bci.config.experiment import Experiment
from bci.core.light import is_barred
from bci.core.stream_types import StreamInfo

FEWEST = 2
"""ROIs a side: with one, a single cell does it alone."""


CHOSEN_BEFORE = "the session began with ensembles: experiment.hold = true lets others be chosen"


def are_chosen_within(experiment: Experiment) -> bool:
    """Whether ensembles may be chosen while the session runs, from its settings as it began."""
    decoder = experiment.decoder
    return experiment.hold or not (decoder.p_plus or decoder.p_minus)


def ensembles_fault(
    p_plus: Sequence[str], p_minus: Sequence[str], experiment: Experiment, info: StreamInfo
) -> str:
    """Why these cannot be the ensembles, and what can; empty where they can.

    Parameters
    ----------
    p_plus, p_minus
        Labels.
    experiment
        Its read-out says whether there is a P−, its light which ROIs are gated.
    info
        The stream.
    """
    decoder = experiment.decoder
    two_sided = decoder.read_out in WITH_P_MINUS
    if p_minus and not two_sided:
        return f"P− must be empty: experiment.decoder.read_out is {decoder.read_out}"
    for name, labels in (("P+", p_plus), ("P−", p_minus)):
        if len(labels) < FEWEST and (two_sided or name == "P+"):
            return f"{name} has {len(labels)} of at least {FEWEST} ROIs: name more"
    twice = [label for label, n in Counter((*p_plus, *p_minus)).items() if n > 1]
    if twice:
        return f"named more than once: {', '.join(twice)}"
    plane = decoder.decode_plane
    there = {roi.label: roi for roi in info.plane_rois(plane)}
    missing = [label for label in (*p_plus, *p_minus) if label not in there]
    if missing:
        return f"not among the {len(there)} ROIs of plane {plane}: {', '.join(missing)}"
    gated = [
        label for label in (*p_plus, *p_minus) if is_barred(experiment.light, info, there[label])
    ]
    if gated:
        return f"in the rows that the PMT gate blanks: {', '.join(gated)}"
    if decoder.read_out == "population_dynamics" and decoder.axis is None:
        return (
            "experiment.decoder.axis is not there yet: end the session after its baseline, fit the "
            "axis with `bci calibrate`, and begin again with the closed loop"
        )
    if decoder.axis is not None:
        beside = [label for label in p_plus if label not in decoder.axis.labels]
        if beside:
            return f"not in experiment.decoder.axis: {', '.join(beside)}"
    return ""


def with_ensembles(
    experiment: Experiment, p_plus: Sequence[str], p_minus: Sequence[str]
) -> Experiment:
    """The experiment with these ensembles, weights 1/n."""
    changes = {
        "p_plus": tuple(p_plus),
        "p_minus": tuple(p_minus),
        "weights_plus": None,
        "weights_minus": None,
    }
    decoder = experiment.decoder.model_copy(update=changes)
    return experiment.model_copy(update={"decoder": decoder})
