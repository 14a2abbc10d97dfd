"""Traces in suite2p's folders."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.recording.readers.arrays import open_npy, real_matrix
from bci.recording.readers.object_file import load_fields
from bci.recording.readers.traces import (
    PlaneTraces,
    RecordingError,
    RoiMask,
    Traces,
    combine,
    known_rate,
    mean_image_of,
)

OPS = ("fs", "Ly", "Lx", "meanImg")
CURATE = "curate the ROIs in suite2p, or remove this file"
STAT = ("ypix", "xpix", "lam")


def is_suite2p(folder: Path) -> bool:
    """True where the folder, or a plane folder in it, holds F.npy."""
    return bool(_plane_folders(folder))


def read_suite2p(path: Path, rate_hz: float | None, n_planes: int) -> Traces:
    """Traces of a suite2p folder: `suite2p/` with plane0, plane1, …, or one plane's folder.

    Raw fluorescence (F.npy) of the ROIs that iscell.npy accepts. A label is `roi` and suite2p's
    own index (roi0012); in a recording of several planes plane1_roi0012, because indices begin
    anew in each. ops.npy gives the rate of one plane (fs), the size of the image and its mean
    (meanImg; newer versions keep it in reg_outputs.npy); stat.npy the masks. They are pickles: see
    `load_fields` for how they are read. `combined`, in which suite2p lays all planes side by side
    in one image, is read as one plane where it is named itself.

    Raises
    ------
    RecordingError
        Where files are missing or do not fit each other.
    """
    folders = _plane_folders(path)
    if n_planes not in (1, len(folders)):
        raise RecordingError(
            path,
            f"{len(folders)} planes, rig.source.n_planes = {n_planes}",
            f"set rig.source.n_planes = {len(folders)}",
        )
    several = len(folders) > 1
    all_ops = [_ops(folder / "ops.npy") for folder in folders]
    planes = [
        _read_plane(folder, ops, f"plane{number}_" if several else "")
        for number, (folder, ops) in enumerate(zip(folders, all_ops, strict=True))
    ]
    ops = all_ops[0]
    fs = _number(ops.get("fs"), 1e6)
    of_file = fs * len(folders) if fs else None
    shape = (int(_number(ops.get("Ly"), 1e6)), int(_number(ops.get("Lx"), 1e6)))
    return combine(path, planes, known_rate(path, of_file, rate_hz), shape)


def _number(value: object, most: float) -> float:
    """The value if it is a number from 0 to `most`, else 0: unknown."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= most else 0.0  # type: ignore[operator, arg-type]


def _plane_folders(folder: Path) -> list[Path]:
    if (folder / "F.npy").is_file():
        return [folder]
    for parent in (folder, folder / "suite2p"):
        found = [
            child
            for child in (parent.iterdir() if parent.is_dir() else ())
            if re.fullmatch(r"plane\d+", child.name) and (child / "F.npy").is_file()
        ]
        if found:
            return sorted(found, key=lambda child: int(child.name[5:]))
    return []


def _read_plane(folder: Path, ops: dict[str, Any], prefix: str) -> PlaneTraces:
    path = folder / "F.npy"
    try:
        traces = open_npy(path)
    except ValueError as error:
        raise RecordingError(path, f"not readable ({error})", "run suite2p again") from error
    fluorescence = real_matrix(path, traces)
    cells = _cells(folder, len(fluorescence))
    of_all = _masks(folder, len(fluorescence))
    masks = tuple(of_all[index] for index in cells) if of_all else ()
    mean = ops.get("meanImg")
    if mean is None:
        mean = _ops(folder / "reg_outputs.npy").get("meanImg")
    return PlaneTraces(
        fluorescence=fluorescence[cells],
        labels=tuple(f"{prefix}roi{index:04d}" for index in cells),
        centres_px=tuple(_centre(mask) for mask in masks),
        masks=masks,
        mean_image=mean_image_of(mean, masks),
    )


def _cells(folder: Path, n_rois: int) -> NDArray[np.int64]:
    path = folder / "iscell.npy"
    if not path.exists():
        return np.arange(n_rois, dtype=np.int64)
    try:
        iscell = open_npy(path)
    except ValueError as error:
        raise RecordingError(path, f"not readable ({error})", CURATE) from error
    if iscell.ndim not in (1, 2) or not iscell.size or iscell.dtype.kind not in "biuf":
        raise RecordingError(path, f"{iscell.dtype} of shape {iscell.shape}", CURATE)
    accepted = iscell[:, 0] if iscell.ndim == 2 else iscell
    if len(accepted) != n_rois:
        raise RecordingError(
            path, f"{len(accepted)} rows for {n_rois} ROIs in F.npy", "take both from one run"
        )
    cells = np.flatnonzero(accepted).astype(np.int64)
    if not len(cells):
        raise RecordingError(path, "accepts no ROI as a cell", CURATE)
    return cells


def _masks(folder: Path, n_rois: int) -> list[RoiMask]:
    path = folder / "stat.npy"
    if not path.exists():
        return []
    try:
        stat = load_fields(path, STAT)
        masks = [
            RoiMask(_pixels(roi["ypix"]), _pixels(roi["xpix"]), np.asarray(roi["lam"], np.float32))
            for roi in stat
        ]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RecordingError(
            path, f"no list of ROIs with ypix, xpix and lam ({error})", "remove it or export again"
        ) from error
    odd = [i for i, mask in enumerate(masks) if not mask.is_whole]
    if odd:
        raise RecordingError(
            path, f"ROI {odd[0]} has ypix, xpix and lam of other lengths", "export it again"
        )
    if len(masks) != n_rois:
        raise RecordingError(
            path, f"{len(masks)} ROIs, {n_rois} in F.npy", "take both from one run"
        )
    return masks


def _pixels(values: Any) -> NDArray[np.int32]:
    """Rows or columns; `ValueError` if they are none."""
    pixels = np.asarray(values)
    if pixels.size and (pixels.dtype.kind not in "iuf" or not (abs(pixels) < 1 << 20).all()):
        raise ValueError(f"pixels of type {pixels.dtype}, or out of bounds")
    return pixels.astype(np.int32)


def _centre(mask: RoiMask) -> tuple[float, float]:
    if not len(mask.x_px):
        return float("nan"), float("nan")
    return float(np.mean(mask.x_px)), float(np.mean(mask.y_px))


def _ops(path: Path) -> dict[str, Any]:
    """What is used of a plane's ops, or of another such file; nothing if there is no file."""
    if not path.exists():
        return {}
    try:
        return load_fields(path, OPS)[0]
    except (ValueError, IndexError) as error:
        raise RecordingError(
            path, f"not readable ({error})", "remove it and set rig.source.rate_hz"
        ) from error
