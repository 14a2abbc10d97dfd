"""What a simulated board does wrong on the line, as `rig.board.faults` tells."""

from bci.config.rig import Faults
from bci.hardware.board.framing import DELIMITER, FrameDecoder
from bci.hardware.board.protocol import Ack

_FLIP = 0x55


class LineFaults:
    """Loses, flips and repeats bytes by count, so that a run can be repeated."""

    def __init__(self, settings: Faults) -> None:
        self.settings = settings
        self._sent = 0
        self._received = 0
        self._frames = 0

    def outbound(self, data: bytes) -> bytes:
        """What is left of the bytes that the board sends."""
        if not data:
            return data
        frames = [frame + DELIMITER for frame in data.split(DELIMITER)[:-1]]
        kept = bytearray()
        for frame in frames:
            if self.settings.no_ack and _is_ack(frame):
                continue
            self._frames += 1
            every = self.settings.duplicate_frame_every
            kept += frame * (2 if every and self._frames % every == 0 else 1)
        out = self._spoil(bytes(kept), self._sent)
        self._sent += len(kept)
        return out

    def inbound(self, data: bytes) -> bytes:
        """What reaches the board of the bytes that the host sends."""
        if not self.settings.both_ways:
            return data
        out = self._spoil(data, self._received)
        self._received += len(data)
        return out

    def _spoil(self, data: bytes, before: int) -> bytes:
        lose, flip = self.settings.lose_byte_every, self.settings.corrupt_byte_every
        if not lose and not flip:
            return data
        out = bytearray()
        for number, byte in enumerate(data, before + 1):
            if lose and number % lose == 0:
                continue
            out.append(byte ^ _FLIP if flip and number % flip == 0 else byte)
        return bytes(out)


def _is_ack(frame: bytes) -> bool:
    return any(payload[0] == Ack.TYPE for payload in FrameDecoder().feed(frame))
