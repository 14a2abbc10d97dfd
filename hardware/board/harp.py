"""A Harp Behavior board: its binary protocol, and the registers of valve, licks and wheel.

References
----------
harp-tech.org: Binary Protocol 8-bit 1.4; Device 1.2 (common registers); device.yml of Behavior.
"""

import struct
from typing import ClassVar

from bci.config.rig import HarpBoard
from bci.core.board_types import BoardEventKind
from bci.hardware.board.codes import Capability
from bci.hardware.board.dialect import (
    Changed,
    Closed,
    Damaged,
    Heard,
    Opened,
    Present,
    Refused,
    StillOpen,
    identity_of,
)

READ, WRITE, EVENT = 1, 2, 3
ERROR = 0x08
U8, U16, U32 = 1, 2, 4
TIMESTAMPED = 0x10
DEVICE = 0xFF
BEHAVIOR = 1216

WHO_AM_I, FIRMWARE_HIGH, FIRMWARE_LOW, SECONDS, OPERATION = 0, 6, 7, 8, 10
INPUTS, OUTPUT_SET, OUTPUT_CLEAR, OUTPUT_STATE, PULSE_ENABLE, FIRST_PULSE = 32, 34, 35, 37, 45, 46
ANALOG, EVENT_ENABLE, ENCODERS = 44, 77, 82
ACTIVE_WITH_LEDS = 0x61
PORT_INPUT_EVENTS, ANALOG_EVENTS = 0x01, 0x04
ENCODER_OF_PORT_2 = 0x04
WHEEL_INTERVAL_US = 10_000

OUTPUTS = (
    *("do_port0", "do_port1", "do_port2", "supply_port0", "supply_port1", "supply_port2"),
    *("led0", "led1", "rgb0", "rgb1", "do0", "do1", "do2", "do3"),
)
"""Digital outputs in the order of their bits, and of the registers of their pulses."""
LONGEST_MS = 0xFFFF
_FORMATS = {U8: "B", U16: "H", U32: "I"}


def message(kind: int, address: int, word: int, *values: int) -> bytes:
    """Bytes of one message without a time.

    Parameters
    ----------
    kind
        READ or WRITE.
    address
        Register.
    word
        U8, U16 or U32.
    values
        None for a READ.
    """
    payload = struct.pack(f"<{len(values)}{_FORMATS[word]}", *values)
    body = bytes((kind, len(payload) + 4, address, DEVICE, word)) + payload
    return body + bytes((sum(body) & 0xFF,))


