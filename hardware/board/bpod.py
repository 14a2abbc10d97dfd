"""A Bpod state machine: each reward is a state machine of one state, which the device times.

A valve that is opened by an override would stay open if the host died; a state whose timer ends it
does not.

References
----------
Sanworks, State Machine Serial Interface, firmware 18-22; what later firmware adds (bytes in a
message after the serial events, a byte that ends a description) as their own software has it.
"""

import struct
from collections import deque
from typing import ClassVar

import msgspec

from bci.config.rig import BpodBoard
from bci.hardware.board.codes import Capability
from bci.hardware.board.dialect import Closed, Damaged, Heard, Opened, Present, Refused, identity_of

HANDSHAKE, HERE, DISCOVERY = b"6", ord("5"), b"\xde"
FIRMWARE, HARDWARE, SCHEME, SEND, RUN, FORCE_EXIT = b"F", b"H", b"G", b"C", b"R", b"X"
OLDEST_FIRMWARE = 18
WITH_OPERATIONS = 23
"""First firmware with further operations behind a description."""
MACHINES = {1: "0.5", 2: "0.7-1", 3: "2"}
EVENTS, SOFT_CODE = 1, 2
EXIT = 255
LIVE = 1
LONGEST_US = 10_000_000


class Hardware(msgspec.Struct, frozen=True):
    """What the device said of itself."""

    firmware: int
    machine: int
    cycle_us: int
    n_global_timers: int
    outputs: bytes
    live: bool


class _Short(Exception):
    """More bytes are to come."""


class _Reader:
    """Reads numbers from the front of what has come, and keeps them only as a whole."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def number(self, n_bytes: int = 1) -> int:
        return int.from_bytes(self.bytes(n_bytes), "little")

    def bytes(self, n: int) -> bytes:
        if len(self._data) < self.at + n:
            raise _Short
        self.at += n
        return self._data[self.at - n : self.at]


class BpodDialect:
    """One of the state machine's valves.

    Parameters
    ----------
    settings
        Which valve.
    """

    BAUD: ClassVar[int] = 115200
    DTR: ClassVar[bool] = True
    LACKS: ClassVar[tuple[str, ...]] = (
        "a watchdog on a silent host (a pulse that has begun runs to its end)",
        "a limit of its own on opening and duty (held by the host)",
        "a memory of rewards over a reset",
        "a checksum on its line",
        "light with PMT gate, frame clock, licks, wheel, photodiode",
    )
    confirms = True
    streams = False
    trusted = None

    def __init__(self, settings: BpodBoard) -> None:
        self._valve = settings.valve
        self._buffer = bytearray()
        self._expected: deque[str] = deque()
        self._hardware: Hardware | None = None
        self._begun = False

    def greet(self) -> bytes:
        """Shake hands; ask firmware, hardware and the form of its times."""
        self._buffer.clear()
        self._expected = deque(["greeting"])
        self._begun = False
        return HANDSHAKE + FIRMWARE + HARDWARE + SCHEME

    def set_up(self) -> bytes:
        """Nothing: outputs are low while no state machine runs."""
        return b""

    def ask_alive(self) -> bytes:
        """The form of its times, once more."""
        self._expected.append("scheme")
        return SCHEME

    def unfit(self, width_us: int) -> str:
        """Whole cycles of the device, usually 100 us."""
        cycle_us = self._hardware.cycle_us if self._hardware is not None else 100
        if width_us % cycle_us or not cycle_us <= width_us <= LONGEST_US:
            return (
                f"this state machine opens for whole {cycle_us / 1000:g} ms up to "
                f"{LONGEST_US / 1000:g} ms, not {width_us / 1000:g} ms"
            )
        return ""

    def open(self, width_us: int) -> bytes:
        """One state: valve open, its timer leads to the exit, where every output is low."""
        hardware = self._hardware
        if hardware is None:
            raise AssertionError("no reward before the device has told its hardware")
        self._expected.append("trial")
        self._begun = False
        channel, value = valve_output(hardware.outputs, self._valve)
        return description(hardware, channel, value, width_us // hardware.cycle_us) + RUN

    def ask_shut(self) -> bytes:
        """Nothing: the device tells of the exit by itself."""
        return b""

    def shut(self) -> bytes:
        """Leave the state machine, outputs low."""
        return FORCE_EXIT

    def received(self, data: bytes) -> list[Heard]:
        """Answers, in the order in which they were asked for."""
        self._buffer += data
        heard: list[Heard] = []
        try:
            while self._buffer:
                heard += self._next()
        except _Short:
            pass
        return heard

    def _next(self) -> list[Heard]:
        expected = self._expected[0] if self._expected else ""
        if expected == "greeting":
            return self._greeting()
        if expected == "trial":
            return self._trial()
        reader = _Reader(bytes(self._buffer))
        reader.number()
        self._took(reader)
        if expected == "scheme":
            self._expected.popleft()
            return []
        return [Damaged("the state machine said something that nobody asked for")]

    def _took(self, reader: _Reader) -> None:
        del self._buffer[: reader.at]

    def _greeting(self) -> list[Heard]:
        """The answers behind the first `5` that fit; what stands before may be an old trial's."""
        data = bytes(self._buffer)
        fault: Refused | None = None
        for at, byte in enumerate(data):
            if byte != HERE:
                continue
            told = read_hardware(data, at + 1)
            if isinstance(told, Refused):
                # behind anything but discovery bytes it may be what is left of a trial
                fault = fault or (told if not data[:at].strip(DISCOVERY) else None)
                continue
            self._buffer.clear()
            self._expected.clear()
            if valve_output(told.outputs, self._valve) == (-1, 0):
                return [Refused(f"rig.board.bpod.valve: no valve {self._valve} on this device")]
            self._hardware = told
            name = f"bpod {MACHINES[told.machine]}"
            return [Present(identity_of(name, told.firmware << 8, Capability.VALVE, LONGEST_US))]
        if fault is not None:
            self._buffer.clear()
            return [fault]
        raise _Short

    def _trial(self) -> list[Heard]:
        hardware = self._hardware
        if hardware is None:
            raise AssertionError("no trial before the device has told its hardware")
        reader = _Reader(bytes(self._buffer))
        if not self._begun:
            confirmed, t_us = reader.number(), reader.number(8)
            self._took(reader)
            if confirmed != 1:
                self._expected.popleft()
                return [Damaged("the state machine did not take the description of a reward")]
            self._begun = True
            return [Opened(t_us)]
        operation = reader.number()
        if operation == SOFT_CODE:
            reader.number()
            self._took(reader)
            return []
        if operation != EVENTS:
            self._took(reader)
            return [Damaged(f"the state machine said {operation} in a reward")]
        codes = reader.bytes(reader.number())
        if hardware.live:
            reader.number(4)
        if EXIT not in codes:
            self._took(reader)
            return []
        cycles = reader.number(4)
        reader.number(8)
        if not hardware.live:
            reader.bytes(4 * reader.number(2))
        self._took(reader)
        self._expected.popleft()
        return [Closed(cycles * hardware.cycle_us)]


