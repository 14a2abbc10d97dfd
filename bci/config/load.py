"""Settings from TOML: files that name files, overrides, faults that say what to do."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bci.config.check import faults_of
from bci.config.explain import fault_of
from bci.config.fault import Fault, SettingsError
from bci.config.file_kind import wrong_kind
from bci.config.input_file import InputRefused
from bci.config.mend import mended, strict_session
from bci.config.rig import Rig
from bci.config.session import Session
from bci.config.toml_text import MAX_DEPTH, NotToml, parse_toml, read_toml

Rules = Callable[[Session], list[Fault]]

_PARTS = ("rig", "experiment")
MAX_FAULTS = 100
"""Faults of single keys that are told at once."""
PATHS = (
    "rig.source.path",
    "rig.stream.keys",
    "experiment.session_type.recording",
    "experiment.session_type.same_rate_as",
)
"""Keys whose value is the path of a recording or of a key file."""


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
        if not text.isprintable():
            raise SettingsError([Fault("--set", text, "printable text", "type it again")])
        try:
            return cls(key.strip(), parse_toml(f"value = {value}")["value"])
        except NotToml:
            return cls(key.strip(), value.strip())


def load_session(
    path: Path,
    overrides: Sequence[Override] = (),
    recording: Path | None = None,
    outside: Rules = lambda _: [],
) -> Session:
    """Read, resolve and validate a session file; everything wrong is reported at once.

    Parameters
    ----------
    path
        A session file. `rig` and `experiment` are paths of TOML files relative to it, or tables.
        The path of a recording or key file is relative to the file that it stands in.
    overrides
        Applied in order after the files are read; `rig` and `experiment` may name other files.
        Paths in them are relative to the working directory.
    recording
        Played in place of the rig's source. A rig that plays recordings keeps its other settings.
    outside
        What this computer has to say against the settings: the source, the board. Asked beside
        any other fault.

    Raises
    ------
    SettingsError
        With every fault found, never the first alone.
    """
    data, unread = read_tree(path, overrides, recording)
    faults = list(unread)
    session, more = validate_session(data, lambda tried: [*faults_of(tried), *outside(tried)])
    # What stands in a file that could not be read is not missing.
    unread_keys = {fault.key for fault in unread}
    faults += [fault for fault in more if not _touches(fault, unread_keys)]
    if faults or session is None:
        raise SettingsError(faults)
    return session


def load_rig(path: Path, overrides: Sequence[Override] = ()) -> Rig:
    """The rig of a rig file or of a session file, for what needs no experiment.

    Raises
    ------
    SettingsError
        With every fault found.
    """
    data, faults = _read(path, "rig file")
    if "rig" in data:
        return load_session(path, overrides).rig
    faults += wrong_kind("rig file", path, data, "rig")
    if faults:
        raise SettingsError(faults)
    whole = {"rig": data}
    faults = _read_valve(data, path.parent)
    for key in PATHS:
        _make_absolute(whole, key, path.parent)
    for override in overrides:
        faults += _set(whole, override)
    try:
        rig = Rig.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        faults += _key_faults(error, "rig")
        raise SettingsError(faults) from error
    if faults:
        raise SettingsError(faults)
    return rig


def validate_session(
    data: dict[str, Any], rules: Rules = faults_of
) -> tuple[Session | None, list[Fault]]:
    """Validate resolved data; rules between keys are tried even where single keys are wrong."""
    try:
        session = strict_session(data)
    except ValidationError as error:
        faults = _key_faults(error)
        if error.error_count() > MAX_FAULTS:
            # nobody meant this file: the rules between its keys say nothing
            return None, faults
        partial, replaced = mended(data)
        if partial is not None:
            faults += [fault for fault in rules(partial) if not _touches(fault, replaced)]
        return None, faults
    return session, rules(session)


def _key_faults(error: ValidationError, *within: str) -> list[Fault]:
    """The faults of single keys, each once, and at most `MAX_FAULTS`."""
    faults = _unique(
        fault_of({**detail, "loc": (*within, *detail["loc"])})
        for detail in error.errors()[:MAX_FAULTS]
    )
    if (more := error.error_count() - MAX_FAULTS) > 0:
        faults.append(Fault("and so on", None, f"{more:,} more faults", "mend these first"))
    return faults


def dump_session(session: Session) -> dict[str, Any]:
    """Plain JSON-able data from which `validate_session` makes the same session."""
    return session.model_dump(mode="json", exclude_none=True)


def settings_hash(session: Session) -> str:
    """SHA-256 of the resolved settings, hexadecimal; equal settings give equal hashes."""
    text = json.dumps(dump_session(session), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_tree(
    path: Path, overrides: Sequence[Override] = (), recording: Path | None = None
) -> tuple[dict[str, Any], list[Fault]]:
    """Read a session file and the files that it names, without a look at what they say.

    Parameters
    ----------
    path, overrides, recording
        As in `load_session`.

    Returns
    -------
    data
        One tree, `rig` and `experiment` in it as tables.
    faults
        Of the named files that could not be read, and of overrides that fit nowhere.

    Raises
    ------
    SettingsError
        Where the session file itself cannot be read.
    """
    data, faults = _read(path, "session file")
    faults += wrong_kind("session file", path, data, "session")
    if faults:
        raise SettingsError(faults)
    for override in overrides:
        if _names_a_file(override):
            # Typed in a shell, so relative to where it was typed.
            data[override.key] = str(Path(override.value).absolute())
    folders = dict.fromkeys(_PARTS, path.parent)
    for part in _PARTS:
        value = data.get(part)
        if isinstance(value, str):
            table, more = _read(path.parent / value, part)
            faults += [*more, *wrong_kind(part, path.parent / value, table, part)]
            data[part] = table
            folders[part] = (path.parent / value).parent
    faults += _read_valve(data.get("rig"), folders["rig"])
    for key in PATHS:
        _make_absolute(data, key, folders[key.partition(".")[0]])
    if recording is not None:
        _play(data, recording)
    for override in overrides:
        if not _names_a_file(override):
            faults += _set(data, override)
    return data, faults


def _read_valve(rig: Any, folder: Path) -> list[Fault]:
    """Put a valve calibration, a file that `bci reward calibrate` wrote, where the rig names it."""
    board = rig.get("board") if isinstance(rig, dict) else None
    if not isinstance(board, dict) or not isinstance(board.get("valve"), str):
        return []
    board["valve"], faults = _read(folder / board["valve"], "rig.board.valve")
    return faults


def _names_a_file(override: Override) -> bool:
    return override.key in _PARTS and isinstance(override.value, str)


def _play(data: dict[str, Any], recording: Path) -> None:
    rig = data.get("rig")
    if isinstance(rig, dict):
        source = rig.get("source")
        own = source if isinstance(source, dict) and source.get("kind") == "recording" else {}
        rig["source"] = {**own, "kind": "recording", "path": str(recording.resolve())}


def _make_absolute(data: dict[str, Any], key: str, folder: Path) -> None:
    """Make the path of a recording, relative to the file that it stands in, absolute."""
    *parents, last = key.split(".")
    table: Any = data
    for parent in parents:
        table = table.get(parent) if isinstance(table, dict) else None
    if isinstance(table, dict) and isinstance(table.get(last), str):
        table[last] = str((folder / table[last]).resolve())


def _read(path: Path, key: str) -> tuple[dict[str, Any], list[Fault]]:
    try:
        return read_toml(path), []
    except FileNotFoundError:
        return {}, [Fault(key, str(path), "a TOML file", "no such file: check the path")]
    except InputRefused as error:
        todo = (
            "this is a folder: name the file in it" if path.is_dir() else f"{error}: name another"
        )
        return {}, [Fault(key, str(path), "a TOML file", todo)]
    except UnicodeDecodeError as error:
        return {}, [Fault(key, str(path), "text in UTF-8", f"save it as UTF-8: {error}")]
    except OSError as error:
        todo = f"the system says: {error.strerror or error}"
        return {}, [Fault(key, str(path), "a readable TOML file", todo)]
    except NotToml as error:
        hint = "; in paths write / or single quotes" if "\\" in str(error) else ""
        return {}, [Fault(key, str(path), "TOML", f"mend the line: {error}{hint}")]


def _set(data: dict[str, Any], override: Override) -> list[Fault]:
    *parents, last = override.key.split(".")
    if len(parents) > MAX_DEPTH:
        return [Fault("--set", override.key, "a key of the settings", "see docs/settings.md")]
    table = data
    for parent in parents:
        child = table.setdefault(parent, {})
        if not isinstance(child, dict):
            return [
                Fault(override.key, override.value, "a key", f"`{parent}` is a value, not a table")
            ]
        table = child
    value = override.value
    if override.key in PATHS and isinstance(value, str):
        value = str(Path(value).resolve())
    table[last] = value
    return []


def _within(key: str, tables: Collection[str]) -> bool:
    return any(key == table or key.startswith(f"{table}.") for table in tables)


def _touches(fault: Fault, tables: Collection[str]) -> bool:
    return any(_within(key, tables) for key in fault.keys_involved)


def _unique(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once: every wrong item of one list makes the same."""
    return list({str(fault): fault for fault in faults}.values())
