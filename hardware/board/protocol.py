"""Messages between host and board: numbers, fields, layout.

Every payload is type (u8), sequence (u8) and a body of fixed length, all little-endian, no padding.
`docs/board-protocol.md` lists the same offsets for whoever writes the other end.
"""

import struct
from typing import ClassVar, Self

import msgspec

from bci.hardware.board.codes import Reason
from bci.hardware.board.framing import MAX_PAYLOAD, encode_frame

PROTOCOL_VERSION = 1
NAME_BYTES = 12
DUTY_WINDOW_US = 10_000_000
"""Window in which the open fraction of the valve is limited."""


class NotAMessage(ValueError):
    """A payload of unknown type or of a wrong length.

    Parameters
    ----------
    message_type, sequence
        As they stand in the payload.
    reason
        `Reason.UNKNOWN_TYPE` or `Reason.LENGTH`.
    """

    def __init__(self, message_type: int, sequence: int, reason: Reason) -> None:
        self.message_type = message_type
        self.sequence = sequence
        self.reason = reason
        super().__init__(f"message type 0x{message_type:02x}: {reason.name.lower()}")


class Message(msgspec.Struct, frozen=True):
    """Base of all messages: the order of the fields is the order on the line."""

    TYPE: ClassVar[int]
    LAYOUT: ClassVar[struct.Struct]

    def payload(self, sequence: int) -> bytes:
        """Type, sequence and body."""
        body = self.LAYOUT.pack(*msgspec.structs.astuple(self))
        return bytes((self.TYPE, sequence)) + body

    def frame(self, sequence: int) -> bytes:
        """The bytes on the line."""
        return encode_frame(self.payload(sequence))

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The message of a body of the right length."""
        return cls(*cls.LAYOUT.unpack(body))


class Hello(Message, frozen=True):
    """The host takes the line, gives the limits and lets the board leave SAFE."""

    TYPE = 0x01
    LAYOUT = struct.Struct("<BIIHH")
    protocol: int
    session: int
    max_open_us: int
    duty_permille: int
    watchdog_ms: int


class KeepAlive(Message, frozen=True):
    """The host's loop turns."""

    TYPE = 0x02
    LAYOUT = struct.Struct("<")


class Reward(Message, frozen=True):
    """Open the valve, once for each request id."""

    TYPE = 0x03
    LAYOUT = struct.Struct("<IIBI")
    request_id: int
    width_us: int
    pulses: int
    gap_us: int


class Light(Message, frozen=True):
    """Allow (1) or forbid (0) light within the PMT gate."""

    TYPE = 0x04
    LAYOUT = struct.Struct("<B")
    on: int


class Gate(Message, frozen=True):
    """Switch the PMT gate: 0 off, 1 on every frame TTL."""

    TYPE = 0x05
    LAYOUT = struct.Struct("<B")
    mode: int


class Safe(Message, frozen=True):
    """Shut everything and stay so until HELLO."""

    TYPE = 0x06
    LAYOUT = struct.Struct("<")


class Clock(Message, frozen=True):
    """Ask for the time of the board."""

    TYPE = 0x07
    LAYOUT = struct.Struct("<")


class Ring(Message, frozen=True):
    """Ask what became of a request id, or with id 0 of the nth newest reward."""

    TYPE = 0x08
    LAYOUT = struct.Struct("<IB")
    request_id: int
    nth: int


class Arm(Message, frozen=True):
    """The next frame TTL is number 0; with start = 1 the scope is triggered."""

    TYPE = 0x09
    LAYOUT = struct.Struct("<B")
    start: int


class Set(Message, frozen=True):
    """Change one value."""

    TYPE = 0x0A
    LAYOUT = struct.Struct("<BI")
    key: int
    value: int


class Learn(Message, frozen=True):
    """The photodiode's patch is black (0) or white (1) now: take its value as that."""

    TYPE = 0x0B
    LAYOUT = struct.Struct("<B")
    white: int


class Keep(Message, frozen=True):
    """Let the values of SET and LEARN outlive a reset."""

    TYPE = 0x0C
    LAYOUT = struct.Struct("<")


class Name(Message, frozen=True):
    """Give the board its name, for good."""

    TYPE = 0x0D
    LAYOUT = struct.Struct(f"<{NAME_BYTES}s")
    name: bytes


class Count(Message, frozen=True):
    """Ask how often each input changed."""

    TYPE = 0x0E
    LAYOUT = struct.Struct("<")


class SelfTest(Message, frozen=True):
    """Ask whether the board is well; nothing moves."""

    TYPE = 0x0F
    LAYOUT = struct.Struct("<")


