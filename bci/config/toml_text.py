"""TOML from outside: bounded in size and depth."""

import re
import tomllib
from pathlib import Path
from typing import Any

from bci.config.input_file import read_input

MAX_BYTES = 4_000_000
"""Largest file; an experiment that names 100,000 ROIs has half of it."""
MAX_DEPTH = 32
"""Tables and lists in each other; settings have 6."""
# tomllib takes time with the square of the parts of a key
_PART = r"""(?:(?<![\w-])[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?>{_PART}[ \t]*\.[ \t]*){{{MAX_DEPTH}}}")


class NotToml(ValueError):
    """Text that is not TOML, or is nested too deep; says where."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that somebody else may have written.

    Raises
    ------
    NotToml
        If it is not TOML, or nested too deep.
    UnicodeDecodeError
        If it is not UTF-8.
    OSError
        If it cannot be read, is no regular file, or is too large.
    """
    # editors on Windows may put a byte order mark before the text
    return parse_toml(read_input(path, MAX_BYTES).decode("utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML that somebody else may have written.

    Raises
    ------
    NotToml
        If it is not TOML, or nested too deep.
    """
    too_deep = f"nested more than {MAX_DEPTH} deep"
    if _LONG_KEY.search(text):
        raise NotToml(too_deep)
    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise NotToml(too_deep) from error
    # not a TOMLDecodeError alone: a number of 5,000 digits is a plain ValueError
    except ValueError as error:
        raise NotToml(str(error)) from error
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    if any(isinstance(one, dict | list) for one in level):
        raise NotToml(too_deep)
    return data
