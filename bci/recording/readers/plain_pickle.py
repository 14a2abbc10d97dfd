"""Object arrays of NumPy files, read without running what they might carry."""

import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

# What NumPy itself needs to rebuild arrays and scalars; any other class could run code.
ALLOWED = {
    (module, name)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "scalar")
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"), ("builtins", "set")}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED or (module == "numpy.dtypes"):
            return super().find_class(module, name)
        return _Unread


class _Unread:
    """Stands for an object of a class that is not read."""

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def load_objects(path: Path) -> Any:
    """Content of an `.npy` that may hold Python objects, such as suite2p's stat and ops.

    Pickles can carry code, and recordings come from other people. So only lists, dicts, numbers,
    strings and arrays are rebuilt; anything else becomes an inert placeholder.

    Raises
    ------
    ValueError
        Where it is no `.npy` file or cannot be read.
    """
    with path.open("rb") as file:
        layout: Any = np.lib.format
        version = layout.read_magic(file)
        first = version == (1, 0)
        read = layout.read_array_header_1_0 if first else layout.read_array_header_2_0
        shape, _, dtype = read(file)
        if not dtype.hasobject:
            file.seek(0)
            return np.load(file, allow_pickle=False)
        array = _unpickle(file)
    return array.item() if shape == () else array


def _unpickle(file: BinaryIO) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(file.read())).load()
    except (pickle.UnpicklingError, EOFError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"objects that cannot be read: {error}") from error