class Identity(Message, frozen=True):
    """Who the board is and the limits in force; the answer to HELLO."""

    TYPE = 0x81
    LAYOUT = struct.Struct(f"<BBIIHHHIIHHB{NAME_BYTES}s")
    answered: int
    protocol: int
    session: int
    boot: int
    losses: int
    firmware: int
    capabilities: int
    hard_max_open_us: int
    max_open_us: int
    duty_permille: int
    watchdog_ms: int
    ring_size: int
    name: bytes

    @property
    def label(self) -> str:
        """The board's own name."""
        return self.name.rstrip(b"\x00").decode("ascii", "replace")

    @property
    def text(self) -> str:
        """For people: name, firmware, boot."""
        return (
            f"{self.label}, firmware {self.firmware >> 8}.{self.firmware & 0xFF}, boot {self.boot}"
        )


class Ack(Message, frozen=True):
    """The request was accepted; argument is a reward's id or what LEARN saw, else 0."""

    TYPE = 0x82
    LAYOUT = struct.Struct("<BBI")
    answered: int
    request_type: int
    argument: int


class Nack(Message, frozen=True):
    """The request was refused and nothing was done."""

    TYPE = 0x83
    LAYOUT = struct.Struct("<BBBI")
    answered: int
    request_type: int
    reason: int
    argument: int


class Done(Message, frozen=True):
    """A reward was given: first opening, last closing, microseconds open in all."""

    TYPE = 0x84
    LAYOUT = struct.Struct("<IIQQ")
    request_id: int
    opened_us: int
    t_open_us: int
    t_close_us: int


class Cut(Message, frozen=True):
    """A reward that had begun was cut short."""

    TYPE = 0x85
    LAYOUT = struct.Struct("<IBIQ")
    request_id: int
    reason: int
    opened_us: int
    t_us: int


class Event(Message, frozen=True):
    """An input changed."""

    TYPE = 0x86
    LAYOUT = struct.Struct("<BQi")
    kind: int
    t_us: int
    value: int


class Status(Message, frozen=True):
    """State of the board: at every change, and the answer to KEEP_ALIVE."""

    TYPE = 0x87
    LAYOUT = struct.Struct("<BBBBHQ")
    answered: int
    state: int
    reason: int
    outputs: int
    bad_frames: int
    t_us: int


class RingEntry(Message, frozen=True):
    """The answer to RING; times are 0 where they belong to an earlier boot."""

    TYPE = 0x88
    LAYOUT = struct.Struct("<BBIIBIQQ")
    answered: int
    nth: int
    session: int
    request_id: int
    state: int
    opened_us: int
    t_open_us: int
    t_close_us: int


class ClockTime(Message, frozen=True):
    """The board's time at the last byte of CLOCK."""

    TYPE = 0x89
    LAYOUT = struct.Struct("<BQ")
    answered: int
    t_us: int


class Counts(Message, frozen=True):
    """The answer to COUNT: changes since reset, of the frame clock since it was armed."""

    TYPE = 0x8A
    LAYOUT = struct.Struct("<BIIIIIiI")
    answered: int
    frames: int
    licks: int
    photodiode: int
    aux_1: int
    aux_2: int
    wheel: int
    unheard: int


class Health(Message, frozen=True):
    """The answer to SELF_TEST."""

    TYPE = 0x8B
    LAYOUT = struct.Struct("<BBBBHHH")
    answered: int
    faults: int
    reset_cause: int
    inputs: int
    supply_mv: int
    photodiode: int
    lick: int


HOST_MESSAGES: tuple[type[Message], ...] = (
    Hello,
    KeepAlive,
    Reward,
    Light,
    Gate,
    Safe,
    Clock,
    Ring,
    Arm,
    Set,
    Learn,
    Keep,
    Name,
    Count,
    SelfTest,
)
BOARD_MESSAGES: tuple[type[Message], ...] = (
    Identity,
    Ack,
    Nack,
    Done,
    Cut,
    Event,
    Status,
    RingEntry,
    ClockTime,
    Counts,
    Health,
)
_HOST = {message.TYPE: message for message in HOST_MESSAGES}
_BOARD = {message.TYPE: message for message in BOARD_MESSAGES}

if any(m.LAYOUT.size + 2 > MAX_PAYLOAD for m in (*HOST_MESSAGES, *BOARD_MESSAGES)):
    raise AssertionError("a message is longer than a frame holds")


def from_host(payload: bytes) -> tuple[int, Message]:
    """Sequence number and message of a payload that the host sent; raises `NotAMessage`."""
    return _unpack(payload, _HOST)


def from_board(payload: bytes) -> tuple[int, Message]:
    """Sequence number and message of a payload that the board sent; raises `NotAMessage`."""
    return _unpack(payload, _BOARD)


def _unpack(payload: bytes, known: dict[int, type[Message]]) -> tuple[int, Message]:
    message_type, sequence = payload[0], payload[1] if len(payload) > 1 else 0
    kind = known.get(message_type)
    if kind is None:
        raise NotAMessage(message_type, sequence, Reason.UNKNOWN_TYPE)
    if len(payload) != 2 + kind.LAYOUT.size:
        raise NotAMessage(message_type, sequence, Reason.LENGTH)
    return sequence, kind.unpack(payload[2:])


def next_sequence(sequence: int) -> int:
    """1 ... 255 in a circle; 0 stands for `unasked`."""
    return sequence % 255 + 1
