"""Files of JSON lines that another process is writing."""

import json
from pathlib import Path
from typing import Any


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """What every line tells that is there to its end; none where there is no file yet."""
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
