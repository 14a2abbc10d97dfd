"""Bytes that a broken or hostile program may send where a message is expected."""

from collections.abc import Iterator
from typing import Any

import msgspec

DEEP = 100_000

FRAGMENTS = {
    "text that is not UTF-8": b"\xa2\xff\xfe",
    "arrays in arrays": b"\x91" * DEEP,
    "maps in maps": b"\x81\xa1a" * DEEP,
    "maps as keys": b"\x81" * DEEP,
    "array of 4e9 items": b"\xdd\xff\xff\xff\xff",
    "map of 4e9 items": b"\xdf\xff\xff\xff\xff",
    "text of 4e9 bytes": b"\xdb\xff\xff\xff\xff",
    "bytes of 4e9": b"\xc6\xff\xff\xff\xff",
    "extension": b"\xd4\x01\x00",
    "extension of 4e9 bytes": b"\xc9\xff\xff\xff\xff\x01",
    "time out of range": b"\xc7\x0c\xff" + b"\xff" * 12,
    "largest integer": b"\xcf" + b"\xff" * 8,
    "smallest integer": b"\xd3\x80" + b"\x00" * 7,
    "NaN": b"\xcb\x7f\xf8" + b"\x00" * 6,
    "infinity": b"\xcb\x7f\xf0" + b"\x00" * 6,
    "unused code": b"\xc1",
    "nothing": b"\xc0",
    "long text": msgspec.msgpack.encode("x" * 200_000),
    "long list": msgspec.msgpack.encode(["x"] * 150_000),
}
"""Name -> MessagePack, or what looks like its beginning."""


def hostile(valid: msgspec.Struct) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of messages that are near a valid one: any part of it replaced, cut or added.

    What is valid by chance, such as a NaN where one is allowed, is among them.
    """
    tree = msgspec.to_builtins(valid, builtin_types=(bytes,))
    encode = msgspec.msgpack.encode
    for name, fragment in FRAGMENTS.items():
        yield name, fragment
        for place, changed in _replaced(tree, msgspec.Raw(fragment)):
            yield f"{name} at {place}", encode(changed)
        if isinstance(tree, dict):
            yield f"{name} at a key of its own", encode({**tree, "?": msgspec.Raw(fragment)})
    whole = encode(tree)
    for n_bytes in range(len(whole)):
        yield f"cut after {n_bytes} bytes", whole[:n_bytes]
    yield "followed by another", whole * 2


def _replaced(tree: Any, by: msgspec.Raw) -> Iterator[tuple[str, Any]]:
    """Copies of a tree, each with one of its leaves or branches replaced."""
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, part in parts:
        copy = dict(tree) if isinstance(tree, dict) else list(tree)
        copy[key] = by
        yield f"/{key}", copy
        if isinstance(part, dict | list | tuple):
            for place, changed in _replaced(part, by):
                copy = dict(tree) if isinstance(tree, dict) else list(tree)
                copy[key] = changed
                yield f"/{key}{place}", copy
