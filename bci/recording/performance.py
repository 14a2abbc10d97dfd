"""How the animal did in a recorded session, and what a passive one was predicted to do."""

from math import isfinite

from bci.core.calibration import Interval, calibration_of
from bci.core.chance_of_trials import ChanceOfTrials
from bci.core.loop import ClosedLoop
from bci.core.performance import Performance, PerformanceMeter
from bci.recording.session_record import ReceivedFrame, SessionRecord


def performance_of(record: SessionRecord) -> Performance:
    """The figures that were told live, from the recorded decisions.

    The recorded list is fed to the loop once more, for the ensembles' activity, which no decision
    holds.
    """
    if not record.infos:
        return Performance()
    loop = ClosedLoop(record.session, record.info)
    meter = PerformanceMeter(record.info.rate_hz)
    recorded = {decision.sequence: decision for decision in record.decisions}
    for item in record.inputs:
        if isinstance(item, ReceivedFrame):
            loop.step(item.frame)
        else:
            loop.apply(item.event)
        decision = recorded.get(item.sequence)
        if decision is not None:
            meter.take(decision, loop.decoder.signal, loop.decoder.layout.n_plus)
    return meter.now


def chance_of(record: SessionRecord) -> ChanceOfTrials:
    """What a passive animal was predicted to score in the trials of a recorded session."""
    chance = ChanceOfTrials(record.session.experiment.session_type)
    if record.session.day.threshold is not None:
        chance.learn(calibration_of(record.session.day.threshold))
    for found in record.calibrations:
        chance.learn(found)
    for decision in record.decisions:
        if decision.trial_end is not None:
            chance.take(decision.trial_end)
    return chance


def predicted_chance(record: SessionRecord) -> Interval | None:
    """The same in figures, chance, low, high: 0–1; None where there is none to compare with."""
    told = chance_of(record).now
    return told if isfinite(told[0]) else None
