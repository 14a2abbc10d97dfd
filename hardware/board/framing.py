"""Frames on the serial line: COBS around payload and CRC, ended by a zero byte.

`docs/board-protocol.md` is the specification; this is the host's and the simulated board's side.
"""

from binascii import crc_hqx

from cobs import cobs

MAX_PAYLOAD = 48
"""Bytes of type, sequence and body together."""

CRC_BYTES = 2
MAX_ENCODED = MAX_PAYLOAD + CRC_BYTES + 1
"""Bytes between two delimiters: COBS adds one byte to fewer than 255."""

DELIMITER = b"\x00"


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected, no final xor."""
    return crc_hqx(data, 0xFFFF)


def encode_frame(payload: bytes) -> bytes:
    """The bytes that go over the line for one payload, closing delimiter included.

    Raises
    ------
    ValueError
        Where the payload is empty or longer than `MAX_PAYLOAD`.
    """
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise ValueError(f"a payload has 1 to {MAX_PAYLOAD} bytes, not {len(payload)}")
    framed: bytes = cobs.encode(payload + crc16(payload).to_bytes(CRC_BYTES, "little"))
    return framed + DELIMITER


class FrameDecoder:
    """Cuts a byte stream into payloads; whatever is not a whole frame is dropped and counted.

    Attributes
    ----------
    bad_frames
        Stretches between delimiters that were too long, not COBS, too short or failed their CRC.
    """

    def __init__(self) -> None:
        self.bad_frames = 0
        self._pending = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads that these bytes complete, in order."""
        payloads = []
        *closed, rest = data.split(DELIMITER)
        for piece in closed:
            payload = self._close(piece)
            if payload is not None:
                payloads.append(payload)
        self._keep(rest)
        return payloads

    def reset(self) -> None:
        """Forget a frame begun: the line was opened anew."""
        self._pending.clear()
        self._overlong = False

    def _keep(self, piece: bytes) -> None:
        # an endless stream without delimiters must not fill the memory
        if len(self._pending) + len(piece) > MAX_ENCODED:
            self._overlong = True
            self._pending.clear()
        elif not self._overlong:
            self._pending += piece

    def _close(self, piece: bytes) -> bytes | None:
        self._keep(piece)
        encoded, overlong = bytes(self._pending), self._overlong
        self.reset()
        if not encoded and not overlong:
            return None
        payload = None if overlong else _checked(encoded)
        if payload is None:
            self.bad_frames += 1
        return payload


def _checked(encoded: bytes) -> bytes | None:
    try:
        decoded: bytes = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    payload, crc = decoded[:-CRC_BYTES], decoded[-CRC_BYTES:]
    if not payload or crc16(payload) != int.from_bytes(crc, "little"):
        return None
    return payload
