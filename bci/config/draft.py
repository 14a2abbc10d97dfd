"""Settings while somebody writes them: right or wrong, with a way back."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from bci.config.check import faults_of
from bci.config.fault import Fault
from bci.config.load import Override, Rules, dump_session, read_tree, validate_session
from bci.config.session import Session

STEPS_KEPT = 200


class Draft:
    """The tree of a session file, of which single keys are changed, removed and brought back.

    What it holds is what a file would say: a key that is absent has its default.

    Parameters
    ----------
    values
        As read from TOML, `rig` and `experiment` as tables.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values: dict[str, Any] = copy.deepcopy(dict(values))
        self._start = copy.deepcopy(self._values)
        self._past: list[dict[str, Any]] = []
        self._future: list[dict[str, Any]] = []
        self._joined: str | None = None
        self.revision = 0

    @classmethod
    def read(
        cls, path: Path, overrides: Sequence[Override] = (), recording: Path | None = None
    ) -> tuple["Draft", list[Fault]]:
        """A session file as it stands, wrong values included, and what could not be read.

        Parameters
        ----------
        path, overrides, recording
            As in `load_session`.

        Raises
        ------
        SettingsError
            Where the session file itself cannot be read.
        """
        values, faults = read_tree(path, overrides, recording)
        return cls(values), faults

    @classmethod
    def of(cls, session: Session) -> "Draft":
        """All settings of a session, its defaults written out."""
        return cls(dump_session(session))

    @property
    def values(self) -> dict[str, Any]:
        """A copy of the tree."""
        return copy.deepcopy(self._values)

    @property
    def changed(self) -> bool:
        """True where it differs from what it began with."""
        return self._values != self._start

    @property
    def can_undo(self) -> bool:
        """True where there is a step to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """True where a step was taken back."""
        return bool(self._future)

    def get(self, key: str) -> Any:
        """What is written under a dotted key; None: nothing is."""
        found: Any = self._values
        for part in key.split("."):
            if not isinstance(found, dict) or part not in found:
                return None
            found = found[part]
        return found

    def put(self, key: str, value: Any) -> None:
        """Write a value; None removes the key. Values typed in a row are one step to undo."""
        if self.get(key) == value and type(self.get(key)) is type(value):
            return
        if self._joined != key:
            self._past = [*self._past[-STEPS_KEPT + 1 :], copy.deepcopy(self._values)]
        self._joined = key
        self._future = []
        *parents, last = key.split(".")
        table = self._values
        for part in parents:
            inner = table.get(part)
            if not isinstance(inner, dict):
                inner = table[part] = {}
            table = inner
        if value is None:
            table.pop(last, None)
        else:
            table[last] = copy.deepcopy(value)
        self.revision += 1

    def reset(self, key: str) -> None:
        """Remove a key, as a step of its own."""
        self._joined = None
        self.put(key, None)
        self._joined = None

    def undo(self) -> None:
        """Take the last step back; nothing where there is none."""
        self._move(self._past, self._future)

    def redo(self) -> None:
        """Take the step again that was taken back last; nothing where there is none."""
        self._move(self._future, self._past)

    def check(self, rules: Rules = faults_of) -> tuple[Session | None, list[Fault]]:
        """The session that it makes, None where it makes none, and everything wrong with it."""
        return validate_session(self._values, rules)

    def save(self, path: Path) -> None:
        """Write it as one session file, rig and experiment in it.

        Raises
        ------
        OSError
            Where the file cannot be written.
        """
        path.write_text(tomli_w.dumps(self._values), "utf-8", newline="\n")
        self._start = copy.deepcopy(self._values)

    def _move(self, source: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
        if source:
            target.append(self._values)
            self._values = source.pop()
            self._joined = None
            self.revision += 1
