"""Traces in NumPy files: `.npy`, and `.npz` with a few more facts."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bci.recording.readers.traces import (
    RecordingError,
    Traces,
    deal,
    known_rate,
    plain_labels,
)

SHAPE_TODO = "save an array of n_rois × n_frames"


def read_npy(path: Path, rate_hz: float | None, n_planes: int) -> Traces:
    """Traces of a `.npy` file, n_rois × n_frames, memory-mapped.

    Labels are roi0000, roi0001, … by row; the rate comes from the settings. Rows are dealt to the
    planes in turn, and a column is one turn of all planes.

    Raises
    ------
    RecordingError
        Where it is no such array.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RecordingError(path, f"no .npy of numbers ({error})", SHAPE_TODO) from error
    if not isinstance(array, np.ndarray):
        raise RecordingError(path, "an .npz under the name of an .npy", "rename it to .npz")
    fluorescence = real_matrix(path, array)
    labels = plain_labels(len(fluorescence))
    return deal(path, fluorescence, labels, known_rate(path, None, rate_hz), n_planes)


def read_npz(path: Path, rate_hz: float | None, n_planes: int) -> Traces:
    """Traces of an `.npz` file: the array `traces` or `F`, or the only matrix in it.

    `labels` (n_rois strings) and `rate_hz` (over all planes) are read where they are there.

    Raises
    ------
    RecordingError
        Where it holds no such array, or several to choose from.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
    except (ValueError, EOFError, BadZipFile, AttributeError) as error:
        raise RecordingError(path, f"no .npz of plain arrays ({error})", SHAPE_TODO) from error
    fluorescence = real_matrix(path, arrays[_traces_name(path, arrays)])
    labels = plain_labels(len(fluorescence))
    if "labels" in arrays:
        labels = tuple(str(label) for label in arrays["labels"].ravel())
    of_file = float(arrays["rate_hz"].ravel()[0]) if "rate_hz" in arrays else None
    return deal(path, fluorescence, labels, known_rate(path, of_file, rate_hz), n_planes)


def real_matrix(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, if it can be traces.

    Raises
    ------
    RecordingError
        Where it is not two-dimensional or not of real numbers.
    """
    if array.ndim != 2:
        raise RecordingError(path, f"an array of shape {array.shape}, not 2-D", SHAPE_TODO)
    if array.dtype.kind not in "fiu":
        raise RecordingError(path, f"values of type {array.dtype}, not real numbers", SHAPE_TODO)
    return array


def _traces_name(path: Path, arrays: dict[str, NDArray[Any]]) -> str:
    for name in ("traces", "F"):
        if name in arrays:
            return name
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    if len(matrices) != 1:
        raise RecordingError(
            path,
            f"no array `traces` or `F`, and {len(matrices)} others that are 2-D "
            f"(it holds {', '.join(sorted(arrays)) or 'nothing'})",
            "name the traces `traces`, n_rois × n_frames",
        )
    return matrices[0]
