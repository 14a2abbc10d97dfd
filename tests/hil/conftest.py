"""The firmware and the chip bench, compiled once."""

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from chip_script import Live, Lived, Script, run_script

from bci.config.rig import Board
from bci.hardware.board.chip import FIRMWARE, build_chip, chip_faults, make


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
        # the rule concerns what names it alone; the rest is as it was compiled
        for source in FIRMWARE.glob("*.c"):
            if f"RULE({rule})" not in source.read_text("utf-8"):
                shutil.copy2(FIRMWARE / "build" / f"{source.stem}.o", folder)
        elf = folder / "board.elf"
        make(FIRMWARE, f"BUILD={folder}", f"RULES=-DWITHOUT_{rule}", str(elf))
        return elf

    return build


@pytest.fixture
def live(chip: tuple[Path, Path], tmp_path: Path) -> Live:
    """Run a scripted life of a chip: a new one, or one that lived before, by its name."""
    bench, usual = chip

    lives = count()

    def run(
        script: Script, until_us: float, firmware: Path | None = None, chip: str | None = None
    ) -> Lived:
        folder = tmp_path / (chip or f"chip-{next(lives)}")
        folder.mkdir(exist_ok=True)
        return run_script(bench, firmware or usual, folder, script, until_us)

    return run
