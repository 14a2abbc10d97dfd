"""Traces in NumPy files: `.npy`, and `.npz` with a few more facts."""

import lzma
import math
import os
import struct
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
import psutil
from numpy.typing import NDArray

from bci.config.input_file import open_input
from bci.core.frame_header import MAX_ROIS
from bci.recording.readers.traces import (
    RecordingError,
    Traces,
    deal,
    known_rate,
    plain_labels,
)

SHAPE_TODO = "save an array of n_rois × n_frames"
MAX_ARRAYS = 1000
"""Arrays of an `.npz` that are looked at."""
NAMES_SHOWN = 12
# what NumPy raises for a header that somebody made up
_BAD_HEADER = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    MemoryError,
    EOFError,
    SyntaxError,
    TokenError,
)
_BAD_ZIP = (
    BadZipFile,
    ValueError,
    KeyError,
    OverflowError,
    RuntimeError,
    EOFError,
    OSError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)


class Header(NamedTuple):
    """What the header of an `.npy` says."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def n_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """Read the header of an `.npy`; the file then stands at the first value.

    Raises
    ------
    ValueError
        If it is none, or describes no array.
    """
    layout: Any = np.lib.format
    try:
        first = layout.read_magic(file) == (1, 0)
        read = layout.read_array_header_1_0 if first else layout.read_array_header_2_0
        header = Header(*read(file))
    except _BAD_HEADER as error:
        raise ValueError(f"{error or type(error).__name__}") from error
    counts = all(type(count) is int and count >= 0 for count in header.shape)
    if len(header.shape) > 32 or not counts:
        raise ValueError(f"an array of shape {header.shape}")
    return header


def open_npy(path: Path) -> NDArray[Any]:
    """Map the values of an `.npy` file into memory; nothing in it is run, or read.

    Raises
    ------
    ValueError
        If it is no `.npy`, holds Python objects, or is shorter than its header says.
    OSError
        If it cannot be opened.
    """
    with open_input(path) as file:
        header = read_header(file)
        if header.dtype.hasobject:
            raise ValueError("Python objects, not numbers")
        start, size = file.tell(), os.fstat(file.fileno()).st_size
        if size - start < header.n_bytes:
            raise ValueError(
                f"shape {header.shape} of {header.dtype} needs {header.n_bytes:,} bytes, "
                f"there are {size - start:,}"
            )
        order: Any = "F" if header.fortran else "C"
        if not header.n_bytes:
            return np.zeros(header.shape, header.dtype, order)
        return np.memmap(file, header.dtype, "r", start, header.shape, order)


def read_npy(path: Path, rate_hz: float | None, n_planes: int) -> Traces:
    """Traces of a `.npy` file, n_rois × n_frames, memory-mapped.

    Labels are roi0000, roi0001, … by row; the rate comes from the settings. Rows are dealt to the
    planes in turn, and a column is one turn of all planes.

    Raises
    ------
    RecordingError
        If it is no such array.
    """
    try:
        array = open_npy(path)
    except ValueError as error:
        raise RecordingError(path, f"no .npy of numbers ({error})", SHAPE_TODO) from error
    fluorescence = real_matrix(path, array)
    labels = plain_labels(len(fluorescence))
    return deal(path, fluorescence, labels, known_rate(path, None, rate_hz), n_planes)


def read_npz(path: Path, rate_hz: float | None, n_planes: int) -> Traces:
    """Traces of an `.npz` file: the array `traces` or `F`, or the only matrix in it.

    `labels` (n_rois strings) and `rate_hz` (over all planes) are read if they are there.

    Raises
    ------
    RecordingError
        If it holds no such array, several to choose from, or more than fits into memory.
    """
    try:
        with open_input(path) as file, ZipFile(file) as archive:
            members = {
                member.filename.removesuffix(".npy"): member
                for member in archive.infolist()[:MAX_ARRAYS]
                if member.filename.endswith(".npy")
            }
            headers = {name: _header_in(archive, member) for name, member in members.items()}
            name = _traces_name(path, headers)
            wanted = [one for one in (name, "labels", "rate_hz") if one in members]
            arrays = {one: _array_in(archive, members[one]) for one in wanted}
    except RecordingError:
        raise
    except MemoryError as error:
        todo = "save the traces as .npy, which stay on the disk"
        raise RecordingError(path, f"larger than memory: {error}", todo) from error
    except _BAD_ZIP as error:
        raise RecordingError(path, f"no .npz of plain arrays ({error})", SHAPE_TODO) from error
    fluorescence = real_matrix(path, arrays[name])
    labels = plain_labels(len(fluorescence))
    if "labels" in arrays:
        labels = tuple(str(label) for label in arrays["labels"].ravel())
    return deal(path, fluorescence, labels, known_rate(path, _rate_in(arrays), rate_hz), n_planes)


def _header_in(archive: ZipFile, member: ZipInfo) -> Header:
    with archive.open(member) as file:
        header = read_header(file)
        if header.dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects")
        if file.tell() + header.n_bytes > member.file_size:
            raise ValueError(
                f"{member.filename} of shape {header.shape} needs {header.n_bytes:,} bytes, "
                f"there are {member.file_size - file.tell():,}"
            )
    return header


def _array_in(archive: ZipFile, member: ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        header = read_header(file)
        free = psutil.virtual_memory().available
        # the bytes, and what is played
        if 2 * header.n_bytes > free:
            raise MemoryError(f"{header.n_bytes / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
        data = file.read(header.n_bytes)
    if len(data) < header.n_bytes:
        raise ValueError(f"{member.filename} ends early")
    order: Any = "F" if header.fortran else "C"
    return np.ndarray(header.shape, header.dtype, data, order=order)


def _rate_in(arrays: dict[str, NDArray[Any]]) -> float | None:
    rate = arrays.get("rate_hz")
    if rate is None or not rate.size or rate.dtype.kind not in "fiu":
        return None
    return float(rate.ravel()[0])


def real_matrix(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, if it can be traces.

    Raises
    ------
    RecordingError
        Where it is not two-dimensional or not of real numbers.
    """
    if array.ndim != 2:
        raise RecordingError(path, f"an array of shape {array.shape}, not 2-D", SHAPE_TODO)
    if len(array) > MAX_ROIS:
        raise RecordingError(path, f"{len(array):,} ROIs, at most {MAX_ROIS:,}", SHAPE_TODO)
    if array.dtype.kind not in "fiu":
        raise RecordingError(path, f"values of type {array.dtype}, not real numbers", SHAPE_TODO)
    return array


def _traces_name(path: Path, headers: dict[str, Header]) -> str:
    for name in ("traces", "F"):
        if name in headers:
            return name
    matrices = [name for name, header in headers.items() if len(header.shape) == 2]
    if len(matrices) != 1:
        shown = ", ".join(sorted(headers)[:NAMES_SHOWN]) or "nothing"
        raise RecordingError(
            path,
            f"no array `traces` or `F`, and {len(matrices)} others that are 2-D (it holds {shown})",
            "name the traces `traces`, n_rois × n_frames",
        )
    return matrices[0]
