"""Rules between the keys of the decoder."""

from collections import Counter
from collections.abc import Sequence
from math import fsum

from bci.config.experiment import Axis, Decoder
from bci.config.fault import Fault
from bci.config.session import Session

DECODER = "experiment.decoder"
READ_OUT = f"{DECODER}.read_out"
PLUS = f"{DECODER}.p_plus"
MINUS = f"{DECODER}.p_minus"
AXIS = f"{DECODER}.axis"
WITH_P_MINUS = ("two_populations",)
"""Read-outs of both ensembles; the others have P+ alone."""
HOW_TO_FIT = (
    f"fit it on the baseline of day 1 with `bci calibrate`, and keep it as [{AXIS}] for all days"
)


def decoder_faults(session: Session) -> list[Fault]:
    """Every rule between keys of the decoder that the session breaks."""
    decoder = session.experiment.decoder
    faults = [
        *_ensembles(session),
        *_read_out(decoder),
        *_weights(decoder),
        *_axis(decoder, session.day.without),
    ]
    if decoder.control == "velocity" and session.experiment.threshold is None:
        faults.append(
            Fault(
                f"{DECODER}.control",
                decoder.control,
                "needs experiment.threshold: no T of a baseline says how fast to turn",
                "replace [baseline] by [threshold] with t and lo",
                ("experiment.threshold", "experiment.baseline"),
            )
        )
    return faults


def _ensembles(session: Session) -> list[Fault]:
    decoder = session.experiment.decoder
    plus, minus = "experiment.decoder.p_plus", "experiment.decoder.p_minus"
    faults = []
    both = sorted(set(decoder.p_plus) & set(decoder.p_minus))
    if both:
        faults.append(
            Fault(
                plus,
                both,
                "must not share ROIs with experiment.decoder.p_minus",
                "take them out of one ensemble",
                (minus,),
            )
        )
    for key, labels in ((plus, decoder.p_plus), (minus, decoder.p_minus)):
        twice = [label for label, count in Counter(labels).items() if count > 1]
        if twice:
            faults.append(Fault(key, twice, "must hold each ROI once", "remove the repetition"))
    return faults


def _read_out(decoder: Decoder) -> list[Fault]:
    name, plus = decoder.read_out, f"{DECODER}.p_plus"
    if not decoder.p_plus:
        # both empty: the subject's folder has them, or they are chosen after the baseline
        todo = f"name its ROIs, or leave {MINUS} empty too: the ensembles of the subject's folder"
        must = f"must hold an ROI, because {MINUS} does"
        return [Fault(plus, [], must, todo, (MINUS,))] if decoder.p_minus else []
    if name in WITH_P_MINUS and not decoder.p_minus:
        return [
            Fault(
                MINUS,
                [],
                f"must hold an ROI, because {READ_OUT} is {name}",
                f'name its ROIs, or set {READ_OUT} = "one_population"',
                (READ_OUT,),
            )
        ]
    if name not in WITH_P_MINUS and decoder.p_minus:
        return [
            Fault(
                MINUS,
                list(decoder.p_minus),
                f"must be empty, because {READ_OUT} is {name}",
                f'remove it, or set {READ_OUT} = "two_populations"',
                (READ_OUT,),
            )
        ]
    return []


def _weights(decoder: Decoder) -> list[Fault]:
    faults = []
    sides = (
        ("plus", decoder.weights_plus, decoder.p_plus),
        ("minus", decoder.weights_minus, decoder.p_minus),
    )
    for side, weights, labels in sides:
        if weights is None:
            continue
        key, others = f"{DECODER}.weights_{side}", f"{DECODER}.p_{side}"
        if decoder.read_out == "population_dynamics":
            must, todo = f"must not be there, because {READ_OUT} is {decoder.read_out}", "remove it"
        elif len(weights) != len(labels):
            must = f"must hold one weight for each of the {len(labels)} ROIs of {others}"
            todo = "add or remove weights, or remove the key: 1/n each"
        elif labels and not fsum(map(abs, weights)) > 0:
            must, todo = "must hold a weight other than 0", "remove the key: 1/n each"
        else:
            continue
        faults.append(Fault(key, list(weights), must, todo, (others, READ_OUT)))
    return faults


def _axis(decoder: Decoder, without: Sequence[str]) -> list[Fault]:
    axis, dynamics = decoder.axis, decoder.read_out == "population_dynamics"
    if axis is None:
        must = f"must be there, because {READ_OUT} is population_dynamics; no session fits it"
        needed = dynamics and decoder.p_plus
        return [Fault(AXIS, None, must, HOW_TO_FIT, (READ_OUT, PLUS))] if needed else []
    if not dynamics:
        must = f"must not be there, because {READ_OUT} is {decoder.read_out}"
        todo = f'remove it, or set {READ_OUT} = "population_dynamics"'
        return [Fault(AXIS, list(axis.labels), must, todo, (READ_OUT,))]
    return [*_axis_lengths(axis), *_axis_rois(axis.labels, decoder.p_plus, without)]


def _axis_lengths(axis: Axis) -> list[Fault]:
    n = len(axis.labels)
    must = f"must hold one value for each of the {n} ROIs of {AXIS}.labels"
    return [
        Fault(f"{AXIS}.{name}", list(values), must, "copy the whole table of day 1", (AXIS,))
        for name in ("weights", "means", "scales")
        if len(values := getattr(axis, name)) != n
    ]


def _axis_rois(labels: Sequence[str], p_plus: Sequence[str], without: Sequence[str]) -> list[Fault]:
    if Counter(labels) == Counter((*p_plus, *(label for label in without if label in labels))):
        return []
    must = f"must be the ROIs of {DECODER}.p_plus, each once: {', '.join(p_plus)}"
    return [Fault(f"{AXIS}.labels", list(labels), must, HOW_TO_FIT, (f"{DECODER}.p_plus",))]
