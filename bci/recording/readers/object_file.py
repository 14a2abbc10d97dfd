"""`.npy` files that hold Python objects, such as suite2p's stat and ops, from other people."""

import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
import numpy as np
import psutil

from bci.config.input_file import open_input
from bci.recording.readers import plain_pickle
from bci.recording.readers.arrays import read_header

MAX_FILE_BYTES = 1 << 29
"""Largest such file; those of 20,000 ROIs and 100,000 frames have about a tenth."""
BASE_BYTES = 1 << 28
"""Memory of the process before it reads anything, and to spare."""
BYTES_PER_BYTE = 12
"""Memory for one byte of the file."""
BASE_CPU_S = 20.0
"""Processor time of a small file, on a slow computer."""
CPU_S_PER_MB = 0.5
"""The same for each MB, some ten times what it takes."""
MAX_WAIT_S = 600.0
"""By the clock, for a process that waits: it has no reason to."""
_TURN_S = 0.05


class ArrayText(msgspec.Struct, frozen=True):
    """What the answer says of an array of numbers.

    Parameters
    ----------
    dtype
        Byte order, kind and size, such as `<f4`.
    shape
        Empty for a single number.
    fortran
        True if the first index runs fastest.
    start
        Where its bytes begin among those of all arrays.
    """

    dtype: Annotated[str, msgspec.Meta(pattern="^[<>=|](?:b1|[iu][1248]|f[248])$")]
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(max_length=32)]
    fortran: bool
    start: Annotated[int, msgspec.Meta(ge=0)]


class AnswerText(msgspec.Struct, frozen=True):
    """The text of the answer.

    Parameters
    ----------
    records
        One dict for each of the file, with the wanted values that are plain.
    error
        Why there are none; empty if there are.
    """

    records: list[dict[str, bool | str | ArrayText | None]] = []
    error: str = ""


_TEXT = msgspec.json.Decoder(AnswerText)


class BeyondLimits(Exception):
    """The process takes more than it may have."""


def load_fields(path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Named values of the dicts in an `.npy` file of objects: numbers, texts, arrays of numbers.

    Such a file is a pickle, which can carry code, and recordings come from other people. So it is
    read by a process of its own, which looks up no name, has little memory and time, and hands
    back the wanted values as text and bytes. If it crashes, this one does not.

    Parameters
    ----------
    path
        Of the file.
    names
        Keys of the values that are wanted. One that is not there, or is not plain, is left out.

    Returns
    -------
    list
        One dict for each in the file; a single one if the file holds a single dict.

    Raises
    ------
    ValueError
        If it holds no such dicts, or cannot be read within the limits.
    OSError
        If it cannot be opened.
    """
    with open_input(path, MAX_FILE_BYTES) as file:
        header = read_header(file)
        if not header.dtype.hasobject:
            raise ValueError(f"values of type {header.dtype}, not objects")
        return _unpickle(file, names)


@dataclass(frozen=True)
class Limits:
    """What the process that reads a file may take.

    Parameters
    ----------
    memory_bytes
        Memory.
    cpu_s
        Processor time, seconds.
    """

    memory_bytes: int
    cpu_s: float


def _unpickle(file: BinaryIO, names: Sequence[str]) -> list[dict[str, Any]]:
    """Let another process read the rest of the file, which it inherits with its position."""
    size = os.fstat(file.fileno()).st_size
    limits = Limits(BASE_BYTES + BYTES_PER_BYTE * size, BASE_CPU_S + CPU_S_PER_MB * size / 1e6)
    # a number that is 1 byte of a list in the file is 8 in the answer
    answer_bytes = (1 << 16) + 8 * size
    # -I and -S: neither the current folder, which may be that of the file, nor what the
    # environment names is a place for modules
    python = [sys.executable, "-I", "-S", str(plain_pickle.__file__)]
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            [*python, str(limits.memory_bytes), str(answer_bytes), *names],
            stdin=file,
            stdout=answer,
            stderr=subprocess.DEVNULL,
        )
        try:
            code = watch(process, limits)
        except BeyondLimits as error:
            raise ValueError(f"objects that cannot be read: {error}") from error
        finally:
            process.kill()
            process.wait()
        if code != 0:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise ValueError(f"objects that cannot be read: they crash their reader ({how})")
        if os.fstat(answer.fileno()).st_size > 4 * answer_bytes:
            raise ValueError("objects that cannot be read: their values have no end")
        answer.seek(0)
        return values_of(answer.read())


def values_of(answer: bytes) -> list[dict[str, Any]]:
    """The values in an answer of `plain_pickle`, with NumPy's types.

    Raises
    ------
    ValueError
        If the answer says why there are none, or is no answer.
    """
    start = plain_pickle.LENGTH.size
    try:
        end = start + plain_pickle.LENGTH.unpack_from(answer)[0]
        text = _TEXT.decode(answer[start:end])
    except (msgspec.MsgspecError, ValueError, RecursionError, struct.error) as error:
        raise ValueError(f"objects that cannot be read: no answer ({error})") from error
    if text.error:
        raise ValueError(f"objects that cannot be read: {text.error}")
    arrays = memoryview(answer)[end:]
    return [
        {
            name: _array(value, arrays) if isinstance(value, ArrayText) else value
            for name, value in record.items()
        }
        for record in text.records
    ]


def _array(text: ArrayText, data: memoryview) -> Any:
    """The array, or the single number; `ValueError` if there are too few bytes for it."""
    order: Literal["F", "C"] = "F" if text.fortran else "C"
    try:
        array = np.ndarray(text.shape, text.dtype, data, text.start, order=order)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"objects that cannot be read: {error}") from error
    return array if text.shape else array.item()


def watch(process: "subprocess.Popen[bytes]", limits: Limits) -> int:
    """Wait for the exit code of a process that stays within its limits.

    Not every system holds the limit of memory that the process sets itself.

    Raises
    ------
    BeyondLimits
        If it does not; it still runs.
    """
    until = time.monotonic() + MAX_WAIT_S
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_TURN_S)
        try:
            seen = psutil.Process(process.pid)
            times, held_bytes = seen.cpu_times(), seen.memory_info().rss
        except psutil.Error:
            # it has just ended
            continue
        if held_bytes > limits.memory_bytes:
            raise BeyondLimits(f"more than {limits.memory_bytes / 1e6:,.0f} MB of memory")
        if times.user + times.system > limits.cpu_s or time.monotonic() > until:
            raise BeyondLimits(f"more than {limits.cpu_s:g} s")
