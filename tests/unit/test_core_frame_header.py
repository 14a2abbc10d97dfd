"""The bytes of a frame: there and back, and nothing but NotAFrame for all else."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.core.frame_header import HEADER, MAX_ROIS, NotAFrame, pack_header, unpack_frame
from bci.core.stream_types import RoiFrame

u64 = st.integers(0, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
u32, u16 = st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1)
values = st.lists(st.floats(width=32), max_size=20).map(lambda v: np.array(v, dtype="<f4"))
frames = st.builds(RoiFrame, u64, u64, u32, u64, u16, i64, i64, values, u16)


@given(frames)
@settings(deadline=None)
def test_frame_survives_packing(frame: RoiFrame) -> None:
    header = pack_header(frame)
    assert len(header) == 64
    back = unpack_frame(header, frame.fluorescence.tobytes())
    assert back.fluorescence.tobytes() == frame.fluorescence.tobytes()
    for name in RoiFrame.__struct_fields__:
        if name != "fluorescence":
            assert getattr(back, name) == getattr(frame, name)


@given(st.binary(max_size=200), st.binary(max_size=80))
@settings(deadline=None)
def test_garbage_is_not_a_frame(header: bytes, buffer: bytes) -> None:
    with pytest.raises(NotAFrame):
        unpack_frame(header, buffer)


@given(frames, st.integers(0, 63), st.integers(1, 255), st.integers(0, 7))
@settings(max_examples=300)
def test_damaged_header_is_a_frame_or_not_a_frame(
    frame: RoiFrame, place: int, flip: int, cut: int
) -> None:
    header, buffer = bytearray(pack_header(frame)), frame.fluorescence.tobytes()
    header[place] ^= flip
    try:
        back = unpack_frame(bytes(header), buffer[: len(buffer) - cut])
    except NotAFrame:
        return
    assert 4 * len(back.fluorescence) == len(buffer[: len(buffer) - cut])


@given(frames, st.integers(0, 63))
@settings(deadline=None)
def test_truncated_header_is_not_a_frame(frame: RoiFrame, length: int) -> None:
    with pytest.raises(NotAFrame, match=f"header of {length} bytes"):
        unpack_frame(pack_header(frame)[:length], frame.fluorescence.tobytes())


def with_field(place: int, code: str, value: int) -> bytes:
    frame = RoiFrame(1, 2, 0, 5, 0, 0, 0, np.zeros(3, dtype="<f4"))
    header = bytearray(pack_header(frame))
    struct.pack_into("<" + code, header, place, value)
    return bytes(header)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (with_field(0, "I", 0), "magic"),
        (with_field(4, "H", 2), "version 2"),
        (with_field(32, "I", 4), "12 bytes of fluorescence for 4 ROIs"),
        (with_field(32, "I", MAX_ROIS + 1), f"at most {MAX_ROIS}"),
    ],
)
def test_refusal_names_what_is_wrong(header: bytes, reason: str) -> None:
    assert len(header) == HEADER.size
    with pytest.raises(NotAFrame, match=reason):
        unpack_frame(header, bytes(12))
