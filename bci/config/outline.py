"""What can be set, as a tree of tables and settings: for forms and for the page of all settings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from bci.config.session import Session

BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "pattern": "like `{}`",
    "minItems": "at least {}",
}
TYPES = {
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "string": "text",
    "array": "list",
}
FORMATS = {"date": "date", "path": "path"}
UNITS = {
    "_deg_per_s": "°/s",
    "_ms_per_ul": "ms/µl",
    "_per_count": "/count",
    "_s": "s",
    "_ms": "ms",
    "_ns": "ns",
    "_us": "µs",
    "_hz": "Hz",
    "_deg": "°",
    "_ul": "µl",
    "_px": "px",
    "_cm": "cm",
    "_mm": "mm",
    "_nm": "nm",
    "_um": "µm",
    "_mw": "mW",
    "_g": "g",
    "_db": "dB",
    "_seconds_per_hit": "s",
    "_counts": "counts",
    "_frames": "frames",
    "_sd": "SD",
}
"""Unit of each ending of a name, longer endings first."""

Schema = dict[str, Any]


class Kind(StrEnum):
    """What a setting holds."""

    NUMBER = "number"
    WHOLE = "integer"
    TRUTH = "boolean"
    CHOICE = "choice"
    TEXT = "string"
    TEXTS = "texts"
    NUMBERS = "numbers"
    DATE = "date"
    PATH = "path"
    OTHER = "other"


@dataclass(frozen=True)
class Setting:
    """One value of the settings.

    Parameters
    ----------
    key, name
        Dotted key from the session down, and its last part.
    kind
        What it holds; OTHER: whatever TOML can say.
    unit
        From the ending of its name; empty: none.
    needed
        True where there is no default.
    optional
        True where it may be absent, which then means none.
    default
        As in TOML; None: none, or needed.
    choices
        Of CHOICE, in the order of the type.
    allowed
        What may stand there, in words.
    help
        Its docstring.
    """

    key: str
    name: str
    kind: Kind
    unit: str
    needed: bool
    optional: bool
    default: Any
    choices: tuple[Any, ...]
    allowed: str
    help: str


@dataclass(frozen=True)
class Table:
    """A table of the settings.

    Parameters
    ----------
    key, name
        Dotted key from the session down, and its last part; empty: the session itself.
    needed
        True where it must be written.
    optional
        True where it may be absent, which is not the same as a table of defaults.
    variants
        What it holds, by the value of `kind`; a table of one form has the one kind "".
    helps
        Docstring of each variant.
    note
        Docstring of the field that holds it.
    usual
        Variant that holds where none is written; empty: there is none.
    """

    key: str
    name: str
    needed: bool
    optional: bool
    variants: Mapping[str, tuple["Setting | Table", ...]]
    helps: Mapping[str, str]
    note: str
    usual: str

    def rows(self, values: Any) -> tuple["Setting | Table", ...]:
        """What it holds, given the values that stand there; empty: an unknown kind."""
        if len(self.variants) == 1:
            return next(iter(self.variants.values()))
        kind = values.get("kind") if isinstance(values, Mapping) else None
        return self.variants.get(kind, ()) if isinstance(kind, str) else ()


@cache
def outline() -> Table:
    """The session: every table and setting that a run depends on."""
    schema = Session.model_json_schema()
    return _table("", "", {}, True, [("", schema)], schema["$defs"])


def settings_in(table: Table) -> Iterator[Setting]:
    """Every setting of a table and of those in it, of all kinds."""
    for rows in table.variants.values():
        for row in rows:
            if isinstance(row, Setting):
                yield row
            else:
                yield from settings_in(row)


def unit_of(name: str) -> str:
    """Unit of a setting from the ending of its name; empty where it has none."""
    return next((unit for ending, unit in UNITS.items() if f"_{name}".endswith(ending)), "")


def words_of(name: str) -> str:
    """A name without its unit, as words."""
    ending = next((ending for ending in UNITS if f"_{name}".endswith(ending)), "")
    return name.removesuffix(ending).replace("_", " ") if ending != f"_{name}" else name


def tables_in(field: Schema) -> list[str]:
    """Names of the definitions that stand in a field, none where it is a value."""
    choices = [field, *field.get("anyOf", ()), *field.get("oneOf", ())]
    inner = [found for choice in choices[1:] for found in choice.get("oneOf", ())]
    return [choice["$ref"].rpartition("/")[2] for choice in choices + inner if "$ref" in choice]


def may_be_none(field: Schema) -> bool:
    """True where the field may be absent."""
    return any(choice.get("type") == "null" for choice in field.get("anyOf", ()))


def allowed(field: Schema) -> str:
    """What may stand in a field, in words."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    told = []
    for choice in choices:
        if "enum" in choice or "const" in choice:
            values = choice.get("enum", [choice.get("const")])
            told.append(", ".join(f"`{json.dumps(value)}`" for value in values))
            continue
        words = [FORMATS.get(choice.get("format", ""), TYPES[choice["type"]])]
        words += [text.format(choice[key]) for key, text in BOUNDS.items() if key in choice]
        told.append(", ".join(words))
    return " or ".join(told)


