"""Rules between the blocks of a day and what they need."""

from bci.config.fault import Fault
from bci.config.session import Session

BLOCKS = "experiment.blocks"


def block_faults(session: Session) -> list[Fault]:
    """Every rule that the blocks of the session break."""
    experiment, day = session.experiment, session.day
    key, named = ("day.blocks", day.blocks) if day.blocks else (BLOCKS, experiment.blocks)
    faults = []
    if "alignment" in named:
        faults.append(
            Fault(
                key,
                list(named),
                "alignment is not available yet: it needs raw images of the field of view",
                "leave it out, and align by hand before the session",
            )
        )
    if "baseline" in named and experiment.baseline is None:
        faults.append(
            Fault(
                key,
                list(named),
                "baseline needs the table experiment.baseline",
                "add [baseline] with duration_s, or leave the block out",
                ("experiment.baseline",),
            )
        )
    first_loop = named.index("closed_loop") if "closed_loop" in named else len(named)
    has_t = experiment.threshold is not None or day.threshold is not None
    if first_loop < len(named) and "baseline" not in named[:first_loop] and not has_t:
        faults.append(
            Fault(
                key,
                list(named),
                "closed_loop needs a T: a baseline before it, or one that was recorded today",
                "put baseline before it, or record one first with --block baseline",
                ("experiment.baseline", "experiment.threshold"),
            )
        )
    return faults
