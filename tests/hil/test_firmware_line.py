"""The chip bench as a device: its terminal, its pins, and its end with whoever started it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from chip_bench import Bench
from waiting import until
from whole_lines import whole_lines

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.hardware.board.codes import InputKind
from bci.hardware.board.framing import FrameDecoder
from bci.hardware.board.kinds import open_board
from bci.hardware.board.protocol import (
    Event,
    Hello,
    Identity,
    Message,
    Reward,
    from_board,
    next_sequence,
)

LIGHT = InputKind.PHOTODIODE
PATIENT = Hello(1, session=9, max_open_us=500_000, duty_permille=1000, watchdog_ms=60_000)
"""A test that stands still for a while is no silent host."""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
time.sleep(60)
"""


@pytest.fixture
def bench(chip: tuple[Path, Path], tmp_path: Path) -> Iterator[Bench]:
    opened = Bench(chip, tmp_path)
    yield opened
    if opened.process.poll() is None:
        opened.close()


class Host:
    """The host's end of the line, without the host's care."""

    def __init__(self, port: str) -> None:
        self.line = serial.serial_for_url(port, baudrate=115200, timeout=0.02)
        self._decoder = FrameDecoder()
        self._sequence = 0
        self.heard: list[Message] = []

    def tell(self, message: Message) -> None:
        self._sequence = next_sequence(self._sequence)
        self.line.write(message.frame(self._sequence))

    def listen(self, kind: type[Message]) -> bool:
        for payload in self._decoder.feed(self.line.read(256)):
            self.heard.append(from_board(payload)[1])
        return any(isinstance(message, kind) for message in self.heard)


@pytest.fixture(params=["socket", "terminal"])
def host(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Host]:
    port = f"socket://127.0.0.1:{bench.told['port']}"
    opened = Host(port if request.param == "socket" else bench.told["pty"])
    # the first start of a chip writes its EEPROM before it listens
    until(lambda: opened.tell(PATIENT) is not None or opened.listen(Identity))
    yield opened
    opened.line.close()


def test_board_answers_on_socket_and_terminal_and_tells_of_its_pins(
    bench: Bench, host: Host
) -> None:
    bench.script("+0 lick 1")
    until(lambda: host.listen(Event))


def test_closed_input_powers_the_chip_off_with_the_valve_shut(bench: Bench, host: Host) -> None:
    host.tell(Reward(1, 400_000, 1, 0))
    until(lambda: any(edge["level"] for edge in bench.edges()))
    assert bench.close() == 0
    assert [edge["level"] for edge in bench.edges()] == [1, 0]


def test_edges_carry_the_time_of_the_computer_that_python_sees(bench: Bench, host: Host) -> None:
    before_ns = time.perf_counter_ns()
    host.tell(Reward(1, 5_000, 1, 0))
    until(lambda: len(bench.edges()) == 2)
    assert before_ns < bench.edges()[0]["t_perf_ns"] < time.perf_counter_ns()


def test_what_a_slow_computer_tells_too_late_is_sensed_all_the_same(
    bench: Bench, host: Host
) -> None:
    t_ns = time.perf_counter_ns() - 50_000_000
    for i in range(6):  # closer than the converter looks, and long ago
        bench.script(f"@{t_ns + i} photodiode {500 if i % 2 else 4000}")

    def seen() -> list[int]:
        host.listen(Event)
        return [one.value for one in host.heard if isinstance(one, Event) and one.kind == LIGHT]

    until(lambda: len(seen()) == 6)
    assert seen() == [1, 0] * 3
    assert whole_lines(bench.lost_path)[0]["ms"] >= 20


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")
def test_time_in_which_the_chip_stood_still_is_told(bench: Bench, host: Host) -> None:
    # the second time while it still catches up with the first
    for stood_ns in (60_000_000, 200_000_000):
        bench.process.send_signal(signal.SIGSTOP)
        t_ns = time.perf_counter_ns()
        while time.perf_counter_ns() - t_ns < stood_ns:
            time.sleep(0.001)
        bench.process.send_signal(signal.SIGCONT)
        until(lambda: whole_lines(bench.lost_path), every_s=0.0002)
    until(lambda: any(one["ms"] >= 150 for one in whole_lines(bench.lost_path)))
    host.heard.clear()
    until(lambda: host.tell(PATIENT) is not None or host.listen(Identity))


def test_values_of_the_settings_reach_the_chip_and_come_again_after_a_reset(bench: Bench) -> None:
    values = {"sync_period_ms": 60, "lick_threshold": 512}
    settings = Board.model_validate(
        {
            "kind": "serial",
            "port": f"socket://127.0.0.1:{bench.told['port']}",
            "watchdog_ms": 20_000,
            "values": values,
        }
    )
    board = open_board(settings, dict, timeout_s=20.0)
    told: list[BoardEvent] = []

    def synced(since: int) -> bool:
        board.turn()
        told.extend(board.events())
        return any(edge["pin"] == "sync" and edge["level"] for edge in bench.edges()[since:])

    try:
        until(lambda: synced(0))
        bench.script("+0 lick_analog 4000")
        until(lambda: synced(0) and BoardEventKind.LICK in {event.kind for event in told})
        bench.script("+0 reset")
        until(lambda: synced(0) and BoardEventKind.SAFE in {event.kind for event in told})
        since = len(bench.edges())
        until(lambda: synced(since))
    finally:
        board.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_bench_ends_when_its_parent_is_killed(chip: tuple[Path, Path], tmp_path: Path) -> None:
    edges = tmp_path / "edges.jsonl"
    command = [
        *(str(chip[0]), f"--elf={chip[1]}", f"--edges={edges}"),
        f"--eeprom={tmp_path / 'eeprom.bin'}",
    ]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *command], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait(20.0)
    # the pipe closes when the last who could write into it, the bench, is gone
    os.set_blocking(parent.stdout.fileno(), False)
    until(lambda: parent.stdout is not None and parent.stdout.buffer.read() == b"")
    parent.stdout.close()
