"""The board is found by who it says it is, whatever its port is called and what else is there."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chip_script import GREETING
from test_firmware_line import Bench
from waiting import until

from bci.config.rig import Board
from bci.core.board_types import RewardRequest
from bci.hardware.board import ports
from bci.hardware.board.framing import FrameDecoder
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import open_board, port_faults
from bci.hardware.board.link import SerialLink
from bci.hardware.board.ports import ask, find_board, open_port, survey

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

import pty
import tty

NAME = "bci-board"


class Stranger:
    """A device that answers everything with its own words, and remembers what it was told."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self.told = b""
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        try:
            while data := os.read(self.master, 256):
                self.told += data
                os.write(self.master, b"ERR unknown command\r\n\x00")
        except OSError:
            pass

    def close(self) -> None:
        os.close(self._slave)
        self._thread.join(5.0)
        os.close(self.master)


@pytest.fixture
def bench(chip: tuple[Path, Path], tmp_path: Path) -> Iterator[Bench]:
    opened = Bench(chip, tmp_path)
    # a new chip writes its EEPROM before it listens, for as long as a slow computer takes for that
    until(lambda: ask(opened.told["pty"], 115200, GREETING).identity)
    yield opened
    if opened.process.poll() is None:
        opened.close()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    opened = Stranger()
    yield opened
    opened.close()


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which ports are on USB."""
    return lambda *found: monkeypatch.setattr(ports, "candidates", lambda: list(found))


def test_board_among_other_devices_is_found_and_gives_a_reward(
    bench: Bench, stranger: Stranger, usb: Callable[..., None], tmp_path: Path
) -> None:
    gone = str(tmp_path / "ttyGone")
    usb(stranger.port, gone, bench.told["pty"])
    # a computer that stands still for a while is no silent host
    settings = Board(kind="serial", name=NAME, watchdog_ms=20_000, pay_within_s=60)
    assert find_board(settings) == bench.told["pty"]
    # nothing but greetings was said to the stranger
    said = [payload[0] for payload in FrameDecoder().feed(stranger.told)]
    assert said
    assert set(said) == {0x01}
    assert "no answer" in next(a.text for a in survey(settings) if a.port == stranger.port)
    board = open_board(settings, dict, timeout_s=20.0)
    assert isinstance(board, SerialLink)
    try:
        board.reward(RewardRequest(1, 4.0, trial=1))
        until(lambda: board.turn() or not board.pending())
        assert [edge["request_id"] for edge in bench.edges() if edge["level"]] == [1]
        # the line is ours alone: another program is told so
        with pytest.raises(OSError, match="lock"):
            open_port(bench.told["pty"], 115200, 0.1, 0.1)
    finally:
        board.close()


def test_board_of_another_name_is_not_used(bench: Bench, usb: Callable[..., None]) -> None:
    usb(bench.told["pty"])
    with pytest.raises(BoardError, match=rf"no board of the name 'rig-2' .*{NAME}, firmware"):
        find_board(Board(kind="serial", name="rig-2"))
    fixed = Board(kind="serial", port=bench.told["pty"], name="rig-2")
    with pytest.raises(BoardError, match=f"it is '{NAME}', rig.board.name is 'rig-2'"):
        open_board(fixed, dict, timeout_s=20.0)


def test_no_port_on_usb_is_a_fault_before_anything_starts(usb: Callable[..., None]) -> None:
    usb()
    [fault] = port_faults(Board(kind="serial"))
    assert "no serial port on USB" in str(fault)
    with pytest.raises(BoardError, match="no board answered"):
        find_board(Board(kind="serial"))
