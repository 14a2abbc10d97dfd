"""What the loop took of a recorded session: its frames, its read-out, the ensembles' signal."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.core.loop import ClosedLoop
from bci.core.performance import Performance, PerformanceMeter
from bci.recording.chosen import ensemble_labels
from bci.recording.session_record import LARGEST_ID, ReceivedFrame, SessionRecord

TELL_INPUTS = 4096
"""From one word on how far it is to the next."""


@dataclass(frozen=True)
class Stepped:
    """A session as the loop saw it.

    Parameters
    ----------
    places
        Place in `SessionRecord.inputs` of every frame that was stepped; a duplicate, a foreign
        frame or one out of order was not. Shape (frames,).
    frame_ids, planes
        Of the same frames; ids rise.
    decoded
        Rows of `SessionRecord.decision_table` of the frames that entered s3, shape (decoded,).
    signal
        Signal of P+ and then P−, dF/F unless set otherwise, computed again from the frames, shape
        (decoded, ROIs); NaN where damage to the journal took the frames it follows from, and before
        these ensembles were chosen.
    thresholds
        T and lo at each decoded frame, dF/F, shape (decoded, 2); NaN while unknown.
    performance
        How the animal did, by the recorded decisions: the figures that were shown live.
    """

    places: NDArray[np.intp]
    frame_ids: NDArray[np.int64]
    planes: NDArray[np.int16]
    decoded: NDArray[np.intp]
    signal: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    performance: Performance


def step_again(record: SessionRecord, tell: Callable[[float], None] = lambda _: None) -> Stepped:
    """Feed the recorded list through the one `ClosedLoop`.

    Parameters
    ----------
    tell
        Called now and then with the part of the list that was stepped, 0–1.

    Raises
    ------
    bci.recording.session_record.DamagedJournal
        If the session ended before there was a stream.
    """
    loop = ClosedLoop(record.session, record.info)
    table = record.decision_table
    rows = dict(
        zip(
            table["sequence"][table["decoded"]].tolist(),
            np.flatnonzero(table["decoded"]).tolist(),
            strict=True,
        )
    )
    recorded = {decision.sequence: decision for decision in record.decisions}
    meter = PerformanceMeter(record.info.rate_hz)
    labels = ensemble_labels(record)
    signal = np.full((len(rows), len(labels)), np.nan)
    thresholds = np.full((len(rows), 2), np.nan)
    taken: list[tuple[int, int, int]] = []
    decoded: list[int] = []
    n_inputs = len(record.inputs)
    for place, item in enumerate(record.inputs):
        if place % TELL_INPUTS == 0:
            tell(place / n_inputs)
        told = recorded.get(item.sequence)
        if not isinstance(item, ReceivedFrame):
            loop.apply(item.event)
            if told is not None:
                meter.take(told, (), 0)
            continue
        t, lo = loop.t, loop.lo
        decision = loop.step(item.frame)
        if told is not None:
            meter.take(told, loop.decoder.signal, loop.decoder.layout.n_plus)
        if not decision.discarded:
            taken.append((place, min(item.frame.frame_id, LARGEST_ID), item.frame.plane))
        row = rows.get(item.sequence)
        if row is not None:
            if decision.decoded and loop.decoder.labels == labels:
                signal[len(decoded)] = loop.decoder.signal
            thresholds[len(decoded)] = t, lo
            decoded.append(row)
    columns = np.array(taken, dtype=np.int64).reshape(-1, 3)
    n_decoded = len(decoded)
    return Stepped(
        places=columns[:, 0].astype(np.intp),
        frame_ids=columns[:, 1],
        planes=columns[:, 2].astype(np.int16),
        decoded=np.array(decoded, dtype=np.intp),
        signal=signal[:n_decoded],
        thresholds=thresholds[:n_decoded],
        performance=meter.now,
    )