class HarpDialect:
    """The valve at one of the board's outputs, licks at one of its inputs.

    Parameters
    ----------
    settings
        Which output, which input.
    """

    BAUD: ClassVar[int] = 1_000_000
    DTR: ClassVar[bool] = True
    LACKS: ClassVar[tuple[str, ...]] = (
        "a watchdog on a silent host (a pulse that has begun runs to its end)",
        "a limit of its own on opening and duty (held by the host)",
        "a memory of rewards over a reset",
        "light with PMT gate, frame clock, photodiode",
        "pulses finer than 1 ms",
    )
    confirms = True
    streams = False
    trusted = None

    def __init__(self, settings: HarpBoard) -> None:
        bit = OUTPUTS.index(settings.output)
        self._mask = 1 << bit
        self._pulse = FIRST_PULSE + bit
        self._lick = None if settings.lick_input is None else 1 << settings.lick_input
        self._wheel = settings.wheel
        self._touched: bool | None = None
        self._encoder: int | None = None
        self._position = 0
        self._t_wheel_us = -WHEEL_INTERVAL_US
        self._buffer = bytearray()
        self._told: dict[int, int] = {}
        self._pulse_us = 0

    def greet(self) -> bytes:
        """Ask what device it is, and which firmware."""
        self._buffer.clear()
        self._told.clear()
        return (
            message(READ, WHO_AM_I, U16)
            + message(READ, FIRMWARE_HIGH, U8)
            + message(READ, FIRMWARE_LOW, U8)
        )

    def set_up(self) -> bytes:
        """Valve shut, its pulses timed by the board, inputs told; replies not muted."""
        self._touched = self._encoder = None
        self._t_wheel_us = -WHEEL_INTERVAL_US  # its clock may have begun anew
        events = PORT_INPUT_EVENTS if self._lick else 0
        events |= ANALOG_EVENTS if self._wheel else 0
        return (
            message(WRITE, OUTPUT_CLEAR, U16, self._mask)
            + message(WRITE, PULSE_ENABLE, U16, self._mask)
            + message(WRITE, ENCODERS, U8, ENCODER_OF_PORT_2 if self._wheel else 0)
            + message(WRITE, EVENT_ENABLE, U8, events)
            + message(WRITE, OPERATION, U8, ACTIVE_WITH_LEDS)
            + message(READ, INPUTS, U8)
        )

    def ask_alive(self) -> bytes:
        """The seconds of its clock."""
        return message(READ, SECONDS, U32)

    def unfit(self, width_us: int) -> str:
        """Whole milliseconds, at most 65.5 s."""
        width_ms, rest = divmod(width_us, 1000)
        if rest or not 1 <= width_ms <= LONGEST_MS:
            return f"this board opens for whole ms up to {LONGEST_MS}, not {width_us / 1000:g} ms"
        return ""

    def open(self, width_us: int) -> bytes:
        """Set the length, then the output; the board lowers it by itself."""
        self._pulse_us = 0
        return message(WRITE, self._pulse, U16, width_us // 1000) + message(
            WRITE, OUTPUT_SET, U16, self._mask
        )

    def ask_shut(self) -> bytes:
        """The state of all outputs."""
        return message(READ, OUTPUT_STATE, U16)

    def shut(self) -> bytes:
        """Lower the output."""
        return message(WRITE, OUTPUT_CLEAR, U16, self._mask)

    def received(self, data: bytes) -> list[Heard]:
        """Whole messages, each with a checksum that fits."""
        self._buffer += data
        heard: list[Heard] = []
        skipped = 0
        while len(self._buffer) >= 2:
            length = self._buffer[1] + 2
            known = self._buffer[0] & ~ERROR in (READ, WRITE, EVENT) and length >= 6
            if known and len(self._buffer) < length:
                break
            body = bytes(self._buffer[:length])
            if not known or sum(body[:-1]) & 0xFF != body[-1]:
                del self._buffer[0]
                skipped += 1
                continue
            del self._buffer[:length]
            heard += self._mean(body)
        if skipped:
            heard.append(Damaged(f"{skipped} bytes of the board are no message"))
        return heard

    def _mean(self, body: bytes) -> list[Heard]:
        kind, address, form, payload = body[0], body[2], body[4], body[5:-1]
        if kind & ERROR:
            return [Damaged(f"the board refused register {address}")]
        t_us = None
        if form & TIMESTAMPED:
            if len(payload) < 6:
                return [Damaged(f"a message of register {address} is too short")]
            seconds, ticks = struct.unpack_from("<IH", payload)
            t_us, payload = seconds * 1_000_000 + ticks * 32, payload[6:]
        if kind == EVENT and address == ANALOG:
            return self._turned(payload, t_us)
        value = int.from_bytes(payload[: form & 0x0F or 1], "little")
        return self._told_of(kind, address, value, t_us)

    def _told_of(self, kind: int, address: int, value: int, t_us: int | None) -> list[Heard]:
        if address == INPUTS and kind != WRITE:
            return self._changed(value, t_us)
        if kind == READ and address in (WHO_AM_I, FIRMWARE_HIGH, FIRMWARE_LOW):
            self._told[address] = value
            return self._present()
        if kind == READ and address == OUTPUT_STATE:
            return [StillOpen() if value & self._mask else Closed(self._pulse_us)]
        if kind == WRITE and address == OUTPUT_SET:
            return [Opened(t_us)]
        if kind == WRITE and address == self._pulse:
            self._pulse_us = value * 1000
        return []

    def _present(self) -> list[Heard]:
        told = self._told
        if told.get(WHO_AM_I, BEHAVIOR) != BEHAVIOR:
            return [Refused(f"a Harp device, but no Behavior board: it is {told[WHO_AM_I]}")]
        if not told.keys() >= {WHO_AM_I, FIRMWARE_HIGH, FIRMWARE_LOW}:
            return []
        capabilities = Capability.VALVE | (Capability.LICK if self._lick else 0)
        capabilities |= Capability.WHEEL if self._wheel else 0
        firmware = told[FIRMWARE_HIGH] << 8 | told[FIRMWARE_LOW]
        name = "harp 1216"
        return [Present(identity_of(name, firmware, capabilities, LONGEST_MS * 1000))]

    def _changed(self, levels: int, t_us: int | None) -> list[Heard]:
        if self._lick is None:
            return []
        touched, before = bool(levels & self._lick), self._touched
        self._touched = touched
        if before is None or touched == before:
            return []
        return [Changed(BoardEventKind.LICK, t_us, float(touched))]

    def _turned(self, analog: bytes, t_us: int | None) -> list[Heard]:
        """The encoder's counter has 16 bits and turns over.

        It is told again and again, so a change that comes soon after one is told by the next.
        """
        if not self._wheel:
            return []
        if len(analog) < 4:
            return [Damaged("a message of the analog inputs is too short")]
        if t_us is not None:
            if t_us - self._t_wheel_us < WHEEL_INTERVAL_US:
                return []
            self._t_wheel_us = t_us
        (encoder,) = struct.unpack_from("<h", analog, 2)
        before, self._encoder = self._encoder, encoder
        moved = 0 if before is None else (encoder - before + 0x8000 & 0xFFFF) - 0x8000
        if not moved:
            return []
        self._position += moved
        return [Changed(BoardEventKind.WHEEL, t_us, float(self._position))]
