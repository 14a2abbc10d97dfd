"""What the frame stream carries: its description and its frames."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.core.messages import (
    MOST_ITEMS,
    MOST_PLANES,
    Count,
    Finite,
    Label,
    NoteText,
    Rate,
    Text,
)


class Roi(msgspec.Struct, frozen=True):
    """One region of interest.

    Parameters
    ----------
    roi_id
        Position in the ROI table, from 0 over all planes.
    label
        Name by which ensembles and days refer to it.
    plane
        Imaging plane, from 0.
    compartment
        soma, dendrite, trunk, ... as the recording tells.
    x_px, y_px
        Centre in the image; NaN where unknown.
    """

    roi_id: Count
    label: Label
    plane: Count
    compartment: Label = "soma"
    x_px: float = float("nan")
    y_px: float = float("nan")


class StreamInfo(msgspec.Struct, frozen=True):
    """What a receiver must know before the first frame.

    Parameters
    ----------
    session
        Name of the session; its 64-bit hash stands in every frame header.
    epoch
        Counts the starts of acquisition within the session, from 0.
    source
        Name of the source, for people.
    rate_hz
        Rate of frame_id over all planes, Hz.
    n_planes
        Planes that take turns; frame_id % n_planes tells nothing, the header's plane does.
    image_shape
        Rows, columns; (0, 0) where unknown.
    polarity
        +1 where more light gives more counts, -1 where fewer.
    dark_counts
        Counts of the digitiser with the shutter closed.
    saturation_counts
        Largest count that the digitiser gives; None where unknown.
    rois
        The ROI table, in order.
    """

    session: NoteText
    epoch: Count
    source: Text
    rate_hz: Rate
    n_planes: Annotated[int, msgspec.Meta(ge=1, le=MOST_PLANES)]
    image_shape: tuple[Count, Count]
    polarity: Literal[-1, 1]
    dark_counts: Finite
    saturation_counts: Finite | None
    rois: Annotated[tuple[Roi, ...], msgspec.Meta(max_length=MOST_ITEMS)]

    @property
    def plane_rate_hz(self) -> float:
        """Rate of the frames of one plane, Hz."""
        return self.rate_hz / self.n_planes

    @property
    def roi_hash(self) -> int:
        """64-bit hash of labels and planes in table order; 0 is never returned."""
        return roi_order_hash(self.rois)

    @property
    def session_hash(self) -> int:
        """64-bit hash of the session's name, as in every frame header; never 0."""
        return hash64(self.session)

    def plane_rois(self, plane: int) -> tuple[Roi, ...]:
        """The ROIs of one plane, in the order of that plane's frames."""
        return tuple(roi for roi in self.rois if roi.plane == plane)


class RoiFrame(msgspec.Struct, frozen=True, gc=False):
    """Fluorescence of one plane's ROIs at one frame.

    Parameters
    ----------
    session_hash, roi_hash
        As in `StreamInfo`; 0: the sender does not tell.
    epoch, frame_id, plane
        frame_id goes up by one over all planes; fly-back frames have none.
    t_scope_ns
        Time of the last line on the microscope's clock, ns.
    t_sent_ns
        `time.perf_counter_ns` of the sender just before sending.
    fluorescence
        float32, shape (ROIs of the plane,), raw counts, in table order.
    flags
        Bits of the wire header.
    """

    session_hash: int
    roi_hash: int
    epoch: int
    frame_id: int
    plane: int
    t_scope_ns: int
    t_sent_ns: int
    fluorescence: NDArray[np.float32]
    flags: int = 0


def hash64(text: str) -> int:
    """First 8 bytes of SHA-256 as an unsigned little-endian integer, 1 in place of 0."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") or 1


def roi_order_hash(rois: Sequence[Roi]) -> int:
    """64-bit hash of `label@plane` lines in table order."""
    return hash64("\n".join(f"{roi.label}@{roi.plane}" for roi in rois))
