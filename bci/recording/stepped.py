"""What the loop took of a recorded session: its frames, its read-out, the ensembles' signal."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import IO

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
    performance
        How the animal did, by the recorded decisions: the figures that were shown live.
    """

    places: NDArray[np.intp]
    frame_ids: NDArray[np.int64]
    planes: NDArray[np.int16]
    decoded: NDArray[np.intp]
    performance: Performance


class ReadOuts:
    """What the decoder made of every decoded frame, in a file, so that it takes no memory.

    Of each frame T and lo, then the signal of P+ and P−, dF/F unless set otherwise. T and lo are
    NaN while unknown; the signal is NaN if the frames it follows from are damaged in the journal,
    and before the last choice of ensembles.

    Parameters
    ----------
    file
        Takes the rows; open for reading and writing, empty.
    n_rois
        Of the ensembles that the session ended with.
    """

    def __init__(self, file: IO[bytes], n_rois: int) -> None:
        self.n_rois = n_rois
        self._file = file
        self._unknown = [nan] * n_rois

    @staticmethod
    def row_bytes(n_rois: int) -> int:
        """What a decoded frame takes of the file."""
        return 8 * (2 + n_rois)

    def add(self, t: float, lo: float, signal: Sequence[float] | None) -> None:
        """Take in the next decoded frame; None: its signal is not known."""
        row = [t, lo, *(self._unknown if signal is None else signal)]
        self._file.write(array("d", row).tobytes())

    def signal(self, start: int, stop: int) -> NDArray[np.float64]:
        """Signals of some decoded frames, shape (stop − start, ROIs)."""
        return self._rows(start, stop)[:, 2:]

    def t(self, start: int, stop: int) -> NDArray[np.float64]:
        """T at some decoded frames, shape (stop − start,)."""
        return self._rows(start, stop)[:, 0]

    def lo(self, start: int, stop: int) -> NDArray[np.float64]:
        """Lower end of the cursor at some decoded frames, shape (stop − start,)."""
        return self._rows(start, stop)[:, 1]

    def _rows(self, start: int, stop: int) -> NDArray[np.float64]:
        n_bytes = self.row_bytes(self.n_rois)
        self._file.seek(start * n_bytes)
        content = self._file.read((stop - start) * n_bytes)
        return np.frombuffer(content, np.float64).reshape(-1, 2 + self.n_rois)


def step_again(
    record: SessionRecord,
    tell: Callable[[float], None] = lambda _: None,
    read_outs: ReadOuts | None = None,
) -> Stepped:
    """Feed the recorded list through the one `ClosedLoop`.

    Parameters
    ----------
    tell
        Called now and then with the part of the list that was stepped, 0–1.
    read_outs
        Takes in what the decoder made of every decoded frame; None: it is not kept.

    Raises
    ------
    bci.recording.contents.DamagedJournal
        If the session ended before there was a stream.
    """
    loop = ClosedLoop(record.session, record.info)
    table, inputs = record.decision_table, record.inputs
    rows = _rows_of(table["sequence"], inputs.sequences)
    is_decoded = table["decoded"]
    meter = PerformanceMeter(record.info.rate_hz)
    labels = ensemble_labels(record)
    places, frame_ids, planes, decoded = array("q"), array("q"), array("H"), array("q")
    n_inputs = len(inputs)
    for place, item in enumerate(inputs):
        if place % TELL_INPUTS == 0:
            tell(place / n_inputs)
        row = int(rows[place])
        if not isinstance(item, ReceivedFrame):
            loop.apply(item.event)
            if row >= 0:
                meter.take(record.decisions[row], (), 0)
            continue
        t, lo = loop.t, loop.lo
        decision = loop.step(item.frame)
        if not decision.discarded:
            places.append(place)
            frame_ids.append(min(item.frame.frame_id, LARGEST_ID))
            planes.append(item.frame.plane)
        if row < 0:
            continue
        meter.take(record.decisions[row], loop.decoder.signal, loop.decoder.layout.n_plus)
        if is_decoded[row]:
            decoded.append(row)
            if read_outs is not None:
                known = decision.decoded and loop.decoder.labels == labels
                read_outs.add(t, lo, loop.decoder.signal if known else None)
    return Stepped(
        places=np.array(places, np.intp),
        frame_ids=np.array(frame_ids, np.int64),
        planes=np.array(planes, np.uint16).astype(np.int16),
        decoded=np.array(decoded, np.intp),
        performance=meter.now,
    )


def _rows_of(sequences: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows at which the wanted sequence numbers stand; -1: nowhere."""
    if not len(sequences):
        return np.full(len(wanted), -1)
    order = np.argsort(sequences, kind="stable")
    ascending = sequences[order]
    found = np.searchsorted(ascending, wanted, side="right") - 1
    return np.where(ascending[found] == wanted, order[found], -1)
