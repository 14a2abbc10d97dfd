"""The firmware and the chip bench, compiled once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bci.config.rig import Board
from hardware.board.chip import FIRMWARE, build_chip, chip_faults, make


@pytest.fixture(scope="session")
def chip() -> tuple[Path, Path]:
    """Paths of the chip bench and of the firmware."""
    faults = chip_faults(Board(kind="chip"))
    if faults:
        pytest.skip(str(faults[0]))
    return build_chip()


@pytest.fixture(scope="session")
def firmware_without(
    chip: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The firmware without one of its rules of safety, by the rule's name in limits.h."""
    del chip

    def build(rule: str) -> Path:
        folder = tmp_path_factory.mktemp(rule.lower())
        make(FIRMWARE, f"BUILD={folder}", f"RULES=-DWITHOUT_{rule}")
        return folder / "board.elf"

    return build
