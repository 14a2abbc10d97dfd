"""Which of the three settings files one is: rig, experiment or session."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from bci.config.experiment import Experiment
from bci.config.fault import Fault
from bci.config.rig import Rig
from bci.config.session import Session

_KEYS: dict[str, Collection[str]] = {
    "session": Session.model_fields.keys(),
    "rig": Rig.model_fields.keys() - {"name"},
    "experiment": Experiment.model_fields.keys() - {"name"},
}
_TODO = {
    "session": "name a session file: rig = …, experiment = …, as configs/demo.toml has them",
    "rig": "name a rig file: [source], [board], as configs/rigs/simulated.toml has them",
    "experiment": "name an experiment file: [decoder], [task], as configs/experiments/demo.toml",
}


def wrong_kind(key: str, path: Path, data: dict[str, Any], wanted: str) -> list[Fault]:
    """One fault in place of one for each key, where a file is plainly one of another kind.

    Parameters
    ----------
    key
        Where the file was named.
    path, data
        The file, and what it holds.
    wanted
        `session`, `rig` or `experiment`.
    """
    hits = {kind: len(data.keys() & keys) for kind, keys in _KEYS.items()}
    found = max(hits, key=lambda kind: hits[kind])
    if hits[wanted] or not hits[found]:
        return []
    article = {kind: f"{'an' if kind[0] == 'e' else 'a'} {kind} file" for kind in _KEYS}
    todo = f"this is {article[found]}: {_TODO[wanted]}"
    return [Fault(key, str(path), article[wanted], todo)]
