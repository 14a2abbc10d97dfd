"""When the trials of a session were."""

from bisect import insort
from math import nan

import msgspec
import numpy as np

from bci.core.loop_types import Outcome, Start, ThresholdSet, TrialEnd
from bci.recording.session_record import LARGEST_ID, Carries, SessionRecord
from bci.recording.time_axis import TimeAxis


class TrialSpan(msgspec.Struct, frozen=True):
    """One trial on the session's clock.

    Parameters
    ----------
    start_s, stop_s
        From the first frame of RUN to the frame of the outcome, one frame at least. A trial that
        was aborted in its grey begins with the grey.
    end
        As the loop told it.
    """

    start_s: float
    stop_s: float
    end: TrialEnd


def trial_spans(record: SessionRecord, axis: TimeAxis) -> list[TrialSpan]:
    """All trials that ended, in order."""
    table = record.decision_table
    trials, rows = np.unique(table["trial"], return_index=True)
    first_seen = dict(zip(trials.tolist(), table["frame_id"][rows].tolist(), strict=True))
    spans = []
    for end in record.trials:
        start_id = min(end.start_frame_id, LARGEST_ID - 1)
        stop_id = min(end.stop_frame_id, LARGEST_ID)
        if end.outcome is Outcome.ABORT and start_id >= stop_id:
            start_id = min(first_seen.get(end.trial, start_id), start_id)
        stop_id = max(stop_id, start_id + 1)
        start_s, stop_s = axis.seconds([start_id, stop_id]).tolist()
        spans.append(TrialSpan(start_s, stop_s, end))
    return spans


def threshold_changes(record: SessionRecord) -> list[tuple[int, float, float]]:
    """Sequence, T and lo of every time they were set."""
    given = record.session.experiment.threshold
    changes = []
    for timed in record.events:
        event = timed.value.event
        if isinstance(event, ThresholdSet) and event.t > event.lo:
            changes.append((timed.value.sequence, event.t, event.lo))
        elif isinstance(event, Start) and given is not None:
            changes.append((timed.value.sequence, given.t, given.lo))
    # a raise holds from the decision after the one that it was made in
    for decision in record.carrying(Carries.RAISED_T):
        if decision.raised_t is not None:
            sequence = decision.sequence + 1
            lo = next((lo for at, _, lo in reversed(changes) if at < sequence), nan)
            insort(changes, (sequence, decision.raised_t, lo))
    return changes
