"""Settings with their wrong keys replaced, so that the rules between the others can be tried."""

import copy
import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from bci.config.explain import table_path
from bci.config.session import Session

# The least that is valid; what stands here for a wrong key is never reported.
_STAND_INS: dict[str, Any] = {
    "rig": {"name": "?", "source": {"kind": "simulated"}, "board": {"kind": "simulated"}},
    "experiment": {"name": "?", "decoder": {"p_plus": ["+"], "p_minus": ["-"]}},
}
_ROUNDS = 20


def strict_session(data: dict[str, Any]) -> Session:
    """Validate without conversions: `true` and `"10"` are no numbers, `"yes"` is no truth value.

    Raises
    ------
    pydantic.ValidationError
        With every fault of a single key.
    """
    # Through JSON, because there a list is a tuple and text a path even when strict.
    return Session.model_validate_json(json.dumps(data, default=str), strict=True)


def mended(data: dict[str, Any]) -> tuple[Session | None, set[str]]:
    """Make a session of the keys that are right.

    Parameters
    ----------
    data
        Resolved settings, left as they are.

    Returns
    -------
    session
        None where no session comes of it.
    replaced
        Dotted keys, each of a value or a whole table, that do not hold what the user wrote.
    """
    data = copy.deepcopy(data)
    replaced: set[str] = set()
    for _ in range(_ROUNDS):
        try:
            return strict_session(data), replaced
        except ValidationError as error:
            for detail in error.errors():
                if detail["loc"]:
                    replaced.add(_mend(data, table_path(detail["loc"])))
    return None, replaced


def _mend(data: dict[str, Any], path: Sequence[str]) -> str:
    *parents, last = path
    table: Any = data
    stand_in: Any = _STAND_INS
    for parent in parents:
        table = table.get(parent) if isinstance(table, dict) else None
        stand_in = stand_in.get(parent) if isinstance(stand_in, dict) else None
    if isinstance(table, dict) and isinstance(stand_in, dict) and last in stand_in:
        table[last] = copy.deepcopy(stand_in[last])
    elif isinstance(table, dict) and last in table:
        del table[last]
    elif parents:
        return _mend(data, parents)
    return ".".join(path)
