"""The serial line through the operating system's own terminal layer."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.hardware.board import link, ports
from bci.hardware.board.device import Device
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import open_board
from bci.hardware.board.link import SerialLink

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

import pty
import termios
import tty

CALM = {"watchdog_ms": 20_000.0, "pay_within_s": 60.0}
"""A computer that stands still for a while is no silent host."""


def until(board: SerialLink, condition: Callable[[], bool], events: list[BoardEvent]) -> None:
    t_end = time.monotonic() + 30.0
    while not condition():
        board.turn()
        events += board.events()
        assert time.monotonic() < t_end, events
        time.sleep(0.005)


class PtyBoard:
    """A device whose cable can be pulled: `port` is a name that leads to the present terminal."""

    def __init__(self, port: Path) -> None:
        self.port = port
        self.device = Device()
        self.openings: list[int] = []
        self.ending = threading.Event()
        self.master: int | None = None
        self.lock = threading.Lock()
        self.t_zero_ns = time.perf_counter_ns()
        self.plug()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def plug(self) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.port.symlink_to(os.ttyname(slave))
        os.close(slave)
        self.master = master

    def unplug(self) -> None:
        with self.lock:
            self.port.unlink()
            if self.master is not None:
                os.close(self.master)
            self.master = None

    def now_us(self) -> int:
        return (time.perf_counter_ns() - self.t_zero_ns) // 1000

    def serve(self) -> None:
        while not self.ending.is_set():
            self.ending.wait(0.001)
            with self.lock:
                self.device.receive(self.read(), self.now_us())
                edges = self.device.take_edges()
                self.openings += [edge.request_id for edge in edges if edge.level]
                out = self.device.take_output()
                if out and self.master is not None:
                    os.write(self.master, out)

    def read(self) -> bytes:
        if self.master is None or not select.select([self.master], [], [], 0)[0]:
            return b""
        try:
            return os.read(self.master, 4096)
        except OSError:
            return b""  # nobody has the other end open

    def close(self) -> None:
        self.ending.set()
        self.thread.join(5.0)
        self.unplug()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[PtyBoard]:
    board = PtyBoard(tmp_path / "ttyBCI0")
    yield board
    board.close()


def test_rewards_pass_over_a_terminal_and_survive_pulling_the_cable(device: PtyBoard) -> None:
    settings = Board.model_validate(
        {"kind": "serial", "port": str(device.port), "reconnect_s": 0.1, **CALM}
    )
    board = open_board(settings, dict, timeout_s=20.0)
    assert isinstance(board, SerialLink)
    events: list[BoardEvent] = []
    try:
        board.reward(RewardRequest(1, 4.0, trial=1))
        until(board, lambda: not board.pending(), events)
        device.unplug()
        until(board, lambda: not board.connected, events)
        board.reward(RewardRequest(2, 4.0, trial=2))
        device.plug()
        until(board, lambda: not board.pending(), events)
    finally:
        board.close()
    events += board.events()
    assert device.openings == [1, 2]
    line = (BoardEventKind.CONNECTED, BoardEventKind.LOST)
    kinds = [event.kind for event in events if event.kind in line]
    assert kinds[:3] == [BoardEventKind.CONNECTED, BoardEventKind.LOST, BoardEventKind.CONNECTED]
    assert board.totals.done == 2


class Flood(serial.Serial):  # type: ignore[misc]
    """A port that always has more: faster than a terminal can be filled."""

    def read(self, size: int = 1) -> bytes:
        return b"\x01" * size

    @property
    def in_waiting(self) -> int:
        return 64


def test_device_that_never_stops_sending_is_no_board_and_is_let_go(
    device: PtyBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "open_port", lambda url, *_, **__: Flood(url))
    before = set(threading.enumerate())
    with pytest.raises(BoardError, match="no board answered within 2 s"):
        open_board(Board(kind="serial", port=str(device.port)), dict, timeout_s=2.0)
    assert not {one.name for one in set(threading.enumerate()) - before}


def test_device_that_goes_away_as_it_is_opened_is_tried_again(
    device: PtyBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, tries = serial.Serial._reset_input_buffer, []

    def gone_at_first(port: serial.Serial) -> None:
        tries.append(port)
        if len(tries) == 1:
            raise termios.error(5, "Input/output error")
        really(port)

    monkeypatch.setattr(serial.Serial, "_reset_input_buffer", gone_at_first)
    settings = Board(kind="serial", port=str(device.port), reconnect_s=0.1)
    open_board(settings, dict, timeout_s=20.0).close()
    assert len(tries) >= 2


def test_board_that_comes_back_under_another_name_is_found_again(
    device: PtyBoard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ports, "candidates", lambda: [str(p) for p in tmp_path.glob("ttyBCI*")])
    settings = Board.model_validate({"kind": "serial", "port": "auto", "reconnect_s": 0.1, **CALM})
    board = open_board(settings, dict, timeout_s=20.0)
    assert isinstance(board, SerialLink)
    events: list[BoardEvent] = []
    try:
        # long enough to be still running when the board is found again
        board.reward(RewardRequest(1, 40.0, trial=1))
        until(board, lambda: device.openings == [1], events)
        device.unplug()
        until(board, lambda: not board.connected, events)
        device.port = tmp_path / "ttyBCI1"
        device.plug()
        until(board, lambda: not board.pending(), events)
        board.reward(RewardRequest(2, 4.0, trial=2))
        until(board, lambda: not board.pending(), events)
    finally:
        board.close()
    assert board.totals.given == 2
    assert device.openings == [1, 2]
