"""Named plain values of a pickle from elsewhere, read by a process of its own.

A pickle is a program. This one may build dicts, lists, texts, numbers and arrays of numbers, and
nothing else: every name that it asks for is answered by a class of this module, so it reaches
no function of Python or NumPy, not even NumPy's own, which crash on states that are made up.
What is left, memory, time and a C stack, is limited by `object_file`, which starts this process.

It runs as a script, with the standard library alone: a bare interpreter starts in a fifth of the
time, and holds nothing else. The answer is the length of a JSON text, the text, and the bytes of
the arrays that the text describes.
"""

import io
import json
import math
import pickle
import re
import struct
import sys
from typing import Any, NoReturn

_NUMBERS = re.compile(r"[<>=|](?:b1|[iu][1248]|f[248])")
LENGTH = struct.Struct("<Q")


class Unread:
    """Stands for an object of any other class: takes everything, keeps nothing."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, value: object) -> None:
        """Take one item of a list."""

    def extend(self, values: object) -> None:
        """Take items of a list."""

    def add(self, value: object) -> None:
        """Take one item of a set."""


class _Numbers:
    """An array of numbers as bytes."""

    def __init__(self, dtype: str, shape: tuple[int, ...], fortran: bool, data: bytes) -> None:
        self.dtype, self.shape, self.fortran, self.data = dtype, shape, fortran, data


class _Dtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code if isinstance(code, str) else ""
        self.order = "|"

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), "<" | ">" | "=" | "|" as order, None, None, *_):
                self.order = str(order)
            case _:
                # with fields or a base: no plain number
                self.code = ""

    @property
    def name(self) -> str:
        return self.order + self.code


class _Array:
    """Stands for `numpy.ndarray`, for what rebuilds one, and for NumPy's scalars."""

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    @property
    def numbers(self) -> "_Numbers | None":
        """The array; None if it is not of numbers."""
        match self.state:
            case (int(), tuple() as shape, _Dtype() as dtype, bool() as fortran, bytes() as data):
                name, counts = dtype.name, _counts(shape)
                if _NUMBERS.fullmatch(name) and len(data) == math.prod(counts) * int(name[2:]):
                    return _Numbers(name, counts, fortran, data)
        return None

    @property
    def objects(self) -> list[Any]:
        """The items of a list of objects, or the only object."""
        match self.state:
            case (int(), tuple() as shape, _Dtype(code="O8"), bool(), list() as objects):
                if len(shape) < 2 and len(objects) == math.prod(_counts(shape)):
                    return objects
        raise pickle.UnpicklingError("no list of objects")


def _scalar(dtype: object = None, data: object = None, *_: object) -> _Array:
    """Stand for `numpy.core.multiarray.scalar`."""
    made = _Array()
    made.state = (1, (), dtype, False, data)
    return made


def _encode(text: object = "", encoding: object = "", *_: object) -> bytes:
    """Stand for `_codecs.encode`, by which old protocols write bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes in an encoding that NumPy does not write")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """Stand for `bytes`, which protocol 2 calls for an empty array."""
    return b""


# The names that NumPy writes for arrays of numbers and of objects. None is looked up anywhere.
_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if "." in name:
            raise pickle.UnpicklingError(f"the name {name[:80]!r} has a dot: no class has")
        return _NAMES.get((module, name), Unread)

    def persistent_load(self, _: object) -> NoReturn:
        raise pickle.UnpicklingError("objects that are kept outside of the file")


def answer(pickled: bytes, names: list[str], max_bytes: int) -> bytes:
    """Read named values of the dict, or of each dict, in a pickled array of objects.

    Parameters
    ----------
    pickled
        The pickle.
    names
        Keys of the values that are wanted; one that is not there, or is not plain, is left out.
    max_bytes
        Of the values together: a thousand dicts may refer to one array.
    """
    arrays: list[bytes] = []
    try:
        made = _PlainUnpickler(io.BytesIO(pickled)).load()
        records = _records(made, names, _Arrays(arrays, max_bytes))
        text = json.dumps({"records": records})
    # Whatever a pickle can raise, it can be made to raise: the file is refused for all of it.
    except Exception as error:  # noqa: BLE001
        arrays.clear()
        words = f"{type(error).__name__}: {str(error)[:200]}".removesuffix(": ")
        text = json.dumps({"error": words})
    return LENGTH.pack(len(text)) + text.encode() + b"".join(arrays)


class _Arrays:
    """The bytes of the arrays that are handed back, up to a number."""

    def __init__(self, parts: list[bytes], max_bytes: int) -> None:
        self._parts = parts
        self._left = max_bytes
        self._start = 0

    def count(self, n_bytes: int) -> None:
        self._left -= n_bytes
        if self._left < 0:
            raise pickle.UnpicklingError("values that are larger together than the file")

    def add(self, array: _Numbers) -> dict[str, Any]:
        self.count(len(array.data) + 100)
        start = self._start
        self._start += len(array.data)
        self._parts.append(array.data)
        return {
            "dtype": array.dtype,
            "shape": array.shape,
            "fortran": array.fortran,
            "start": start,
        }


def _records(made: object, names: list[str], arrays: _Arrays) -> list[dict[str, Any]]:
    if not isinstance(made, _Array):
        raise pickle.UnpicklingError("no array")
    records = []
    for item in made.objects:
        if not isinstance(item, dict):
            raise pickle.UnpicklingError(f"{type(item).__name__} in place of a dict")
        arrays.count(8)
        values = {name: _plain(item[name], arrays) for name in names if name in item}
        records.append({name: value for name, value in values.items() if value is not Unread})
    return records


def _plain(value: Any, arrays: _Arrays) -> Any:
    """The value as JSON has it, or the class `Unread`."""
    match value:
        case _Array():
            return Unread if (numbers := value.numbers) is None else arrays.add(numbers)
        case None | bool():
            return value
        case str():
            arrays.count(6 * len(value))
            return value
        # JSON has neither NaN nor all digits of an integer
        case float():
            return arrays.add(_Numbers("<f8", (), False, struct.pack("<d", value)))
        case int() if _fits(value):
            return arrays.add(_Numbers("<i8", (), False, struct.pack("<q", value)))
        case list() | tuple() if all(map(_is_number, value)):
            kind = "d" if any(isinstance(one, float) for one in value) else "q"
            data = struct.pack(f"<{len(value)}{kind}", *value)
            return arrays.add(_Numbers("<f8" if kind == "d" else "<i8", (len(value),), False, data))
    return Unread


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and _fits(value))


def _fits(value: int) -> bool:
    return -(1 << 63) <= value < 1 << 63


def _counts(shape: tuple[object, ...]) -> tuple[int, ...]:
    found = tuple(count for count in shape if isinstance(count, int) and 0 <= count < 1 << 40)
    if len(found) != len(shape) or len(found) > 32:
        raise pickle.UnpicklingError(f"the shape {str(shape)[:80]}")
    return found


def _limit_self(memory_bytes: int) -> None:
    if sys.platform == "win32":
        # the process that started this one watches it
        return
    import resource

    # a crash leaves no core in the current folder
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    except (ValueError, OSError):
        # macOS refuses it: again the process that started this one watches it
        return


def main(memory_bytes: int, answer_bytes: int, names: list[str]) -> None:
    """Read the pickle at the standard input, write the answer to the standard output."""
    _limit_self(memory_bytes)
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read(), names, answer_bytes))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
