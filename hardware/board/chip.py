"""The compiled firmware in simavr as the board: only the chip is simulated."""

import json
import logging
import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bci.config.fault import Fault
from bci.config.rig import Board as BoardSettings
from bci.config.rig import Faults
from bci.core.process import ProcessLink
from bci.hardware.board.interface import BoardError
from bci.recording.exclusive import take
from bci.stream.access import TOKEN_VARIABLE
from bci.stream.wires import Level, WireEnd

_LOG = logging.getLogger("bci.board")
_HERE = Path(__file__).parent
FIRMWARE = _HERE / "firmware"
CHIP_BENCH = _HERE / "chip_bench"
LOST_PACE = "board-lost-pace.jsonl"
TOOLS = ("make", "avr-gcc", "gcc")
_POLL_S = 0.05
_START_S = 10.0
_END_S = 2.0
_LOCK = threading.Lock()
_TTL_NS = 1_000_000
_PINS: dict[str, Callable[[Level], tuple[str, ...]]] = {
    "frame_ttl": lambda new: (f"@{new.t_ns} frame_ttl 1", f"@{new.t_ns + _TTL_NS} frame_ttl 0"),
    "photodiode": lambda new: (f"@{new.t_ns} photodiode {4000 if new.level else 500}",),
}
"""Lines of the chip bench's script for a new level at the other end of a wire."""


def chip_faults(settings: BoardSettings) -> list[Fault]:
    """What keeps the chip bench from running on this machine."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if sys.platform == "linux" and not missing:
        return []
    message = f"needs {', '.join(missing)}" if missing else "the chip bench runs on Linux alone"
    return [
        Fault(
            "rig.board.kind",
            settings.kind,
            message,
            'run `make setup`, or set rig.board.kind = "simulated" or "serial"',
        )
    ]


def build_chip() -> tuple[Path, Path]:
    """The chip bench and the firmware, compiled where they are not up to date.

    Returns
    -------
    Paths of the bench's program and of the firmware's ELF.

    Raises
    ------
    BoardError
        Where a tool is missing, or does not compile what it should.
    """
    faults = chip_faults(BoardSettings(kind="chip"))
    if faults:
        raise BoardError("\n".join(map(str, faults)))
    with _LOCK:
        for folder in (CHIP_BENCH, FIRMWARE):
            make(folder)
    return CHIP_BENCH / "build" / "chip_bench", FIRMWARE / "build" / "board.elf"


def make(folder: Path, *arguments: str) -> None:
    """Run make in a folder, one at a time on this machine; raises `BoardError`."""
    with (folder / "Makefile").open() as lock:
        take(lock.fileno(), wait=True)
        done = subprocess.run(
            ["make", "--silent", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BoardError(
            f"make in {folder} failed; `make setup` installs what it needs:\n{done.stderr}"
        )


def run_chip_board(
    board: BoardSettings, link: ProcessLink, edges_path: Path, port: int = 0
) -> None:
    """Run the firmware until a stop is asked for; the valve is shut before it returns.

    Parameters
    ----------
    board
        Settings, of which only `faults` concerns the chip: limits come over the line.
    link
        To the supervisor; the endpoint `board` is announced on it.
    edges_path
        Every output edge is written here at once, one JSON object a line: the fields of the
        simulated board's, and `cycle`, the chip's since power-on. Beside it the EEPROM is kept,
        and in `board-lost-pace.jsonl` stands each time that the computer was too slow for it.
    port
        To listen on, so that a board that is started again is found again; 0: any free one.

    Raises
    ------
    BoardError
        Where the chip bench cannot be built, or ended by itself.
    """
    program, firmware = build_chip()
    bench = subprocess.Popen(
        [
            str(program),
            f"--elf={firmware}",
            f"--edges={edges_path}",
            f"--eeprom={edges_path.with_name('board-eeprom.bin')}",
            f"--lost={edges_path.with_name(LOST_PACE)}",
            f"--port={port}",
            *_fault_options(board.faults),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, TOKEN_VARIABLE: link.token},
    )
    wires = WireEnd(link.token)
    try:
        _announce(bench, link, wires)
        while not link.stop_requested():
            link.turn()
            if bench.poll() is not None:
                raise BoardError(f"the chip bench ended: exit code {bench.returncode}")
            select.select([wires], [], [], _POLL_S)
            _pull(bench, wires)
    finally:
        wires.close()
        _end(bench)


def _pull(bench: "subprocess.Popen[str]", wires: WireEnd) -> None:
    """What came over the wires is done to the pins."""
    lines = [line for new in wires.receive() for line in _PINS[new.pin](new)]
    if lines:
        assert bench.stdin is not None
        # a bench that has ended is told of at the next turn
        with suppress(BrokenPipeError):
            bench.stdin.write("".join(f"{line}\n" for line in lines))
            bench.stdin.flush()


def _announce(bench: "subprocess.Popen[str]", link: ProcessLink, wires: WireEnd) -> None:
    assert bench.stdout is not None
    line = bench.stdout.readline()
    if not line:
        raise BoardError(f"the chip bench did not start: exit code {bench.wait(_START_S)}")
    told = json.loads(line)
    link.announce({"board": f"socket://127.0.0.1:{told['port']}", "wires": wires.endpoint})
    link.report("ready", f"chip on port {told['port']} and {told['pty']}")


def _end(bench: "subprocess.Popen[str]") -> None:
    """Closing its input powers the chip off, all outputs low."""
    assert bench.stdin is not None
    assert bench.stdout is not None
    with suppress(BrokenPipeError):
        bench.stdin.close()
    try:
        bench.wait(_END_S)
    except subprocess.TimeoutExpired:
        _LOG.error("the chip bench (%d) did not end, killed", bench.pid)
        bench.kill()
        bench.wait()
    bench.stdout.close()


def _fault_options(faults: Faults) -> Sequence[str]:
    """The line's faults are the chip bench's own: settings and options have the same names."""
    return [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in faults.model_dump().items()
        if value
    ]
