"""The board of the settings: found, or said why not before anything starts."""

import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from bci.config.rig import Board
from bci.core.board_types import BoardEventKind, LightCommand, RewardRequest
from bci.hardware.board import kinds
from bci.hardware.board.codes import Pin
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import open_board, port_faults
from bci.hardware.board.virtual import VirtualBoard


def test_absent_port_is_told_with_the_ports_found_and_what_to_do() -> None:
    with patch.object(kinds, "ports_found", lambda: ["/dev/ttyACM0"]):
        [fault] = port_faults(Board(kind="serial", port="/dev/ttyACM3"))
    assert str(fault) == (
        "rig.board.port = '/dev/ttyACM3': no such device. Found: /dev/ttyACM0. "
        'Set rig.board.port, or rig.board.kind = "simulated".'
    )


def test_no_port_at_all_says_none() -> None:
    with patch.object(kinds, "ports_found", list):
        [fault] = port_faults(Board(kind="serial", port="COM77"))
    assert "Found: none" in str(fault)


def test_board_that_cannot_be_opened_is_an_error_with_the_same_words() -> None:
    settings = Board(kind="serial", port="/dev/ttyACM77")
    with pytest.raises(BoardError, match=r"no such device\. Found: "):
        open_board(settings, dict)


def test_chip_without_a_compiler_says_what_is_missing_and_what_to_do() -> None:
    with patch.object(shutil, "which", lambda tool: None if tool == "avr-gcc" else tool):
        [fault] = port_faults(Board(kind="chip"))
    assert "needs avr-gcc" in str(fault) or "Linux alone" in str(fault)
    assert "make setup" in str(fault)


def test_simulated_board_and_present_port_have_no_fault(tmp_path: Path) -> None:
    device = tmp_path / "ttyUSB0"
    device.touch()
    assert port_faults(Board(kind="simulated")) == []
    assert port_faults(Board(kind="serial", port=str(device))) == []
    assert port_faults(Board(kind="serial", port="socket://127.0.0.1:1")) == []


def test_address_where_nobody_listens_is_an_error_that_names_it_however_little_time_there_is() -> (
    None
):
    settings = Board(kind="serial", port="socket://127.0.0.1:1")
    with pytest.raises(BoardError, match=r"rig\.board at socket://127\.0\.0\.1:1: Could not open"):
        open_board(settings, dict, timeout_s=0.0)


def virtual(**settings: object) -> VirtualBoard:
    board = VirtualBoard(Board.model_validate({"kind": "simulated", **settings}))
    board.open()
    return board


def test_virtual_board_gives_rewards_at_frame_time() -> None:
    board = virtual()
    board.advance_to(10.0)
    board.reward(RewardRequest(1, 4.0, trial=1))
    board.advance_to(10.02)
    assert board.pending() == 1
    board.advance_to(10.05)
    assert board.pending() == 0
    edges = [(edge.t_us, edge.level) for edge in board.edges()]
    assert edges == [(10_000_000, 1), (10_040_000, 0)]
    done = board.events()[-1]
    assert (done.kind, done.t_device_us, done.value) == (
        BoardEventKind.REWARD_DONE,
        10_000_000,
        40_000,
    )


def test_virtual_board_tells_the_same_in_every_run() -> None:
    def run() -> list[object]:
        board = virtual()
        for step in range(1, 2000):
            board.advance_to(step / 15.46)
            if step % 250 == 0:
                board.reward(RewardRequest(step, 4.0, trial=step))
            if step % 700 == 0:
                board.light(LightCommand(on=step % 1400 == 0, gate=False))
        board.close()
        return [*board.events(), *board.edges()]

    assert run() == run()


def test_virtual_board_stays_awake_however_far_frame_time_jumps() -> None:
    board = virtual()
    board.advance_to(5_000.0)
    board.reward(RewardRequest(1, 4.0, trial=1))
    board.advance_to(5_001.0)
    assert board.totals.done == 1
    assert BoardEventKind.SAFE not in [event.kind for event in board.events()]


def test_virtual_board_closes_with_a_running_reward_given_and_the_valve_shut() -> None:
    board = virtual()
    board.reward(RewardRequest(1, 4.0, trial=1))
    board.close()
    assert board.totals.done == 1
    edges = board.edges()
    assert [edge.level for edge in edges if edge.pin is Pin.VALVE] == [1, 0]
    board.close()
    assert not board.connected


def test_virtual_board_refuses_limits_out_of_range() -> None:
    with pytest.raises(BoardError, match="limit is 1000000"):
        virtual(valve={"max_open_ms": 5_000.0})
