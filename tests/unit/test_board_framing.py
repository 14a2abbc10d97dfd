"""Frames and messages: what comes in comes out, and nothing else ever does."""

from binascii import crc_hqx

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.hardware.board import protocol
from bci.hardware.board.framing import MAX_ENCODED, MAX_PAYLOAD, FrameDecoder, crc16, encode_frame

payloads = st.binary(min_size=1, max_size=MAX_PAYLOAD)
MESSAGES = (*protocol.HOST_MESSAGES, *protocol.BOARD_MESSAGES)


def test_crc_is_ccitt_false() -> None:
    assert crc16(b"123456789") == 0x29B1 == crc_hqx(b"123456789", 0xFFFF)


@given(st.lists(payloads), st.data())
def test_payloads_survive_any_cut_of_the_stream(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(encode_frame, sent))
    decoder, got, position = FrameDecoder(), [], 0
    while position < len(stream):
        step = data.draw(st.integers(1, 60))
        got += decoder.feed(stream[position : position + step])
        position += step
    assert got == sent
    assert decoder.bad_frames == 0


@given(payloads)
def test_frame_holds_one_zero_at_its_end_and_fits_the_buffer_of_a_microcontroller(
    payload: bytes,
) -> None:
    frame = encode_frame(payload)
    assert frame.index(0) == len(frame) - 1 <= MAX_ENCODED


@given(st.lists(payloads, min_size=1, max_size=4), st.data())
def test_flipped_bit_costs_at_most_the_frames_it_touches(
    sent: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(encode_frame, sent)))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    got = FrameDecoder().feed(bytes(stream))
    assert all(payload in sent for payload in got)
    assert len(got) >= len(sent) - 2


@given(st.lists(st.binary(max_size=300)), payloads)
def test_decoder_recovers_after_any_garbage_at_the_next_delimiter(
    garbage: list[bytes], payload: bytes
) -> None:
    decoder = FrameDecoder()
    for piece in garbage:
        decoder.feed(piece)
    decoder.feed(b"\x00")
    assert decoder.feed(encode_frame(payload)) == [payload]


def test_endless_stream_without_delimiter_keeps_memory_bounded() -> None:
    decoder = FrameDecoder()
    for _ in range(10_000):
        decoder.feed(b"\x07" * 37)
    assert len(decoder._pending) <= MAX_ENCODED
    assert decoder.feed(b"\x00") == []
    assert decoder.bad_frames == 1


@pytest.mark.parametrize("payload", [b"", bytes(MAX_PAYLOAD + 1)])
def test_payload_of_wrong_size_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 48 bytes"):
        encode_frame(payload)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_message_survives_the_line(kind: type[protocol.Message], data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=kind.LAYOUT.size, max_size=kind.LAYOUT.size))
    message = kind.unpack(body)
    [payload] = FrameDecoder().feed(message.frame(77))
    unpack = protocol.from_host if kind in protocol.HOST_MESSAGES else protocol.from_board
    assert unpack(payload) == (77, message)


def owner(message_type: int) -> object:
    return protocol.from_board if message_type & 0x80 else protocol.from_host


@given(payloads)
def test_payload_is_a_message_or_says_why_not(payload: bytes) -> None:
    for unpack in (protocol.from_host, protocol.from_board):
        try:
            sequence, message = unpack(payload)
        except protocol.NotAMessage:
            known = {kind.TYPE: kind.LAYOUT.size for kind in MESSAGES}
            assert known.get(payload[0]) != len(payload) - 2 or unpack is not owner(payload[0])
        else:
            assert message.payload(sequence) == payload


def test_every_message_has_a_type_of_its_own_and_fits_a_frame() -> None:
    assert len({kind.TYPE for kind in MESSAGES}) == len(MESSAGES)
    assert all(kind.LAYOUT.size + 2 <= MAX_PAYLOAD for kind in MESSAGES)


def test_sequence_numbers_leave_out_zero() -> None:
    seen, sequence = [], 0
    for _ in range(256):
        sequence = protocol.next_sequence(sequence)
        seen.append(sequence)
    assert seen[:255] == list(range(1, 256))
    assert seen[255] == 1
