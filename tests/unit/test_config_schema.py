import copy
import json
import tomllib
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from bci.config.schema import FOLDER, schemas, write_schemas

pytestmark = pytest.mark.slow

CONFIGS = FOLDER.parent
FILES = sorted(CONFIGS.rglob("*.toml"))


@cache
def stored(kind: str) -> Draft202012Validator:
    """The schema on file; `jsonschema.validate` would check the schema itself each time."""
    return Draft202012Validator(json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8")))


def test_written_schemas_are_those_of_the_settings(tmp_path: Path) -> None:
    for path in write_schemas(tmp_path):
        on_file = FOLDER / path.name
        assert on_file.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), (
            f"{on_file.name} is older than the settings: run `make docs`"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_settings_file_names_its_schema_and_keeps_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first.startswith("#:schema ")
    schema_path = (path.parent / first.removeprefix("#:schema ")).resolve()
    kind = {"rigs": "rig", "experiments": "experiment"}.get(path.parent.name, "session")
    assert schema_path == FOLDER / f"{kind}.json"
    stored(kind).validate(tomllib.loads(text))


@pytest.mark.parametrize("kind", ["session", "rig", "experiment"])
def test_schema_is_a_schema(kind: str) -> None:
    Draft202012Validator.check_schema(schemas()[kind])


def test_schema_refuses_an_unknown_key_and_a_wrong_value() -> None:
    rig = tomllib.loads((CONFIGS / "rigs" / "simulated.toml").read_text(encoding="utf-8"))
    for key, value in (("nmae", "x"), ("board", {"kind": "teensy"})):
        bad = copy.deepcopy(rig)
        bad[key] = value
        with pytest.raises(ValidationError):
            stored("rig").validate(bad)


def test_every_setting_has_its_type_in_the_schema() -> None:
    for definition in schemas()["session"]["$defs"].values():
        for name, field in definition["properties"].items():
            assert {"type", "anyOf", "oneOf", "$ref", "enum", "const"} & field.keys(), name
