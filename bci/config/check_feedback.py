"""Rules between the tone of the feedback and the device that plays it."""

from bci.config.fault import Fault
from bci.config.session import Session


def feedback_faults(session: Session) -> list[Fault]:
    """What a tone asks for and cannot have; nothing where none is asked for."""
    feedback, rate_hz = session.experiment.feedback, session.rig.sound.sample_rate_hz
    lowest, highest = "experiment.feedback.lowest_hz", "experiment.feedback.highest_hz"
    rate = "rig.sound.sample_rate_hz"
    if not feedback.has_tone:
        return []
    faults = []
    if feedback.lowest_hz >= feedback.highest_hz:
        faults.append(
            Fault(
                lowest,
                feedback.lowest_hz,
                f"must be below {highest} = {feedback.highest_hz:g}",
                'which end is the target is told by experiment.feedback.target = "low" or "high"',
                (highest,),
            )
        )
    if feedback.highest_hz >= rate_hz / 2:
        faults.append(
            Fault(
                highest,
                feedback.highest_hz,
                f"must be below half of {rate} = {rate_hz:g}",
                "lower it, or raise the sample rate if the device takes it",
                (rate,),
            )
        )
    return faults
