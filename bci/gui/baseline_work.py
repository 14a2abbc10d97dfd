"""What the window works out from a baseline; done in a process of its own, which holds it."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bci.analysis.baseline.calibration import Calibrated, calibrate_ensembles
from bci.analysis.baseline.keeping import SIDES, Choice, keep, subject_folder
from bci.analysis.baseline.proposal import Ensembles, propose
from bci.analysis.baseline.recording import Baseline, read_baseline
from bci.analysis.baseline.scores import Scores, score_rois
from bci.analysis.baseline.split import matched_controls
from bci.gui.choice import Sides
from bci.recording.subject import StoredEnsembles


class Scored(NamedTuple):
    """A baseline with its scores, and what the animal has already.

    Parameters
    ----------
    baseline
        Of the session folder; without its frames where it was handed from process to process.
    scores
        Of its ROIs.
    stored
        The animal's ensembles; None: it has none yet.
    z_first
        z_T of day 1 with them; None: this is day 1.
    """

    baseline: Baseline
    scores: Scores
    stored: StoredEnsembles | None
    z_first: float | None

    @property
    def n_sides(self) -> int:
        """2, or 1 where the read-out has one population."""
        return SIDES[self.baseline.session.experiment.decoder.read_out]

    @property
    def missing(self) -> tuple[str, ...]:
        """Of the animal's ensembles, those that cannot be decoded today."""
        if self.stored is None:
            return ()
        there = set(self.scores.labels)
        return tuple(label for label in self.stored.labels if label not in there)

    def first_choice(self) -> Sides:
        """What to begin with: the animal's ensembles, else those of the settings, if there."""
        decoder = self.baseline.session.experiment.decoder
        if self.stored is not None:
            return Sides(self.stored.p_plus, self.stored.p_minus)
        named = Sides(decoder.p_plus, decoder.p_minus)
        return named if set(named.labels) <= set(self.scores.labels) else Sides()

    def proposed(self, seed: int) -> Sides:
        """A proposal.

        Raises
        ------
        bci.analysis.baseline.proposal.TooFewCandidates
            Where too few ROIs qualify.
        """
        settings = self.baseline.session.experiment.ensembles
        found = propose(self.scores, settings, self.n_sides, seed)
        return Sides(found.p_plus, found.p_minus)

    def is_stored(self, sides: Sides) -> bool:
        """Whether these are the animal's own ensembles."""
        stored = self.stored
        return stored is not None and Sides(stored.p_plus, stored.p_minus) == sides

    def chosen(self, sides: Sides, seed: int | None) -> Choice:
        """A choice as it is kept; z of day 1 goes with the animal's own ensembles alone."""
        controls = matched_controls(self.scores, sides.labels)
        ensembles = Ensembles(sides.plus, sides.minus, controls, seed)
        if not self.is_stored(sides):
            return Choice(ensembles)
        return Choice(ensembles, self.stored, self.z_first)


class BaselineWork:
    """Holds the baseline that was scored last, and what was found of it."""

    def __init__(self) -> None:
        self._scored: Scored | None = None
        self._found: tuple[Choice, Calibrated] | None = None

    def score(self, folder: Path, root: Path) -> Scored:
        """Read and score the baseline of a session folder; takes a while."""
        baseline = read_baseline(folder, None)
        scores = score_rois(baseline)
        subject = subject_folder(root, baseline.session)
        stored = subject.ensembles()
        first = subject.first_calibration(stored) if stored is not None else None
        self._found = None
        self._scored = Scored(baseline, scores, stored, first.z_t if first is not None else None)
        return self._scored._replace(baseline=replace(baseline, inputs=()))

    def calibrate(self, sides: Sides, seed: int | None) -> Calibrated:
        """Find T, lo and chance of a choice.

        Raises
        ------
        bci.core.calibration.BaselineRefused
            Where the baseline gives no threshold.
        """
        scored = self._held()
        choice = scored.chosen(sides, seed)
        found = calibrate_ensembles(scored.baseline, choice.ensembles, choice.z_first)
        self._found = choice, found
        return found

    def keep(self, sides: Sides, seed: int | None, root: Path) -> dict[str, str]:
        """Write a choice and its calibration into the subject's folder; paths by kind."""
        scored = self._held()
        choice = scored.chosen(sides, seed)
        if self._found is None or self._found[0] != choice:
            self.calibrate(sides, seed)
        assert self._found is not None
        subject = subject_folder(root, scored.baseline.session)
        return keep(subject, *self._found, scored.scores, scored.baseline)

    def _held(self) -> Scored:
        if self._scored is None:
            raise RuntimeError("the process that held the baseline has ended: score the ROIs again")
        return self._scored