def read_hardware(data: bytes, at: int) -> Hardware | Refused:
    """Answers to F, H and G that begin at a place; raises where bytes are missing."""
    reader = _Reader(data, at)
    firmware, machine = reader.number(2), reader.number(2)
    if machine not in MACHINES or not OLDEST_FIRMWARE <= firmware < 100:
        return Refused(
            f"a Bpod with firmware {firmware} and machine type {machine}: firmware from "
            f"{OLDEST_FIRMWARE} on State Machine {', '.join(MACHINES.values())} is supported"
        )
    reader.number(2)
    cycle_us = reader.number(2)
    reader.number()
    if firmware >= WITH_OPERATIONS:
        reader.number()
    n_global_timers = reader.number()
    reader.bytes(2)
    reader.bytes(reader.number())
    outputs = reader.bytes(reader.number())
    live = reader.number() == LIVE
    if not cycle_us or not outputs.isalpha():
        return Refused("the state machine's description of its hardware makes no sense")
    return Hardware(firmware, machine, cycle_us, n_global_timers, outputs, live)


def valve_output(outputs: bytes, valve: int) -> tuple[int, int]:
    """Channel and value that open a valve, counted from 1: a bit of a bank, or a line of its own.

    (-1, 0) where there is no such valve.
    """
    bank = outputs.find(b"S")
    if bank >= 0:
        return (bank, 1 << (valve - 1)) if valve <= 8 else (-1, 0)
    lines = [at for at, kind in enumerate(outputs) if kind == ord("V")]
    return (lines[valve - 1], 1) if valve <= len(lines) else (-1, 0)


def description(hardware: Hardware, channel: int, value: int, cycles: int) -> bytes:
    """The bytes that describe a state machine of one state with one output and one timer."""
    trigger_bytes = 1 if hardware.n_global_timers < 9 else 2 if hardware.n_global_timers < 17 else 4
    n_states, leave = 1, 1
    head = bytes((n_states, 0, 0, 0))  # no global timers, counters, conditions
    moves = bytes((leave, 0))  # when the timer elapses; on no event
    output = bytes((1, channel, value))
    nothing = bytes(4)  # timer starts, timer ends, counters, conditions
    counter_reset = bytes(1)
    triggers = bytes(2 * trigger_bytes)
    body = head + moves + output + nothing + counter_reset + triggers + struct.pack("<I", cycles)
    if hardware.firmware >= WITH_OPERATIONS:
        body += bytes(1)
    return SEND + bytes((0, 0)) + struct.pack("<H", len(body)) + body
