"""A day in words: what it brings along, for the terminal and the pre-flight."""

from collections.abc import Iterator
from pathlib import Path

from bci.config.session import Session
from bci.core.counted import counted
from bci.recording.subject import SubjectDamaged, SubjectFolder
from bci.session.check import Check, Status
from bci.session.keep_day import not_writable


def day_words(session: Session) -> Iterator[str]:
    """Every choice of a day that its session file does not show."""
    day, decoder = session.day, session.experiment.decoder
    if day.ensembles_from:
        yield f"ensembles from {day.ensembles_from}: {_sides(decoder.p_plus, decoder.p_minus)}"
    elif not decoder.p_plus:
        yield "no ensembles yet: they are chosen after the baseline"
    if day.without:
        yield f"without {', '.join(day.without)} today: weights 1/n of the rest"
    z_first = session.experiment.calibration.z_first
    if z_first is not None:
        rule = session.experiment.calibration.carry_over
        yield f"z of T of day 1 is {z_first:.3f}, carried over by the rule {rule}"
    if day.threshold is not None:
        yield f"T {day.threshold.t:.4f}, lo {day.threshold.lo:.4f}: {day.threshold.origin}"
    if day.resumed is not None:
        yield (
            f"goes on with {day.resumed.session}: {counted(day.resumed.trials, 'trial')} and "
            f"{day.resumed.session_spent_s:.0f} s of trials before this"
        )


def check_subject(session: Session, root: Path) -> Check:
    """What the subject's folder holds for this session."""
    folder = SubjectFolder(root, session.subject)
    decoder = session.experiment.decoder
    try:
        stored, n_calibrations = folder.ensembles(), len(folder.calibrations())
    except SubjectDamaged as error:
        return Check("subject", Status.FAIL, str(error), "a day cannot begin from it")
    if (barred := not_writable(root, session.subject)) is not None:
        message = f"{barred} cannot be written to: drops and calibrations are kept there"
        return Check("subject", Status.FAIL, message, "allow it, or write elsewhere with --out")
    message = f"{session.subject}, {counted(n_calibrations, 'calibration')}"
    if decoder.p_plus and not session.day.ensembles_from:
        return Check("subject", Status.OK, f"{message}; the experiment names its ensembles")
    if stored is None:
        todo = "record a baseline and choose them: bci calibrate, or bci tell FOLDER ensembles"
        return Check("subject", Status.WARN, f"{message}, no ensembles yet", todo)
    sides = _sides(stored.p_plus, stored.p_minus)
    return Check("subject", Status.OK, f"{message}; ensembles of {stored.at[:10]}: {sides}")


def _sides(p_plus: tuple[str, ...], p_minus: tuple[str, ...]) -> str:
    return f"P+ {', '.join(p_plus)}" + (f"; P- {', '.join(p_minus)}" if p_minus else "")
