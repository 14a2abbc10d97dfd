import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bci.config import load_session
from bci.config.outline import Kind, Setting, Table, outline, settings_in

CONFIGS = sorted(Path(__file__).parents[2].joinpath("configs").glob("*.toml"))
SETTINGS = {setting.key: setting for setting in settings_in(outline())}


def keys_of(table: Table, values: Mapping[str, Any]) -> set[str]:
    found = set()
    for row in table.rows(values):
        inner = values.get(row.name)
        if isinstance(row, Table) and inner is not None:
            found |= keys_of(row, inner)
        else:
            assert isinstance(row, Setting) or row.optional
            found.add(row.key)
    return found | ({f"{table.key}.kind"} if len(table.variants) > 1 else set())


def keys_in(values: Mapping[str, Any], path: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        key = f"{path}.{name}" if path else name
        found |= keys_in(value, key) if isinstance(value, dict) else {key}
    return found


FRAMES = "whole number, > 0, ≤ 1000000"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_setting_of_a_session_stands_in_the_outline_and_no_other(path: Path) -> None:
    values = json.loads(load_session(path).model_dump_json())
    assert keys_of(outline(), values) == keys_in(values)


@pytest.mark.parametrize(
    ("key", "kind", "unit", "allowed"),
    [
        ("experiment.task.trial_s", Kind.NUMBER, "s", "number, > 0"),
        ("experiment.task.reward_ul", Kind.NUMBER, "µl", "number, > 0"),
        ("experiment.decoder.velocity_deg_per_s", Kind.NUMBER, "°/s", "number, > 0"),
        ("experiment.decoder.smoothing_frames", Kind.WHOLE, "frames", FRAMES),
        ("experiment.decoder.p_plus", Kind.TEXTS, "", "list"),
        ("experiment.stimulus.position_deg", Kind.NUMBERS, "°", "list, at least 2"),
        ("experiment.task.abort_at_zero_s", Kind.NUMBER, "s", "number, > 0"),
        ("rig.board.valve.calibrated_on", Kind.DATE, "", "date"),
        ("rig.source.path", Kind.PATH, "", "path"),
        ("rig.screen.fullscreen", Kind.TRUTH, "", "true or false"),
    ],
)
def test_kind_unit_and_range_are_those_of_the_model(
    key: str, kind: Kind, unit: str, allowed: str
) -> None:
    setting = SETTINGS[key]
    assert (setting.kind, setting.unit, setting.allowed) == (kind, unit, allowed)


def test_needed_optional_and_default_are_told_apart() -> None:
    assert SETTINGS["rig.name"].needed
    assert SETTINGS["rig.source.duration_s"].optional
    assert SETTINGS["experiment.task.trial_s"].default == 28.0
    assert SETTINGS["rig.board.kind"].choices[:2] == ("serial", "chip")


def test_a_source_has_the_rows_of_its_kind_and_none_while_it_has_no_kind() -> None:
    source = next(row for row in _rows(outline(), "rig") if row.name == "source")
    assert isinstance(source, Table)
    assert {row.name for row in source.rows({"kind": "tcp"})} >= {"port", "labels"}
    assert "path" in {row.name for row in source.rows({"kind": "recording"})}
    assert source.rows({}) == source.rows({"kind": "microscope"}) == ()


def _rows(table: Table, name: str) -> tuple[Setting | Table, ...]:
    row = next(row for row in table.rows({}) if row.name == name)
    assert isinstance(row, Table)
    return row.rows({})
