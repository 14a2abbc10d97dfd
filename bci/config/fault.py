"""A fault of the settings: key, value, what is allowed, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from reprlib import Repr
from typing import Any

_BRIEF = Repr()
_BRIEF.maxstring = _BRIEF.maxother = 140
"""Cuts in the middle: the end of a path is what tells files apart."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the settings.

    Parameters
    ----------
    key
        Dotted key, such as `experiment.task.trial_s`.
    value
        What stands there; None where nothing does.
    allowed
        What may stand there.
    todo
        What the user should do.
    others
        Further keys that the rule involves.
    """

    key: str
    value: Any
    allowed: str
    todo: str
    others: tuple[str, ...] = field(default=())

    @property
    def keys_involved(self) -> set[str]:
        """All keys whose change could mend this."""
        return {self.key, *self.others}

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {_BRIEF.repr(self.value)}"
        end = "" if self.todo.endswith(("?", ".")) else "."
        told = self.allowed.rstrip(".")
        return f"{self.key}{given}: {told}. {self.todo[:1].upper()}{self.todo[1:]}{end}"


class SettingsError(ValueError):
    """All faults of the settings, found before anything started."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
