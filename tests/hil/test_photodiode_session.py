"""Light of every flip, through the compiled firmware's photodiode input, in a whole session."""

import json
from pathlib import Path

import pytest
from running_session import ROOT, bci

RIG = ROOT / "configs" / "rigs" / "simulated.toml"


@pytest.mark.long
@pytest.mark.usefixtures("chip")
def test_each_flip_of_a_window_is_light_at_the_photodiode_of_the_chip(tmp_path: Path) -> None:
    found = tmp_path / "screen.json"
    done = bci(
        *("bench", "screen", RIG, "--duration=6", f"--json={found}"),
        *("--set", "rig.board.kind=chip", "--set", "rig.screen.photodiode.enabled=true"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(found.read_text())
    assert told["settings"]["screen"] == "no vsync"
    assert "no light" in told["settings"]["photodiode"]
    rows = {row["name"]: row for row in told["rows"]}
    flips = rows["draw and flip"]["n"]
    assert flips > 20  # how many it draws of 180 is the machine's affair
    # where the computer was too slow for the chip some may be missing; else none
    lost = rows["pace of the chip lost"]["p50"]
    assert rows["flip to light"]["n"] >= (0.5 * flips if lost else flips - 2)
    assert rows["flip to light"]["n"] + rows["unmatched"]["p50"] >= flips - 2
    assert abs(rows["flip to light"]["p50"]) < (150 if lost else 30)
    assert rows["sent_to_light"]["n"] > 0


def test_screen_without_a_photodiode_is_measured_to_the_flip_and_said_to_be_none(
    tmp_path: Path,
) -> None:
    found = tmp_path / "screen.json"
    done = bci(
        *("bench", "screen", RIG, "--duration=4", f"--json={found}"),
        *("--set", "rig.screen.backend=null"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(found.read_text())
    assert (told["settings"]["screen"], told["settings"]["photodiode"]) == ("no vsync", "none")
    names = {row["name"] for row in told["rows"]}
    assert "sent_to_flip" in names
    assert "sent_to_light" not in names
