"""Devices of other makers on a pseudo-terminal, written from what their makers publish.

Nothing of the program's own code for them is used here. Each times its pulses itself, on the clock
of this computer, and remembers every edge of its valve.
"""

import heapq
import itertools
import os
import select
import struct
import threading
import time
import tty
from collections.abc import Callable
from types import TracebackType


class Peer:
    """Serves one end of a terminal in a thread.

    Attributes
    ----------
    edges
        Level and `time.monotonic` of each change of the valve.
    """

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.edges: list[tuple[int, float]] = []
        self.heard = bytearray()
        self._t_zero = self._t_act = time.monotonic()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._buffer = bytearray()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Peer":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.vanish()

    def vanish(self) -> None:
        """The cable is pulled, the device's power too."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
            os.close(self._master)
            os.close(self._slave)

    @property
    def level(self) -> int:
        return self.edges[-1][0] if self.edges else 0

    @property
    def openings(self) -> int:
        return sum(level for level, _ in self.edges)

    def widths_ms(self) -> list[float]:
        times = [t for _, t in self.edges]
        return [(b - a) * 1000 for a, b in zip(times[::2], times[1::2], strict=False)]

    def us_at(self, t_s: float) -> int:
        return round((t_s - self._t_zero) * 1e6)

    def now_us(self) -> int:
        """Time of what the device does now: an edge and what is told of it are at one time."""
        return self.us_at(self._t_act)

    def set_valve(self, level: int) -> None:
        if level != self.level:
            self.edges.append((level, self._t_act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        # a heap of numbers is one step for other threads; a list that is being sorted looks empty
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._number), act))

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def hear(self) -> None:
        """Do what the bytes in the buffer ask for."""
        raise NotImplementedError

    def _serve(self) -> None:
        while not self._ending.is_set():
            wait_s = 0.01
            if self._due:
                wait_s = min(wait_s, max(0.0, self._due[0][0] - time.monotonic()))
            if select.select([self._master], [], [], wait_s)[0]:
                data = os.read(self._master, 4096)
                self.heard += data
                self._buffer += data
                self._t_act = time.monotonic()
                self.hear()
            while self._due and self._due[0][0] <= time.monotonic():
                self._t_act = time.monotonic()
                heapq.heappop(self._due)[2]()


class HarpPeer(Peer):
    """A Harp device. Registers: address → element format and values."""

    def __init__(self, who_am_i: int = 1216) -> None:
        super().__init__()
        self.registers: dict[int, tuple[str, list[int]]] = {
            0: ("H", [who_am_i]),
            6: ("B", [3]),
            7: ("B", [2]),
            8: ("I", [0]),
            10: ("B", [0xE0]),
            32: ("B", [0]),
            34: ("H", [0]),
            35: ("H", [0]),
            37: ("H", [0]),
            45: ("H", [0]),
            49: ("H", [15]),
            44: ("hhh", [0, 0, 0]),
            77: ("B", [0]),
            82: ("B", [0]),
        }
        self.broken_checksum = False
        self.stuck = False
        self.deaf = False

    def input(self, levels: int) -> None:
        """A digital input changed: an event, where they are enabled and the device is active."""
        self.registers[32] = ("B", [levels])
        if self.registers[10][1][0] & 3 == 1 and self.registers[77][1][0] & 1:
            self.reply(3, 32)

    def turn_wheel(self, counter: int) -> None:
        """Analog inputs and the encoder of port 2 are told together, where that is enabled."""
        self.registers[44] = ("hhh", [100, counter if self.registers[82][1][0] & 4 else 0, 200])
        if self.registers[10][1][0] & 3 == 1 and self.registers[77][1][0] & 4:
            self.reply(3, 44)

    def reply(self, kind: int, address: int) -> None:
        form, values = self.registers[address]
        size = struct.calcsize(form[0])
        seconds, micros = divmod(self.now_us(), 1_000_000)
        told = struct.pack(f"<{len(values)}{form[0]}", *values)
        payload = struct.pack("<IH", seconds, micros // 32) + told
        message = bytes([kind, 4 + len(payload), address, 255, 0x10 | size]) + payload
        checksum = sum(message) % 256
        self.say(message + bytes([checksum ^ self.broken_checksum]))

    def hear(self) -> None:
        while len(self._buffer) > 1 and len(self._buffer) >= self._buffer[1] + 2:
            message = bytes(self._buffer[: self._buffer[1] + 2])
            del self._buffer[: len(message)]
            assert sum(message[:-1]) % 256 == message[-1], "the host's checksum is wrong"
            kind, address, form, payload = message[0], message[2], message[4], message[5:-1]
            if address not in self.registers:
                self.say(error := bytes([kind | 8, 4, address, 255, form]))
                self.say(bytes([sum(error) % 256]))
                continue
            if kind == 2:
                self.write(address, payload)
            if not self.deaf:
                self.reply(kind, address)

    def write(self, address: int, payload: bytes) -> None:
        form, _ = self.registers[address]
        values = list(struct.unpack(f"<{len(payload) // struct.calcsize(form)}{form}", payload))
        self.registers[address] = (form, values)
        valve = 1 << 3  # SupplyPort0
        if address == 34 and values[0] & valve:
            self.set_valve(1)
            if self.registers[45][1][0] & valve and not self.stuck:
                self.after(self.registers[49][1][0] / 1000, lambda: self.set_valve(0))
        if address == 35 and values[0] & valve:
            self.set_valve(0)
        self.registers[37] = ("H", [valve if self.level else 0])

    def set_valve(self, level: int) -> None:
        super().set_valve(level)
        self.registers[37] = ("H", [1 << 3 if level else 0])


class BpodPeer(Peer):
    """A Bpod state machine that runs descriptions of one state."""

    CYCLE_US = 100

    def __init__(
        self, firmware: int = 22, machine: int = 2, outputs: bytes = b"UUUXBBWWWPPPPPPPPS"
    ) -> None:
        super().__init__()
        self.firmware, self.machine, self.outputs = firmware, machine, outputs
        self.description: bytes | None = None
        self.running_until: float | None = None
        self.t_run = 0.0
        self.live = True
        self.say(bytes([222, 222]))  # discovery bytes, until somebody shakes hands

    def hear(self) -> None:
        while self._buffer:
            operation = self._buffer[:1]
            n = 1
            if operation == b"C":
                if len(self._buffer) < 5:
                    return
                n = 5 + int.from_bytes(self._buffer[3:5], "little")
                if len(self._buffer) < n:
                    return
            whole = bytes(self._buffer[:n])
            del self._buffer[:n]
            self.obey(whole)

    def obey(self, whole: bytes) -> None:
        match whole[:1]:
            case b"6":
                self.say(b"5" + bytes([222]) * 0)
            case b"F":
                self.say(struct.pack("<HH", self.firmware, self.machine))
            case b"H":
                more = b"\x05" if self.firmware >= 23 else b""
                inputs = b"UUUXBBWWPPPPPPPP"
                self.say(
                    struct.pack("<HHB", 256, self.CYCLE_US, 60)
                    + more
                    + bytes([5, 5, 5, len(inputs)])
                    + inputs
                    + bytes([len(self.outputs)])
                    + self.outputs
                )
            case b"G":
                self.say(bytes([int(self.live)]))
            case b"C":
                self.description = whole[5:]
            case b"R":
                self.run()
            case b"X":
                self.leave()

    def run(self) -> None:
        assert self.description is not None
        described = list(self.description)
        n_states, n_timers, n_counters, n_conditions = (described.pop(0) for _ in range(4))
        assert (n_states, n_timers, n_counters, n_conditions) == (1, 0, 0, 0)
        assert described.pop(0) == n_states  # when its timer elapses it leaves
        assert described.pop(0) == 0  # no event
        outputs = [(described.pop(0), described.pop(0)) for _ in range(described.pop(0))]
        assert [described.pop(0) for _ in range(4)] == [0, 0, 0, 0]
        assert described.pop(0) == 0  # no counter is reset
        assert [described.pop(0) for _ in range(2)] == [0, 0]  # 5 global timers: a byte each
        cycles = int.from_bytes(bytes(described.pop(0) for _ in range(4)), "little")
        assert described == ([0] if self.firmware >= 23 else [])
        self.t_run = self._t_act
        self.say(bytes([1]) + struct.pack("<Q", self.now_us()))
        for channel, value in outputs:
            assert self.outputs[channel : channel + 1] in (b"S", b"V")
            assert value == 1
            self.set_valve(1)
        self.running_until = self.t_run + cycles * self.CYCLE_US / 1e6
        self.after(cycles * self.CYCLE_US / 1e6, self.elapsed)

    def elapsed(self) -> None:
        if self.running_until is not None and self._t_act >= self.running_until:
            self.leave()

    def leave(self) -> None:
        if self.running_until is None:
            return
        self.running_until = None
        self.set_valve(0)
        cycles = round((self._t_act - self.t_run) * 1e6 / self.CYCLE_US)
        codes = bytes([1, 2, 40, 255])
        times = struct.pack("<I", cycles) if self.live else b""
        end = struct.pack("<IQ", cycles, self.now_us())
        late = b"" if self.live else struct.pack("<H2I", 2, cycles, cycles)
        self.say(codes + times + end + late)


class ArduinoPeer(Peer):
    """A sketch that reads a character and sends its count of licks every 5 ms."""

    def __init__(self, open_s: float = 0.04, *, silent: bool = False, waits: bool = False) -> None:
        super().__init__()
        self.licks = 250
        self._open_s = open_s
        self._waits = waits
        if not silent and not waits:
            self.after(0.0, self.tell)

    def tell(self) -> None:
        self.say(bytes([self.licks % 256]))
        self.after(0.005, self.tell)

    def hear(self) -> None:
        for character in self._buffer:
            if character == ord("a") and self._waits:
                self._waits = False
                self.tell()
            if character == ord("b") and not self._waits:
                self.set_valve(1)
                self.after(self._open_s, lambda: self.set_valve(0))
        self._buffer.clear()
