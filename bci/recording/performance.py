"""How the animal did in a recorded session, and what a passive one was predicted to do."""

from math import isfinite

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


def predicted_chance(record: SessionRecord) -> tuple[float, float, float] | None:
    """Accuracy of a passive animal at the T that stands last, its interval: chance, low, high.

    None where nobody predicted it, or the baseline was too short.
    """
    if record.calibrations:
        told = record.calibrations[-1].told_chance
        return told if isfinite(told[0]) else None
    known = record.session.day.threshold
    if known is None:
        return None
    chance, low, high = known.chance, known.chance_low, known.chance_high
    return None if chance is None or low is None or high is None else (chance, low, high)
