"""Predicted chance of the very trials that accuracy counts, each with its own T."""

from collections import Counter
from math import fsum, nan

from bci.config.session_type import SessionType, follows_neurons
from bci.core.calibration import CalibrationResult, Interval, interval_words, known_above
from bci.core.loop_types import Outcome, TrialEnd

MEANS_NOTHING = "none: it is not the neurons that hit"
NOTHING: Interval = (nan, nan, nan)


def words_of_chance(found: CalibrationResult, session_type: SessionType) -> str:
    """Chance at the T of a calibration, for people, or why a session has none."""
    return found.chance_words if follows_neurons(session_type) else MEANS_NOTHING


class ChanceOfTrials:
    """What a passive animal would have scored in the trials so far.

    The mean over hits and misses of the chance at the T of each, because adaptive difficulty and
    operators change T within a session, and accuracy counts all of its trials. The ends of the
    interval are averaged alike: one baseline is behind all of them, so they err together.

    Parameters
    ----------
    session_type
        `experiment.session_type`; where no neuron has a part in the hits, chance means nothing.
    """

    def __init__(self, session_type: SessionType) -> None:
        self._session_type = session_type
        self._means_nothing = not follows_neurons(session_type)
        self._newest: CalibrationResult | None = None
        self._predicted: dict[float, Interval] = {}
        self._trials: Counter[float] = Counter()

    def learn(self, found: CalibrationResult) -> None:
        """Take a calibration in, as first written or with its chance; the newest of a T stands."""
        self._newest = found
        self._predicted |= found.told_chances

    def take(self, end: TrialEnd) -> None:
        """Take the end of a trial in; aborted ones do not count."""
        # without a T there is no chance of it
        if end.outcome in (Outcome.HIT, Outcome.MISS) and end.threshold == end.threshold:
            self._trials[end.threshold] += 1

    def at(self, t: float) -> Interval:
        """Chance and its interval at one T, 0–1; all NaN where it was not predicted."""
        return NOTHING if self._means_nothing else self._predicted.get(t, NOTHING)

    def above(self, t: float) -> tuple[tuple[float, float, float, float], ...]:
        """What was predicted at higher T: T, chance and both ends of each."""
        return known_above(t, self._predicted)

    @property
    def t(self) -> float:
        """T of the newest calibration; NaN where there is none."""
        return nan if self._newest is None else self._newest.t

    @property
    def now(self) -> Interval:
        """Chance and its interval, 0–1; before the first trial that of T; all NaN where unknown."""
        if not self._trials:
            return NOTHING if self._newest is None else self.at(self._newest.t)
        n = self._trials.total()
        of_each = [(self.at(t), times) for t, times in self._trials.items()]
        chance, low, high = (
            fsum(found[place] * times for found, times in of_each) / n for place in range(3)
        )
        return chance, low, high

    @property
    def words(self) -> str:
        """The same for people, or why there is none; empty where nothing was calibrated."""
        if self._newest is None:
            return ""
        now = self.now
        if now[0] == now[0]:
            several = f", mean over {len(self._trials)} T" if len(self._trials) > 1 else ""
            return interval_words(now) + several
        unknown = [t for t in self._trials if t not in self._predicted]
        if unknown and self._predicted and not self._means_nothing:
            return f"unknown at T {unknown[0]:.3g}"
        return words_of_chance(self._newest, self._session_type)
