"""Every setting on one page: `python -m bci.config.reference` writes docs/settings.md."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from bci.config.outline import Schema, allowed, may_be_none, tables_in, text_of
from bci.config.session import Session

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
"""Where the page of a checkout lies."""
HEAD = """# Settings

Written by `make docs` from the settings themselves. A session file names a rig file and an
experiment file; each table below is a table in one of them: `[task]` in an experiment file is
`experiment.task` here, and its settings are `experiment.task.trial_s` and so on with `--set`.
Units stand at the end of a name: `_s` seconds, `_ms` milliseconds, `_hz`, `_deg` degrees of visual
angle, `_px` pixels, `_cm`, `_ul` microlitres, `_counts` of the digitiser. A setting without a
default must be given.
"""


def reference() -> str:
    """Contents of the page, Markdown."""
    schema = Session.model_json_schema()
    sections = _sections("session", schema, schema["$defs"], "")
    return "\n".join([HEAD, *sections])


def _sections(path: str, table: Schema, definitions: dict[str, Schema], note: str) -> Iterator[str]:
    """One section for this table, then one for each table in it."""
    required = table.get("required", ())
    rows, inner = [], []
    for name, field in table["properties"].items():
        tables = [definitions[key] for key in tables_in(field)]
        key = name if path == "session" else f"{path}.{name}"
        told = _cell(text_of(field)) if may_be_none(field) else ""
        inner += [(key, found, told) for found in tables]
        if not tables:
            default = _default(field, needed=name in required)
            cells = (f"`{name}`", _cell(allowed(field)), default, _cell(text_of(field)))
            rows.append(f"| {' | '.join(cells)} |")
    if rows:
        yield f"## {path}{_kind_of(table)}\n\n{' '.join((_cell(text_of(table)), note)).strip()}\n"
        yield "| setting | allowed | default | |\n| --- | --- | --- | --- |"
        yield "\n".join(rows) + "\n"
    for key, found, told in inner:
        yield from _sections(key, found, definitions, told)


def _kind_of(table: Schema) -> str:
    """` (kind = …)` for the tables of which a rig has one out of several."""
    kind = table["properties"].get("kind", {})
    kinds = [kind["const"]] if "const" in kind else []
    if "port" in table["properties"] and "labels" in table["properties"]:
        kinds = kind["enum"]
    return f" (kind = {' or '.join(map(json.dumps, kinds))})" if kinds else ""


def _default(field: Schema, *, needed: bool) -> str:
    if needed:
        return "**needed**"
    default = field.get("default")
    return "none" if default is None else f"`{_cell(json.dumps(default, ensure_ascii=False))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8", newline="\n")
    sys.stdout.write(f"{PAGE}\n")
