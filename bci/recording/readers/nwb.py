"""Traces in NWB files."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile
from pynwb.image import GrayscaleImage
from pynwb.ophys import Fluorescence, PlaneSegmentation, RoiResponseSeries

from bci.recording.readers.traces import (
    PlaneTraces,
    RecordingError,
    RoiMask,
    Traces,
    combine,
    known_rate,
    mean_image_of,
)

# container/image, as suite2p, neuroconv and this program name them: Backgrounds_0/meanImg,
# SegmentationImages/MeanImageChan1Plane0, MeanImages/plane0
MEAN = re.compile(r"mean|average", re.IGNORECASE)
OTHER_CHANNEL = re.compile(r"ch(?:an(?:nel)?)?_?[2-9]", re.IGNORECASE)
PLANE = re.compile(r"(?:plane|backgrounds)_?(\d+)", re.IGNORECASE)
BLOCK_FRAMES = 2048
LABEL_COLUMNS = ("label", "labels", "roi_label", "roi_name", "name")


def read_nwb(path: Path, rate_hz: float | None, n_planes: int) -> Traces:
    """Traces of the RoiResponseSeries in an NWB file.

    Fluorescence containers go first: their series plane0, plane1, … are the planes. Without one,
    the first RoiResponseSeries of the file is the only plane. Labels and masks come from the plane
    segmentation that the series refers to, mean images from the GrayscaleImages that are called so.

    Raises
    ------
    RecordingError
        Where it is no NWB file, or holds no such series.
    """
    try:
        with NWBHDF5IO(path, mode="r", load_namespaces=True) as io:
            return _read(path, io.read(), rate_hz, n_planes)
    except (OSError, TypeError) as error:
        raise RecordingError(path, f"no NWB file ({error})", "name another") from error


def _read(path: Path, file: NWBFile, rate_hz: float | None, n_planes: int) -> Traces:
    series = _series(file)
    if not series:
        raise RecordingError(
            path, "holds no RoiResponseSeries", "name a file with extracted fluorescence"
        )
    if n_planes not in (1, len(series)):
        raise RecordingError(
            path,
            f"{len(series)} planes, rig.source.n_planes = {n_planes}",
            f"set rig.source.n_planes = {len(series)}",
        )
    several = len(series) > 1
    means = _mean_images(file)
    planes = [
        _read_plane(path, one, f"plane{number}_" if several else "", means.get(number))
        for number, one in enumerate(series)
    ]
    rates = [rate for rate in map(_plane_rate_hz, series) if rate is not None]
    of_file = float(np.mean(rates)) * len(series) if rates else None
    return combine(path, planes, known_rate(path, of_file, rate_hz), _image_shape(series[0]))


def _series(file: NWBFile) -> list[RoiResponseSeries]:
    containers = [found for found in file.objects.values() if isinstance(found, Fluorescence)]
    for container in sorted(containers, key=lambda found: found.name != "Fluorescence"):
        named = container.roi_response_series
        planes = [name for name in named if re.fullmatch(r"plane\d+", name)]
        if planes:
            return [named[name] for name in sorted(planes, key=lambda name: int(name[5:]))]
        if named:
            return [named[sorted(named)[0]]]
    found = [one for one in file.objects.values() if isinstance(one, RoiResponseSeries)]
    return sorted(found, key=lambda one: str(one.name))[:1]


def _mean_images(file: NWBFile) -> dict[int, NDArray[Any]]:
    """Rows × columns of every plane that has one; NWB images are width × height."""
    found: dict[int, NDArray[Any]] = {}
    for image in file.objects.values():
        if not isinstance(image, GrayscaleImage):
            continue
        name = f"{image.parent.name}/{image.name}"
        if MEAN.search(name) and not OTHER_CHANNEL.search(name):
            plane = PLANE.search(name)
            found.setdefault(int(plane[1]) if plane else 0, np.asarray(image.data[:]).T)
    return found


def _read_plane(
    path: Path, series: RoiResponseSeries, prefix: str, mean: NDArray[Any] | None
) -> PlaneTraces:
    shape = tuple(np.shape(series.data))
    if len(shape) == 1:
        shape = (*shape, 1)
    rows = np.asarray(series.rois.data[:], np.int64)
    if len(shape) != 2 or shape[1] != len(rows):
        raise RecordingError(
            path,
            f"{series.name} has shape {shape} for {len(rows)} ROIs",
            "its data must be n_frames × n_rois",
        )
    table: PlaneSegmentation = series.rois.table
    masks = _masks(table, rows)
    mean = _reference_image(table) if mean is None else mean
    return PlaneTraces(
        fluorescence=_counts(series, shape),
        labels=_labels(table, rows, prefix),
        centres_px=tuple((float(np.mean(m.x_px)), float(np.mean(m.y_px))) for m in masks),
        masks=masks,
        mean_image=mean_image_of(mean, masks),
    )


def _counts(series: RoiResponseSeries, shape: tuple[int, int]) -> NDArray[np.float32]:
    """All of a series, ROIs × frames; read in blocks, so that it is never in memory twice."""
    n_frames, n_rois = shape
    counts = np.empty((n_rois, n_frames), np.float32)
    # a part of a compressed chunk costs as much as all of it
    of_chunk = (getattr(series.data, "chunks", None) or (1,))[0]
    block = -(-BLOCK_FRAMES // of_chunk) * of_chunk
    for start in range(0, n_frames, block):
        values = np.asarray(series.data[start : start + block], np.float32)
        counts[:, start : start + block] = values.reshape(-1, n_rois).T
    counts *= float(series.conversion)
    counts += float(series.offset)
    return counts


def _reference_image(table: PlaneSegmentation) -> NDArray[Any] | None:
    """The single image that a table of ROIs refers to; a movie is none."""
    for series in table.reference_images or ():
        if len(np.shape(series.data)) == 3 and len(series.data) == 1:
            return np.asarray(series.data[0]).T
    return None


def _labels(table: PlaneSegmentation, rows: NDArray[np.int64], prefix: str) -> tuple[str, ...]:
    for column in LABEL_COLUMNS:
        if column in table.colnames:
            values = [str(table[column].data[int(row)]) for row in rows]
            if len(set(values)) == len(values):
                return tuple(values)
    ids = np.asarray(table.id.data[:])
    return tuple(f"{prefix}roi{int(ids[int(row)]):04d}" for row in rows)


def _masks(table: PlaneSegmentation, rows: NDArray[np.int64]) -> tuple[RoiMask, ...]:
    if "pixel_mask" in table.colnames:
        masks = [_from_pixels(table["pixel_mask"][int(row)]) for row in rows]
    elif "voxel_mask" in table.colnames:
        masks = [_from_pixels(table["voxel_mask"][int(row)]) for row in rows]
    elif "image_mask" in table.colnames:
        masks = [_from_image(np.asarray(table["image_mask"][int(row)])) for row in rows]
    else:
        return ()
    # An empty mask would have no centre: without all of them there are none.
    return tuple(masks) if all(len(mask.x_px) for mask in masks) else ()


def _from_pixels(pixels: Any) -> RoiMask:
    """Mask of (x, y, weight) or (x, y, z, weight), one a pixel."""
    # A pixel of no weight stands where a writer had to give one and knew none.
    known = [tuple(pixel) for pixel in pixels if tuple(pixel)[-1] != 0]
    x_px, y_px, weight = (np.array([pixel[part] for pixel in known]) for part in (0, 1, -1))
    return RoiMask(y_px.astype(np.int32), x_px.astype(np.int32), weight.astype(np.float32))


def _from_image(image: NDArray[Any]) -> RoiMask:
    # NWB images are width × height, so the first axis is x.
    x_px, y_px = np.nonzero(image)
    weight = image[x_px, y_px].astype(np.float32)
    return RoiMask(y_px.astype(np.int32), x_px.astype(np.int32), weight)


def _plane_rate_hz(series: RoiResponseSeries) -> float | None:
    if series.rate:
        return float(series.rate)
    if series.timestamps is None or len(series.timestamps) < 2:
        return None
    # The median: lost frames make single intervals long.
    interval_s = float(np.median(np.diff(np.asarray(series.timestamps[:], np.float64))))
    return 1 / interval_s if interval_s > 0 else None


def _image_shape(series: RoiResponseSeries) -> tuple[int, int]:
    table: PlaneSegmentation = series.rois.table
    if "image_mask" in table.colnames and len(table):
        width, height = np.asarray(table["image_mask"][0]).shape[:2]
        return int(height), int(width)
    return 0, 0
