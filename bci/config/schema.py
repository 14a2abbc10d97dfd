"""JSON schemas of the settings files, for editors that complete and check TOML.

`python -m bci.config.schema` writes them to `configs/schema`; the settings files name theirs in a
first line `#:schema`, which Taplo and Even Better TOML read.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bci.config.experiment import Experiment
from bci.config.rig import Rig
from bci.config.session import Session

FOLDER = Path(__file__).parents[2] / "configs" / "schema"
"""Where the schemas of a checkout lie."""


def schemas() -> dict[str, dict[str, Any]]:
    """JSON schema (draft 2020-12) of each kind of settings file, by the name of the kind."""
    session = Session.model_json_schema()
    for part in ("rig", "experiment"):
        # On file, a session names another file where its model holds that file's table.
        session["properties"][part] = {
            "anyOf": [
                {"type": "string", "description": "Path of a TOML file, relative to this one."},
                session["properties"][part],
            ]
        }
    tables = {
        "session": session,
        "rig": Rig.model_json_schema(),
        "experiment": Experiment.model_json_schema(),
    }
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {name: {"$schema": dialect, **table} for name, table in tables.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema as `NAME.json`.

    Parameters
    ----------
    folder
        Made where it does not exist.

    Returns
    -------
    list of Path
        The files, in the order session, rig, experiment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in schemas().items():
        path = folder / f"{name}.json"
        path.write_text(
            json.dumps(schema, indent=2, ensure_ascii=False) + "\n", "utf-8", newline="\n"
        )
        paths.append(path)
    return paths


if __name__ == "__main__":
    for path in write_schemas(FOLDER):
        sys.stdout.write(f"{path}\n")
