"""What the board remembers through a reset: boot counter and the ring of rewards."""

import struct
from dataclasses import dataclass, field

import msgspec

from bci.hardware.board.codes import RingState
from bci.hardware.board.framing import crc16
from bci.hardware.board.protocol import Ring, RingEntry

RING_SIZE = 16
_HEAD = struct.Struct("<IHB")
_ENTRY = struct.Struct("<IIIB")


class Remembered(msgspec.Struct):
    """One reward in the ring; the times live as long as the boot that made them."""

    session: int
    request_id: int
    opened_us: int
    state: RingState
    t_open_us: int = 0
    t_close_us: int = 0


@dataclass
class Memory:
    """The simulated EEPROM.

    Attributes
    ----------
    boot
        Resets so far.
    losses
        Resets that may have lost marks of the ring.
    entries
        Newest first, at most `RING_SIZE`.
    """

    boot: int = 0
    losses: int = 0
    entries: list[Remembered] = field(default_factory=list)

    def find(self, session: int, request_id: int) -> Remembered | None:
        """The entry of a request of this session."""
        for entry in self.entries:
            if entry.request_id == request_id and entry.session == session:
                return entry
        return None

    def told(self, answered: int, session: int, ask: Ring) -> RingEntry:
        """The answer to RING: of a request of this session, or of the nth newest of any."""
        if ask.request_id:
            entry = self.find(session, ask.request_id)
        else:
            entry = self.entries[ask.nth] if ask.nth < len(self.entries) else None
        if entry is None:
            entry = Remembered(session, ask.request_id, 0, RingState.ABSENT)
        return RingEntry(
            answered=answered,
            nth=ask.nth,
            session=entry.session,
            request_id=entry.request_id,
            state=entry.state,
            opened_us=entry.opened_us,
            t_open_us=entry.t_open_us,
            t_close_us=entry.t_close_us,
        )

    def begin(self, session: int, request_id: int) -> Remembered:
        """Mark a reward as running, before the valve opens."""
        entry = Remembered(session, request_id, 0, RingState.RUNNING)
        self.entries.insert(0, entry)
        del self.entries[RING_SIZE:]
        return entry

    def restart(self, *, lost: bool = False) -> None:
        """What the start-up code does: count the boot, close what was running."""
        self.boot += 1
        self.losses += lost
        for entry in self.entries:
            if entry.state is RingState.RUNNING:
                entry.state = RingState.INTERRUPTED
            entry.t_open_us = entry.t_close_us = 0

    def to_bytes(self) -> bytes:
        """The image of the EEPROM, CRC included."""
        image = _HEAD.pack(self.boot, self.losses, len(self.entries)) + b"".join(
            _ENTRY.pack(entry.session, entry.request_id, entry.opened_us, entry.state)
            for entry in self.entries
        )
        return image + crc16(image).to_bytes(2, "little")

    @classmethod
    def from_bytes(cls, image: bytes) -> "Memory":
        """Memory of an image; a torn image is an empty memory that tells of its loss."""
        body, crc = image[:-2], image[-2:]
        if len(body) < _HEAD.size or crc16(body) != int.from_bytes(crc, "little"):
            return cls(losses=1)
        boot, losses, _ = _HEAD.unpack_from(body)
        entries = [
            Remembered(session, request_id, opened_us, RingState(state))
            for session, request_id, opened_us, state in _ENTRY.iter_unpack(body[_HEAD.size :])
        ]
        return cls(boot, losses, entries)
