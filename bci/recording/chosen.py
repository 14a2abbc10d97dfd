"""Which ensembles a session decoded with, and when."""

from bci.config.experiment import Decoder, Experiment
from bci.core.ensembles import with_ensembles
from bci.core.loop_types import EnsemblesSet, LedgerKind
from bci.core.session_types import decoder_settings
from bci.recording.session_record import SessionRecord


def experiments(record: SessionRecord) -> list[tuple[int, Experiment, str]]:
    """Sequence from which on, the experiment with the ensembles that stood, and who chose them.

    The first is that of the settings, from sequence 0 on; its origin is empty.
    """
    found = [(0, record.session.experiment, "")]
    for timed in record.events:
        sequence, event = timed.value.sequence, timed.value.event
        if not isinstance(event, EnsemblesSet):
            continue
        decision = record.decision_of(sequence)
        refused = decision is None or any(
            entry.kind is LedgerKind.REFUSED for entry in decision.ledger
        )
        if not refused:
            chosen = with_ensembles(record.session.experiment, event.p_plus, event.p_minus)
            found.append((sequence, chosen, event.origin))
    return found


def final_decoder(record: SessionRecord) -> Decoder:
    """The decoder that the session ended with, P+ and P− as it used them."""
    return decoder_settings(experiments(record)[-1][1])


def ensemble_labels(record: SessionRecord) -> tuple[str, ...]:
    """Labels of P+ and then P− at the end; empty: none were ever chosen."""
    decoder = final_decoder(record)
    return (*decoder.p_plus, *decoder.p_minus)


def experiment_at(record: SessionRecord, sequence: int) -> Experiment:
    """The experiment with the ensembles that stood at a sequence number."""
    return [one for first, one, _ in experiments(record) if first <= sequence][-1]
