"""The 64-byte header of a frame: on the wire, in the journal, from any microscope program.

Layout, little-endian, in docs/wire-format.md.
"""

import struct

import numpy as np

from bci.core.stream_types import RoiFrame

MAGIC = b"BCIF"
VERSION = 1
TOPIC = b"frame"
HEADER = struct.Struct("<4sHHQIHHQIIqqQ")
MAX_ROIS = 1_000_000
_VALUES = np.dtype("<f4")
FLAG_END = 1
"""Bit of `flags`: no frame but the end of the stream, without values; every frame has gone before
it and its id is the next one."""


class NotAFrame(ValueError):
    """The bytes are no frame of this wire format."""


def pack_header(frame: RoiFrame, t_sent_ns: int | None = None) -> bytes:
    """The header of a frame, 64 bytes; `t_sent_ns` stands in place of the frame's own."""
    return HEADER.pack(
        MAGIC,
        VERSION,
        frame.flags,
        frame.session_hash,
        frame.epoch,
        frame.plane,
        0,
        frame.frame_id,
        len(frame.fluorescence),
        0,
        frame.t_scope_ns,
        frame.t_sent_ns if t_sent_ns is None else t_sent_ns,
        frame.roi_hash,
    )


def unpack_frame(header: bytes, buffer: bytes) -> RoiFrame:
    """The frame that header and buffer hold; fluorescence is a view of `buffer`.

    Raises
    ------
    NotAFrame
        Naming the first thing that is wrong.
    """
    if len(header) != HEADER.size:
        raise NotAFrame(f"header of {len(header)} bytes, not {HEADER.size}")
    (
        magic,
        version,
        flags,
        session_hash,
        epoch,
        plane,
        _,
        frame_id,
        n_rois,
        _,
        t_scope_ns,
        t_sent_ns,
        roi_hash,
    ) = HEADER.unpack(header)
    if magic != MAGIC:
        raise NotAFrame(f"magic {magic!r}, not {MAGIC!r}")
    if version != VERSION:
        raise NotAFrame(f"version {version}, this program reads {VERSION}")
    if n_rois > MAX_ROIS:
        raise NotAFrame(f"{n_rois} ROIs, at most {MAX_ROIS}")
    if len(buffer) != 4 * n_rois:
        raise NotAFrame(f"{len(buffer)} bytes of fluorescence for {n_rois} ROIs")
    return RoiFrame(
        session_hash,
        roi_hash,
        epoch,
        frame_id,
        plane,
        t_scope_ns,
        t_sent_ns,
        np.frombuffer(buffer, _VALUES),
        flags,
    )
