"""What the records of a journal say: decoded, and refused if they contradict each other.

A right CRC proves that a record is as it was written, not that this program wrote it.
"""

import struct
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bci.config import Session
from bci.core.frame_header import HEADER, MAGIC, VERSION
from bci.core.messages import MOST_COUNT, MOST_NS, NotAMessage, read_message
from bci.core.stream_types import StreamInfo
from bci.recording.layout import FRAME_HEAD, PAYLOADS
from bci.recording.records import Topic

FRAME_BYTES = FRAME_HEAD.size + HEADER.size
"""Of a frame's record before its values."""
_FRAME = struct.Struct("<Qq4sH26xI")
"""Sequence, time of arrival, magic, version and number of values at the start of a frame."""
VALUE_BYTES = 4
CHANGED = "It was changed, or another program wrote it; use the original."


class DamagedJournal(ValueError):
    """The journal cannot be read whole; says where and what to do."""


class Place(Protocol):
    """Where a record stands in the file; a message of a scan, or a record of a tail."""

    @property
    def topic(self) -> Topic:
        """Channel."""
        ...

    @property
    def number(self) -> int:
        """Running number of the record, from 0."""
        ...

    @property
    def offset(self) -> int:
        """Where it begins, bytes."""
        ...

    @property
    def wall_ns(self) -> int:
        """`time.time_ns` of what it records."""
        ...

    @property
    def perf_ns(self) -> int:
        """`time.perf_counter_ns` of what it records."""
        ...


class RecordReader:
    """Decode the records of one journal, in their order.

    Types bound what one record may hold (`bci.core.messages`). Here is checked what a record may
    hold beside the ones before it and the session's settings.

    Parameters
    ----------
    path
        The journal, for the error.
    session
        Its settings; None: not known, nothing is compared with them.

    Attributes
    ----------
    decoders
        Of the payload of each topic but `frame`.
    """

    def __init__(self, path: Path, session: Session | None = None) -> None:
        self._path = path
        self._session = session
        self.decoders = {topic: msgspec.msgpack.Decoder(kind) for topic, kind in PAYLOADS.items()}
        self._info: StreamInfo | None = None

    def value(self, place: Place, payload: bytes) -> Any:
        """What a record holds that is no frame.

        Raises
        ------
        DamagedJournal
            If it is not what its topic promises, or contradicts what came before.
        """
        try:
            value = read_message(self.decoders[place.topic], payload)
        except NotAMessage as error:
            raise self.refused(place, str(error)) from error
        if place.topic is Topic.INFO and (why := self._info_fault(value)):
            raise self.refused(place, why)
        return value

    def check_frame(self, place: Place, head: bytes, n_bytes: int) -> int:
        """Check that the payload of a frame's record is a frame, whatever it shows.

        Parameters
        ----------
        head
            Its first `FRAME_BYTES`.
        n_bytes
            Length of the payload.

        Returns
        -------
        int
            Its sequence.

        Raises
        ------
        DamagedJournal
            If it is none.
        """
        if n_bytes < FRAME_BYTES:
            raise self.refused(place, "too short for a frame")
        sequence, received_ns, magic, version, n_values = _FRAME.unpack_from(head)
        if magic != MAGIC or version != VERSION or n_bytes != FRAME_BYTES + VALUE_BYTES * n_values:
            why = f"no frame: {magic!r}, version {version}, {n_values} values in {n_bytes} bytes"
            raise self.refused(place, why)
        if not 0 < sequence <= MOST_COUNT or not -MOST_NS <= received_ns <= MOST_NS:
            raise self.refused(place, f"sequence {sequence}, received at {received_ns} ns")
        return int(sequence)

    def check_times(self, place: Place) -> None:
        """Refuse times that no clock shows.

        Raises
        ------
        DamagedJournal
            If one of them is beyond `MOST_NS`.
        """
        if place.wall_ns > MOST_NS or place.perf_ns > MOST_NS:
            raise self.refused(place, f"of {place.wall_ns} ns, {place.perf_ns} ns")

    def two_inputs(self, sequence: int) -> DamagedJournal:
        """The error for two frames or events with one number."""
        return DamagedJournal(f"{self._path}: two inputs have number {sequence}. {CHANGED}")

    def refused(self, place: Place, why: str) -> DamagedJournal:
        """The error for a record whose CRC is right and whose content is not."""
        return DamagedJournal(
            f"{self._path}: record {place.number} ({place.topic.name.lower()}), byte "
            f"{place.offset}, is whole but not of this program: {why}. {CHANGED}"
        )

    def _info_fault(self, info: StreamInfo) -> str:
        """Why a stream cannot be this session's; empty if it can."""
        known = self._info
        if known is not None:
            if info.n_planes != known.n_planes:
                return f"{info.n_planes} planes, {known.n_planes} before"
            return "other ROIs than before" if info.roi_hash != known.roi_hash else ""
        beyond = [roi.plane for roi in info.rois if roi.plane >= info.n_planes]
        if beyond:
            return f"an ROI in plane {beyond[0]} of {info.n_planes}"
        if self._session is not None:
            decoder = self._session.experiment.decoder
            if decoder.decode_plane >= info.n_planes:
                return f"plane {decoder.decode_plane} is decoded, {info.n_planes} planes are there"
            there = {roi.label for roi in info.plane_rois(decoder.decode_plane)}
            for label in (*decoder.p_plus, *decoder.p_minus):
                if label not in there:
                    return f"no ROI {label} in plane {decoder.decode_plane}"
        self._info = info
        return ""
