"""A scripted life of the compiled firmware in simavr, as fast as it goes, and what came of it."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from waiting import WAIT_S

from bci.hardware.board.codes import InputKind
from bci.hardware.board.framing import FrameDecoder
from bci.hardware.board.protocol import Event, Hello, KeepAlive, Message, NotAMessage, from_board

Heard = TypeVar("Heard", bound=Message)
CYCLES_PER_US = 16
GREETING = Hello(1, session=9, max_open_us=500_000, duty_permille=1000, watchdog_ms=300)
READY_US = 100_000
"""By then a new chip has started: its EEPROM is being written for the first time."""


@dataclass
class Lived:
    """What a chip did: edges of its outputs, frames that it sent with the time of their end."""

    edges: list[dict[str, Any]]
    frames: list[tuple[int, int, Message]] = field(default_factory=list)

    def of(self, pin: str) -> list[dict[str, Any]]:
        """Edges of one output."""
        return [edge for edge in self.edges if edge["pin"] == pin]

    def pulses(self, pin: str = "valve") -> list[tuple[float, float]]:
        """Up and down of each pulse in us; the last one is open-ended where it never went down."""
        times = [edge["cycle"] / CYCLES_PER_US for edge in self.of(pin)] + [float("inf")]
        return list(zip(times[:-1:2], times[1::2], strict=False))

    def widths(self) -> list[float]:
        """Lengths of the valve's pulses in us."""
        return [down - up for up, down in self.pulses()]

    def heard(self, kind: type[Heard]) -> list[Heard]:
        """Messages of one type, in order."""
        return [message for _, _, message in self.frames if isinstance(message, kind)]

    def told(self, kind: InputKind) -> list[Event]:
        """Events of one input, in order."""
        return [event for event in self.heard(Event) if event.kind == kind]


class Script:
    """Lines for the chip bench, in any order."""

    def __init__(self, greeting: Hello | None = GREETING) -> None:
        self._lines: list[tuple[float, str]] = []
        self._sequence = 0
        if greeting is not None:
            self.tell(READY_US, greeting)

    def tell(self, t_us: float, message: Message, sequence: int | None = None) -> None:
        """The host sends a message."""
        self._sequence = self._sequence % 255 + 1
        self.send(t_us, message.frame(self._sequence if sequence is None else sequence))

    def send(self, t_us: float, data: bytes) -> None:
        """The host sends bytes, whatever they are."""
        if data:
            self._lines.append((t_us, f"uart {data.hex()}"))

    def keep_alive(self, from_us: float, to_us: float, every_us: float = 100_000) -> None:
        """The host's loop turns."""
        t_us = from_us
        while t_us < to_us:
            self.tell(t_us, KeepAlive())
            t_us += every_us

    def pin(self, t_us: float, name: str, value: int) -> None:
        """An input is driven."""
        self._lines.append((t_us, f"{name} {value}"))

    def square(
        self, name: str, from_us: float, to_us: float, period_us: float, high: int = 1
    ) -> int:
        """An input goes up and down; returns how often it went up."""
        n = int((to_us - from_us) / period_us)
        for i in range(n):
            self.pin(from_us + i * period_us, name, high)
            self.pin(from_us + (i + 0.5) * period_us, name, 0)
        return n

    def reset(self, t_us: float) -> None:
        """The reset line."""
        self._lines.append((t_us, "reset"))

    def jam(self, t_us: float) -> None:
        """The main loop of the firmware hangs; its interrupts go on."""
        self._lines.append((t_us, "jam"))

    def poke(self, t_us: float, name: str, value: int) -> None:
        """A byte of memory: a variable by its name (and `+` offset), or `@` and its address."""
        self._lines.append((t_us, f"poke {name}={value}"))

    def text(self) -> str:
        """The script, in order of time."""
        lines = sorted(self._lines, key=lambda line: line[0])
        return "".join(f"{round(t_us)} {act}\n" for t_us, act in lines)


class Live(Protocol):
    """Runs a script to a time, on the usual firmware or another, a new chip or one by name."""

    def __call__(
        self,
        script: Script,
        until_us: float,
        firmware: Path | None = None,
        chip: str | None = None,
    ) -> Lived:
        """What the chip did."""
        ...


def run_script(bench: Path, elf: Path, folder: Path, script: Script, until_us: float) -> Lived:
    """Run a chip to a time; its EEPROM in the folder outlives it."""
    (folder / "script.txt").write_text(script.text())
    edges, log = folder / "edges.jsonl", folder / "uart.txt"
    edges.unlink(missing_ok=True)
    subprocess.run(
        [
            *(bench, f"--elf={elf}", f"--edges={edges}", f"--eeprom={folder / 'eeprom.bin'}"),
            *(f"--script={folder / 'script.txt'}", f"--uart-log={log}"),
            *("--fast", f"--until-us={round(until_us)}"),
        ],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=WAIT_S,
    )
    lines = log.read_text().splitlines()
    frames = list(_frames(tuple(map(int, line.split())) for line in lines))
    return Lived([json.loads(line) for line in edges.read_text().splitlines()], frames)


def _frames(sent: Iterable[tuple[int, ...]]) -> Iterable[tuple[int, int, Message]]:
    decoder = FrameDecoder()
    for t_us, byte in sent:
        for payload in decoder.feed(bytes([byte])):
            try:
                sequence, message = from_board(payload)
            except NotAMessage as fault:
                raise AssertionError(f"the chip said {payload.hex()}") from fault
            yield t_us, sequence, message
