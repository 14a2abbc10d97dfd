"""Whether a frame is the one that should come now, and whether it is an image."""

from collections import deque
from enum import IntEnum
from math import inf, isfinite, nan

import numpy as np
from numpy.typing import NDArray

from bci.config.experiment import StreamFaults
from bci.core.ledger import entry
from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.core.stream_types import RoiFrame, StreamInfo

CONFIRMING_IDS = 3
MOST_SORTED = 512
"""ROIs that are sorted in less time than their middle and their two ends are looked for."""


class Verdict(IntEnum):
    """What the loop shall do with a frame."""

    DISCARD = 0
    """As if it had not come."""
    FREEZE = 1
    """Its time counts, its values do not; feedback holds still."""
    DECODE = 2
    OTHER_PLANE = 3
    """Its time counts; the decoder does not read this plane."""


DISCARD, FREEZE, DECODE, OTHER_PLANE = Verdict
"""By name: to look a member up in its enum takes longer than to compare it."""


class FrameCheck:
    """Identity, order and content of every frame, each fault with its ledger entry.

    Parameters
    ----------
    faults
        `experiment.faults`.
    info
        The stream that frames must belong to.
    decode_plane, ensemble
        Plane that is decoded, and the places of the ensemble ROIs in its frames.

    Attributes
    ----------
    last_id
        Last frame id that was stepped, -1 before the first.
    long_gap
        True where the frame just checked ended a gap longer than `max_gap_s`.
    paused_by
        Kind of a fault of content that has now lasted `pause_after_s`, else None.
    median
        Median over the plane's ROIs of F above dark at the last decoded frame, counts.
    dark_reference
        Median of the baseline that dark is measured against, counts; NaN while unknown. Where it
        is not positive there is no light to miss, and nothing is dark.
    """

    def __init__(
        self,
        faults: StreamFaults,
        info: StreamInfo,
        decode_plane: int,
        ensemble: tuple[int, ...],
    ) -> None:
        self._faults = faults
        self._dark_fraction = faults.dark_fraction
        self._rate_hz = info.rate_hz
        self._session_hash = info.session_hash
        self._roi_hash = info.roi_hash
        self._plane_sizes = [len(info.plane_rois(plane)) for plane in range(info.n_planes)]
        self._decode_plane = decode_plane
        self._dark = info.dark_counts
        self._polarity = info.polarity
        self._saturation = (
            info.saturation_counts * faults.saturated_fraction
            if info.saturation_counts is not None
            else inf
        )
        # more light gives fewer counts where polarity is -1: its rail is 0
        self._rail = info.saturation_counts if info.polarity < 0 else None
        self._max_ahead = max(1, int(round(faults.max_gap_s * info.rate_hz, 6)))
        self.watch(ensemble)
        n_decoded = self._plane_sizes[decode_plane]
        self._ordered = np.empty(n_decoded, dtype=np.float32)
        self._middle = n_decoded // 2
        self._sorts = n_decoded <= MOST_SORTED
        self._previous: np.ndarray | None = None
        self._missing: deque[range] = deque(maxlen=64)
        self._future_id = -1
        self._future_count = 0
        self._content: LedgerKind | None = None
        self._content_since = -1
        self.epoch = info.epoch
        self.last_id = -1
        self.long_gap = False
        self.paused_by: LedgerKind | None = None
        self.median = nan
        self.dark_reference = nan
        self._settling_medians: list[float] = []

    def watch(self, ensemble: tuple[int, ...]) -> None:
        """Ask for finite values in these places; none: nothing is decoded yet."""
        self._ensemble = np.array(ensemble, dtype=np.intp)
        # one value that is finite in every frame tells most images apart at once
        self._witness = ensemble[0] if ensemble else 0

    def settle_dark(self, *, settled: bool) -> None:
        """While the dark reference is unknown: the first F0 window may stand for it.

        A threshold brings the median of its baseline.
        """
        self._settling_medians.append(self.median)
        if settled:
            self.dark_reference = float(np.median(self._settling_medians))
            self._settling_medians.clear()

    def new_epoch(self, epoch: int) -> None:
        """Expect frames of this epoch from now on."""
        self.epoch = epoch
        self._previous = None
        self._future_count = 0

    def check(self, frame: RoiFrame, ledger: list[LedgerEntry]) -> Verdict:
        """Judge a frame; faults are appended to `ledger`."""
        self.long_gap = False
        self.paused_by = None
        plane, frame_id, values = frame.plane, frame.frame_id, frame.fluorescence
        kind = self._foreign(frame, plane, len(values))
        if kind is not None:
            ledger.append(entry(frame_id, kind, self._what_is_foreign(frame, kind)))
            return DISCARD
        if frame_id != self.last_id + 1 and not self._in_order(frame_id, ledger):
            return FREEZE if self._future_count else DISCARD
        self._future_count = 0
        self.last_id = frame_id
        if plane == self._decode_plane:
            return self._content_of(frame_id, values, ledger)
        # both find NaN first; a third of the time of isfinite and all on caches gone cold
        if len(values) and not (
            isfinite(values.item(values.argmax())) and isfinite(values.item(values.argmin()))
        ):
            ledger.append(entry(frame_id, LedgerKind.NOT_FINITE_ELSEWHERE, f"plane {plane}"))
        return OTHER_PLANE

    def _foreign(self, frame: RoiFrame, plane: int, n_values: int) -> LedgerKind | None:
        if frame.session_hash != self._session_hash and frame.session_hash:
            return LedgerKind.WRONG_SESSION
        if frame.epoch != self.epoch:
            return LedgerKind.WRONG_EPOCH
        if frame.roi_hash != self._roi_hash and frame.roi_hash:
            return LedgerKind.WRONG_ROIS
        if plane >= len(self._plane_sizes):
            return LedgerKind.WRONG_PLANE
        if n_values != self._plane_sizes[plane]:
            return LedgerKind.WRONG_SIZE
        return None

    def _what_is_foreign(self, frame: RoiFrame, kind: LedgerKind) -> str:
        match kind:
            case LedgerKind.WRONG_SESSION:
                return f"session {frame.session_hash:016x}, not {self._session_hash:016x}"
            case LedgerKind.WRONG_EPOCH:
                return f"epoch {frame.epoch}, not {self.epoch}"
            case LedgerKind.WRONG_ROIS:
                return f"ROI order {frame.roi_hash:016x}, not {self._roi_hash:016x}"
            case LedgerKind.WRONG_PLANE:
                return f"plane {frame.plane} of {len(self._plane_sizes)}"
            case _:
                size = self._plane_sizes[frame.plane]
                return f"{len(frame.fluorescence)} ROIs in plane {frame.plane}, not {size}"

    def _in_order(self, frame_id: int, ledger: list[LedgerEntry]) -> bool:
        """Judge an id that is not the next one; True where the frame is to be stepped."""
        if frame_id <= self.last_id:
            self._future_count = 0
            was_missing = any(frame_id in ids for ids in self._missing)
            kind = LedgerKind.OUT_OF_ORDER if was_missing else LedgerKind.DUPLICATE
            ledger.append(entry(frame_id, kind, f"after {self.last_id}"))
            return False
        lost = frame_id - self.last_id - 1
        if lost > self._max_ahead:
            goes_on = self._future_count and frame_id == self._future_id + 1
            self._future_count = self._future_count + 1 if goes_on else 1
            self._future_id = frame_id
            if self._future_count <= CONFIRMING_IDS:
                ledger.append(entry(frame_id, LedgerKind.FAR_FUTURE, f"after {self.last_id}"))
                return False
            self.long_gap = True
        self._missing.append(range(self.last_id + 1, frame_id))
        # a stream may begin at any id: nothing is lost before its first frame
        if self.last_id >= 0:
            ledger.append(entry(frame_id, LedgerKind.GAP, f"after {self.last_id}", lost))
        return True

    def _content_of(
        self, frame_id: int, values: NDArray[np.float32], ledger: list[LedgerEntry]
    ) -> Verdict:
        ordered = self._ordered
        ordered[:] = values
        if self._sorts:
            ordered.sort()
            low, high = ordered.item(0), ordered.item(-1)
        else:
            ordered.partition(self._middle)
            low, high = values.item(values.argmin()), values.item(values.argmax())
        # NaN is the last in order, and found first by argmax
        if not (isfinite(high) and isfinite(low)):
            finite = np.isfinite(values)
            if not finite[self._ensemble].all():
                self._previous = values
                # each frame is told: which values are missing may differ from one to the next
                ledger.append(entry(frame_id, LedgerKind.NOT_FINITE))
                return self._freeze(frame_id, LedgerKind.NOT_FINITE)
            bad = int(len(values) - np.count_nonzero(finite))
            ledger.append(entry(frame_id, LedgerKind.NOT_FINITE_ELSEWHERE, "values", bad))
        counts = ordered.item(self._middle)
        median = self._polarity * (counts - self._dark)
        previous, self._previous = self._previous, values
        kind: LedgerKind | None = None
        if (
            previous is not None
            and previous.item(self._witness) == values.item(self._witness)
            and np.array_equal(previous, values, equal_nan=True)
        ):
            kind = LedgerKind.UNCHANGED
        elif median < self._dark_fraction * self.dark_reference and self.dark_reference > 0:
            kind = LedgerKind.DARK
        elif (counts if self._rail is None else self._rail - counts) >= self._saturation:
            kind = LedgerKind.SATURATED
        if kind is None:
            self._content = None
            if isfinite(median):
                self.median = median
            return DECODE
        if kind is not self._content:
            ledger.append(entry(frame_id, kind, f"median {counts:g} counts"))
        return self._freeze(frame_id, kind)

    def _freeze(self, frame_id: int, kind: LedgerKind) -> Verdict:
        """Hold feedback still, and ask for a pause once faults of content have lasted."""
        if self._content is None:
            self._content_since = frame_id
        self._content = kind
        if frame_id - self._content_since >= self._faults.pause_after_s * self._rate_hz:
            self.paused_by = kind
        return FREEZE
