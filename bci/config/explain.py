"""From pydantic's errors to faults that a person at the rig understands."""

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from bci.config.fault import Fault
from bci.config.session import Session

_TYPES = {
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text, in quotes",
    "path_type": "a path, in quotes",
    "tuple_type": "a list, in [ ]",
    "list_type": "a list, in [ ]",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "a list of at least {min_length} item(s)",
    "too_long": "a list of at most {max_length} item(s)",
    "string_too_short": "text of at least {min_length} character(s)",
    "string_too_long": "text of at most {max_length} characters",
    "literal_error": "{expected}",
    "union_tag_invalid": "one of {expected_tags}",
    "string_pattern_mismatch": "letters, digits, `_`, `.` and `-`, the first a letter or digit",
}
_FILES = ("rig", "experiment")
_TAGGED = {("rig", "source"), ("experiment", "session_type")}
"""Tables of several kinds."""
_FILE = "the path of a TOML file, in quotes"


def fault_of(detail: ErrorDetails) -> Fault:
    """One error of `Session`'s validation, as what is allowed and what to do."""
    path = table_path(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    value = detail.get("input")
    if kind == "extra_forbidden":
        return Fault(".".join(path), value, "no such key", _spelling(detail["loc"]))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        path.append("kind")
        value = context.get("tag")
    key = ".".join(path)
    if kind == "union_tag_not_found" or (kind == "missing" and not _in_a_list(detail["loc"])):
        todo = f'add `{key} = "FILE.toml"` to the session file' if key in _FILES else f"add `{key}`"
        return Fault(key, None, "a value (there is no default)", todo)
    if kind in _TYPES:
        allowed = f"must be {_FILE if key in _FILES else _TYPES[kind]}"
    elif kind in _BOUNDS:
        allowed = f"must be {_BOUNDS[kind].format(**context)}"
    elif kind == "missing":
        allowed = "must be a longer list"
    else:
        allowed = detail["msg"]
    if _in_a_list(detail["loc"]) and kind != "missing":
        return Fault(key, value, f"each item {allowed}", f"mend the list `{key}`")
    return Fault(key or "settings", value, allowed, _change(key, kind, value))


def table_path(loc: Sequence[int | str]) -> list[str]:
    """Keys of a location: without list indices and the tag that a union puts behind its key."""
    parts = list(loc)
    if len(parts) > 2 and tuple(parts[:2]) in _TAGGED:
        del parts[2]
    return [part for part in parts if isinstance(part, str)]


def _in_a_list(loc: Sequence[int | str]) -> bool:
    return bool(loc) and isinstance(loc[-1], int)


def _change(key: str, kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return f"quote it, on the command line as --set '{key}=\"{value}\"'"
    return f"change `{key}` in its file, or with --set {key}=VALUE"


def _spelling(loc: Sequence[int | str]) -> str:
    near = difflib.get_close_matches(str(loc[-1]), _keys_at(loc[:-1]), n=1)
    return f"did you mean `{near[0]}`?" if near else "remove it, or check its spelling"


def _keys_at(loc: Sequence[int | str]) -> list[str]:
    """Names of the settings in the table at `loc`, the tag of a union included in `loc`."""
    models: list[type[BaseModel]] = [Session]
    for part in loc:
        tagged = [model for model in models if part in _kinds(model)]
        if len(models) > 1 and tagged:
            models = tagged
            continue
        models = [
            inner
            for model in models
            if str(part) in model.model_fields
            for inner in _models_in(model.model_fields[str(part)].annotation)
        ]
    return [name for model in models for name in model.model_fields]


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return get_args(field.annotation) if field is not None else ()


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
