"""How the animal did in a recorded session, and what a passive one was predicted to do."""

from math import isfinite

from bci.core.calibration import Interval, calibration_of
from bci.core.chance_of_trials import ChanceOfTrials
from bci.core.performance import TaskTime
from bci.recording.session_record import SessionRecord


def time_of(record: SessionRecord) -> TaskTime:
    """Frame time and rewards of a recorded session."""
    time = TaskTime()
    for decision in record.decisions:
        time.take(decision)
    return time


def chance_of(record: SessionRecord) -> ChanceOfTrials:
    """What a passive animal was predicted to score in the trials of a recorded session."""
    chance = ChanceOfTrials(record.session.experiment.session_type)
    if record.session.day.threshold is not None:
        chance.learn(calibration_of(record.session.day.threshold))
    for found in record.calibrations:
        chance.learn(found)
    for end in record.trials:
        chance.take(end)
    return chance


def predicted_chance(record: SessionRecord) -> Interval | None:
    """The same in figures, chance, low, high: 0–1; None where there is none to compare with."""
    told = chance_of(record).now
    return told if isfinite(told[0]) else None
