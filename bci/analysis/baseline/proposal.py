"""Which ROIs to make ensembles of: candidates, proposal, manual choice."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite

import msgspec

from bci.analysis.baseline.scores import RoiScore, Scores
from bci.analysis.baseline.split import balanced_split, matched_controls
from bci.config import Fault, SettingsError
from bci.config.ensembles import EnsembleChoice

KEY = "experiment.ensembles"
RELAX = {
    "rate": (f"{KEY}.min_event_rate_hz", "lower"),
    "SNR": (f"{KEY}.min_snr", "lower"),
    "drift": (f"{KEY}.max_drift", "raise"),
    "decay": (f"{KEY}.max_decay_ratio", "raise"),
    "tuned": (f"{KEY}.tuning_confidence", "raise"),
    "like another": (f"{KEY}.max_correlation", "raise"),
    "plane": ("experiment.decoder.decode_plane", "change"),
}
FEWEST_PER_SIDE = 2
AMPLE = 4.0


class Ensembles(msgspec.Struct, frozen=True):
    """Neurons chosen for an animal.

    Parameters
    ----------
    p_plus, p_minus
        Labels; P− is empty where the read-out has one population.
    controls
        For each ROI of P+ and then P−, an ROI of P0 that is as active; fewer where P0 is small.
    seed
        Of the split; None: chosen by hand.
    """

    p_plus: tuple[str, ...]
    p_minus: tuple[str, ...]
    controls: tuple[str, ...] = ()
    seed: int | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """P+ and then P−."""
        return (*self.p_plus, *self.p_minus)


class TooFewCandidates(ValueError):
    """Not enough ROIs qualify; says which rule leaves out how many and what to relax."""


def shortcomings(roi: RoiScore, plane: int, settings: EnsembleChoice) -> tuple[str, ...]:
    """Why an ROI is no candidate, each in a word of `RELAX` or two; empty: it is one.

    Parameters
    ----------
    roi
        Its scores.
    plane
        The plane that is decoded.
    settings
        `experiment.ensembles`.
    """
    if roi.plane != plane:
        return ("plane",)
    if not roi.is_scored:
        return ("not finite",)
    found = []
    if roi.event_rate_hz < settings.min_event_rate_hz:
        found.append("rate")
    if roi.snr < settings.min_snr:
        found.append("SNR")
    if not abs(roi.drift) <= settings.max_drift:
        found.append("drift")
    ratio = roi.decay_s / settings.indicator_decay_s
    if isfinite(ratio) and not 1 / settings.max_decay_ratio <= ratio <= settings.max_decay_ratio:
        found.append("decay")
    if roi.is_tuned:
        found.append("tuned")
    return tuple(found)


def candidates(scores: Scores, settings: EnsembleChoice) -> list[RoiScore]:
    """ROIs that may be chosen, best first, each unlike those before it.

    Best is the signal to noise, but for that beyond 4 times the smallest allowed: there all see
    their events, and the most active comes first.

    Parameters
    ----------
    scores
        Of the baseline.
    settings
        `experiment.ensembles`.
    """
    sound = [roi for roi in scores.rois if not shortcomings(roi, scores.plane, settings)]
    ample = AMPLE * settings.min_snr
    sound.sort(key=lambda roi: (-min(roi.snr, ample), -roi.event_rate_hz, roi.label))
    place = {label: i for i, label in enumerate(scores.labels)}
    chosen: list[RoiScore] = []
    places: list[int] = []
    for roi in sound:
        r = scores.correlation[place[roi.label]]
        if (r[places] <= settings.max_correlation).all():
            chosen.append(roi)
            places.append(place[roi.label])
    return chosen


def propose(
    scores: Scores, settings: EnsembleChoice, n_sides: int = 2, seed: int | None = None
) -> Ensembles:
    """Choose the best candidates and split them, balanced for event rate and tuning.

    Parameters
    ----------
    scores
        Of the baseline.
    settings
        `experiment.ensembles`.
    n_sides
        2, or 1 where the read-out has one population.
    seed
        Of the split; None: `experiment.ensembles.seed`.

    Raises
    ------
    TooFewCandidates
        Where fewer qualify than the ensembles hold.
    """
    found = candidates(scores, settings)
    n_needed = n_sides * settings.n_per_side
    if len(found) < n_needed:
        raise TooFewCandidates(_too_few(scores, settings, found, n_sides))
    chosen = found[:n_needed]
    seed = settings.seed if seed is None else seed
    plus, minus = balanced_split(chosen, seed) if n_sides == 2 else (chosen, [])
    p_plus = tuple(roi.label for roi in plus)
    p_minus = tuple(roi.label for roi in minus)
    return Ensembles(p_plus, p_minus, matched_controls(scores, (*p_plus, *p_minus)), seed)


def chosen_by_hand(
    scores: Scores, plus: Sequence[str], minus: Sequence[str], n_sides: int = 2
) -> Ensembles:
    """Take ensembles as they are named.

    Parameters
    ----------
    scores
        Of the baseline.
    plus, minus
        Labels.
    n_sides
        As in `propose`.

    Raises
    ------
    SettingsError
        With every label that cannot be taken.
    """
    faults = []
    known = {roi.label: roi for roi in scores.rois}
    sides = (("--plus", plus), ("--minus", minus)) if n_sides == 2 else (("--plus", plus),)
    for option, labels in sides:
        if len(set(labels)) < FEWEST_PER_SIDE:
            allowed = f"at least {FEWEST_PER_SIDE} ROIs"
            faults.append(Fault(option, list(labels), allowed, "name more, by commas"))
        twice = [label for label, n in Counter(labels).items() if n > 1]
        if twice:
            faults.append(Fault(option, twice, "each ROI once", "remove the repetition"))
        for label in dict.fromkeys(labels):
            if label not in known:
                faults.append(Fault(option, label, "an ROI of the baseline", "see the table"))
            elif known[label].plane != scores.plane:
                allowed = f"an ROI of plane {scores.plane}, which is decoded"
                todo = "name another, or change experiment.decoder.decode_plane"
                faults.append(Fault(option, label, allowed, todo))
            elif not known[label].is_scored:
                allowed = "an ROI with a value in every frame"
                faults.append(Fault(option, label, allowed, "name another"))
    if n_sides == 1 and minus:
        allowed = "nothing: experiment.decoder.read_out has one population"
        faults.append(Fault("--minus", list(minus), allowed, "leave it out"))
    both = sorted(set(plus) & set(minus))
    if both:
        faults.append(Fault("--plus", both, "no ROI of --minus", "take it out of one"))
    if faults:
        raise SettingsError(faults)
    return Ensembles(tuple(plus), tuple(minus), matched_controls(scores, (*plus, *minus)))


def _too_few(
    scores: Scores, settings: EnsembleChoice, found: Sequence[RoiScore], n_sides: int
) -> str:
    counts: Counter[str] = Counter()
    for roi in scores.rois:
        counts.update(shortcomings(roi, scores.plane, settings))
    sound = sum(not shortcomings(roi, scores.plane, settings) for roi in scores.rois)
    if sound > len(found):
        counts["like another"] = sound - len(found)
    n_needed = n_sides * settings.n_per_side
    lines = [
        f"{len(found)} of {len(scores.rois)} ROIs qualify, {n_sides} × {KEY}.n_per_side = "
        f"{n_needed} are needed. Left out:"
    ]
    for word, n in counts.most_common():
        key, todo = RELAX.get(word, ("", ""))
        advice = f": {todo} {key}" + _now(key, settings) if key else ""
        lines.append(f"  {n} × {word}{advice}")
    lines.append(
        f"Or lower {KEY}.n_per_side, record a longer baseline, or choose by hand (--plus, --minus)."
    )
    return "\n".join(lines)


def _now(key: str, settings: EnsembleChoice) -> str:
    if not key.startswith(KEY):
        return ""
    return f" (now {getattr(settings, key.rpartition('.')[2]):g})"