def text_of(node: Schema) -> str:
    """Docstring of a field or table, on one line."""
    return " ".join(node.get("description", "").split())


def _table(
    key: str,
    name: str,
    field: Schema,
    needed: bool,
    forms: list[tuple[str, Schema]],
    definitions: dict[str, Schema],
) -> Table:
    return Table(
        key,
        name,
        needed,
        may_be_none(field),
        {kind: tuple(_rows(key, form, definitions, bool(kind))) for kind, form in forms},
        {kind: text_of(form) for kind, form in forms},
        text_of(field),
        _usual(field),
    )


def _usual(field: Schema) -> str:
    default = field.get("default")
    return str(default.get("kind", "")) if isinstance(default, Mapping) else ""


def _rows(
    key: str, table: Schema, definitions: dict[str, Schema], tagged: bool
) -> Iterator[Setting | Table]:
    for name, field in table["properties"].items():
        if tagged and name == "kind":
            continue
        inner = f"{key}.{name}" if key else name
        needed = name in table.get("required", ())
        found = tables_in(field)
        if found:
            yield _table(inner, name, field, needed, _forms(field, found, definitions), definitions)
        else:
            yield _setting(inner, name, field, needed)


def _forms(
    field: Schema, found: list[str], definitions: dict[str, Schema]
) -> list[tuple[str, Schema]]:
    """Each form of a table by the kind that stands for it."""
    if len(found) == 1:
        return [("", definitions[found[0]])]
    # a union is told apart by its kinds, of which one form may have several
    return [
        (kind, definitions[name])
        for name in found
        for kind in _kinds(definitions[name]["properties"]["kind"])
    ]


def _kinds(field: Schema) -> list[str]:
    return [str(kind) for kind in field.get("enum", [field.get("const")])]


def _setting(key: str, name: str, field: Schema, needed: bool) -> Setting:
    kind, choices = _kind(field)
    return Setting(
        key,
        name,
        kind,
        unit_of(name) if kind in (Kind.NUMBER, Kind.WHOLE, Kind.NUMBERS) else "",
        needed,
        may_be_none(field),
        field.get("default"),
        choices,
        allowed(field).replace("`", ""),
        text_of(field),
    )


def _kind(field: Schema) -> tuple[Kind, tuple[Any, ...]]:
    values = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    if len(values) != 1:
        return Kind.OTHER, ()
    value = values[0]
    if "enum" in value or "const" in value:
        return Kind.CHOICE, tuple(value.get("enum", [value.get("const")]))
    if value.get("format") in ("date", "path"):
        return Kind(value["format"]), ()
    if value["type"] == "array":
        return _list_kind(value), ()
    return (Kind(value["type"]), ()) if value["type"] in set(Kind) else (Kind.OTHER, ())


def _list_kind(value: Schema) -> Kind:
    items = value.get("prefixItems", [value.get("items", {})])
    types = {item.get("type") for item in items if isinstance(item, dict)}
    if types == {"string"}:
        return Kind.TEXTS
    return Kind.NUMBERS if types and types <= {"number", "integer"} else Kind.OTHER
