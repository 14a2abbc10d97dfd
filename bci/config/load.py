"""Settings from TOML: files that name files, overrides, faults that say what to do."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bci.config.check import faults_of
from bci.config.fault import Fault, SettingsError
from bci.config.session import Session


@dataclass(frozen=True)
class Override:
    """One `--set KEY=VALUE`."""

    key: str
    value: Any

    @classmethod
    def parse(cls, text: str) -> "Override":
        """Read `experiment.task.trial_s=10`; the value is TOML, or else a plain string.

        Raises
        ------
        SettingsError
            Where there is no `=` or no key.
        """
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise SettingsError(
                [Fault("--set", text, "KEY=VALUE", "e.g. --set experiment.task.trial_s=10")]
            )
        try:
            return cls(key.strip(), tomllib.loads(f"value = {value}")["value"])
        except tomllib.TOMLDecodeError:
            return cls(key.strip(), value.strip())


def load_session(path: Path, overrides: Sequence[Override] = ()) -> Session:
    """Read, resolve and validate a session file; everything wrong is reported at once.

    Parameters
    ----------
    path
        A session file. `rig` and `experiment` are paths of TOML files relative to it, or tables.
    overrides
        Applied in order after the files are read.

    Raises
    ------
    SettingsError
        With every fault found, never the first alone.
    """
    data, faults = _read_tree(path)
    for override in overrides:
        faults += _set(data, override)
    session, more = validate_session(data)
    faults += more
    if faults or session is None:
        raise SettingsError(faults)
    return session


def validate_session(data: dict[str, Any]) -> tuple[Session | None, list[Fault]]:
    """Validate resolved data; rules between keys are tried even where single keys are wrong."""
    try:
        session = Session.model_validate(data)
    except ValidationError as error:
        details = error.errors()
        faults = [_fault(detail) for detail in details]
        repaired = _without(data, [detail["loc"] for detail in details])
        try:
            partial = Session.model_validate(repaired)
        except ValidationError:
            return None, faults
        known = {fault.key for fault in faults}
        return None, faults + [
            fault for fault in faults_of(partial) if not known & fault.keys_involved
        ]
    faults = faults_of(session)
    return session, faults


def dump_session(session: Session) -> dict[str, Any]:
    """Plain JSON-able data from which `validate_session` makes the same session."""
    return session.model_dump(mode="json", exclude_none=True)


def settings_hash(session: Session) -> str:
    """SHA-256 of the resolved settings, hexadecimal; equal settings give equal hashes."""
    text = json.dumps(dump_session(session), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read_tree(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    data, faults = _read(path, "session file")
    for part in ("rig", "experiment"):
        value = data.get(part)
        if isinstance(value, str):
            table, more = _read((path.parent / value), part)
            faults += more
            if more:
                data.pop(part)
            else:
                data[part] = table
    _absolute_recording(data, path.parent)
    return data, faults


def _absolute_recording(data: dict[str, Any], folder: Path) -> None:
    source = data.get("rig", {}).get("source", {}) if isinstance(data.get("rig"), dict) else {}
    if isinstance(source, dict) and isinstance(source.get("path"), str):
        source["path"] = str((folder / source["path"]).resolve())


def _read(path: Path, key: str) -> tuple[dict[str, Any], list[Fault]]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file), []
    except FileNotFoundError:
        return {}, [Fault(key, str(path), "a TOML file", "no such file: check the path")]
    except IsADirectoryError:
        return {}, [Fault(key, str(path), "a TOML file", "this is a folder: name the file in it")]
    except (OSError, UnicodeDecodeError) as error:
        return {}, [Fault(key, str(path), "a readable TOML file", str(error))]
    except tomllib.TOMLDecodeError as error:
        return {}, [Fault(key, str(path), "TOML", f"mend the line: {error}")]


def _set(data: dict[str, Any], override: Override) -> list[Fault]:
    *parents, last = override.key.split(".")
    table = data
    for parent in parents:
        child = table.setdefault(parent, {})
        if not isinstance(child, dict):
            return [
                Fault(override.key, override.value, "a key", f"`{parent}` is a value, not a table")
            ]
        table = child
    table[last] = override.value
    return []


def _fault(detail: ErrorDetails) -> Fault:
    key = ".".join(str(part) for part in _plain(detail["loc"]))
    kind, message = detail["type"], detail["msg"]
    value: Any = detail.get("input")
    if kind == "missing":
        top = key in ("rig", "experiment")
        todo = f'add `{key} = "FILE.toml"` to the session file' if top else f"add `{key}`"
        return Fault(key, None, "a value (there is no default)", todo)
    if kind == "extra_forbidden":
        return Fault(key, value, "no such key", "remove it, or check its spelling")
    return Fault(key, value, message, f"change `{key}`, here or with --set {key}=VALUE")


def _plain(loc: Iterable[int | str]) -> list[int | str]:
    """Without the tag that a discriminated union puts behind `source`."""
    parts = list(loc)
    if len(parts) > 2 and parts[:2] == ["rig", "source"]:
        del parts[2]
    return parts


def _without(data: dict[str, Any], locations: Sequence[tuple[int | str, ...]]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(data, default=str))
    for location in locations:
        parts = _plain(location)
        table: Any = copy
        for part in parts[:-1]:
            if not isinstance(table, dict) or part not in table:
                break
            if isinstance(table[part], list):
                break
            table = table[part]
        if isinstance(table, dict):
            name = parts[-1] if parts[-1] in table else (parts[-2] if len(parts) > 1 else None)
            table.pop(name, None)
    return copy
