"""Traces in NWB files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bci.recording.pynwb_import import import_pynwb
from bci.recording.readers.traces import (
    PlaneTraces,
    RecordingError,
    RoiMask,
    Traces,
    combine,
    known_rate,
    mean_image_of,
)

import_pynwb()

from pynwb import NWBHDF5IO, NWBFile  # noqa: E402
from pynwb.image import GrayscaleImage  # noqa: E402
from pynwb.ophys import DfOverF, PlaneSegmentation, RoiResponseSeries  # noqa: E402

# container/image, as suite2p, neuroconv and this program name them: Backgrounds_0/meanImg,
# SegmentationImages/MeanImageChan1Plane0, MeanImages/plane0
MEAN = re.compile(r"mean|average", re.IGNORECASE)
OTHER_CHANNEL = re.compile(r"ch(?:an(?:nel)?)?_?[2-9]", re.IGNORECASE)
PLANE = re.compile(r"(?:plane|backgrounds)_?(\d+)", re.IGNORECASE)
# as suite2p, CaImAn, neuroconv and AllenSDK name what they make of fluorescence
NOT_OF_CELLS = re.compile(
    r"deconv|spike|spks|inferred|background|baseline|neuropil(?!_?(?:sub|corr))", re.IGNORECASE
)
PROCESSED = re.compile(r"df_?f|df_?over_?f|denoised|correct|subtract|neuropil", re.IGNORECASE)
BLOCK_FRAMES = 2048
LABEL_COLUMNS = ("label", "labels", "roi_label", "roi_name", "name")
CELL_COLUMNS = ("iscell", "is_cell", "accepted")
NAMES_SHOWN = 12


class Signal(IntEnum):
    """What a series holds, by its name and that of its container; the lowest is played."""

    RAW = 0
    PROCESSED = 1
    OTHER = 2
    """Spikes, neuropil, background: played only if it is asked for by name."""


@dataclass(frozen=True)
class NamedSeries:
    """One RoiResponseSeries of a file.

    Parameters
    ----------
    series
        The series.
    name
        container/series, as the settings name it.
    """

    series: RoiResponseSeries
    name: str

    @property
    def signal(self) -> Signal:
        """What it holds."""
        if NOT_OF_CELLS.search(self.name):
            return Signal.OTHER
        processed = isinstance(self.series.parent, DfOverF) or PROCESSED.search(self.name)
        return Signal.PROCESSED if processed else Signal.RAW

    @property
    def group(self) -> str:
        """The name without the number of the plane: the same for the planes of one signal."""
        return PLANE.sub("", self.name)

    @property
    def plane(self) -> int:
        """The number of the plane in its name, 0 if there is none."""
        found = PLANE.search(str(self.series.name))
        return int(found[1]) if found else 0


def read_nwb(
    path: Path, rate_hz: float | None, n_planes: int, series: Sequence[str] = ()
) -> Traces:
    """Traces of the RoiResponseSeries in an NWB file.

    Raw fluorescence is played, of all planes: series whose names differ by the number of a plane
    alone, as suite2p, neuroconv and this program write them. Without raw fluorescence processed
    fluorescence is (dF/F, denoised, corrected), but neither spikes nor neuropil. ROIs that a column
    `iscell` or `Accepted` rejects are left out. Labels and masks come from the plane segmentation
    that the series refers to, mean images from the GrayscaleImages that are called so.

    Parameters
    ----------
    path, rate_hz, n_planes
        As in `read_traces`.
    series
        Names of the series to play, one a plane, in order; empty: as above.

    Raises
    ------
    RecordingError
        If it is no NWB file, refers to other files, holds no such series, or several to choose
        from.
    """
    try:
        _require_whole(path)
        with NWBHDF5IO(path, mode="r", load_namespaces=True) as io:
            return _read(path, io.read(), rate_hz, n_planes, series)
    except (RecordingError, MemoryError):
        raise
    # a damaged file makes h5py, hdmf and pynwb raise whatever their own checks do not foresee
    except Exception as error:
        why = f"{type(error).__name__}: {str(error)[:200]}"
        raise RecordingError(
            path, f"no NWB file, or a damaged one ({why})", "name another"
        ) from error


def _require_whole(path: Path) -> None:
    """Refuse a file that would make us read other files of this computer."""
    elsewhere: list[str] = []

    def of_link(name: str, link: object) -> None:
        if isinstance(link, h5py.ExternalLink):
            elsewhere.append(f"{name} is in {link.filename}")

    def of_data(name: str, found: object) -> None:
        if not isinstance(found, h5py.Dataset):
            return
        files = [one[0] for one in found.external or ()]
        if found.is_virtual:
            files += [one.file_name for one in found.virtual_sources() if one.file_name != "."]
        elsewhere.extend(f"{name} is in {file}" for file in files)

    with h5py.File(path, "r") as file:
        # neither of them follows a link to another file
        file.visititems_links(of_link)
        file.visititems(of_data)
    if elsewhere:
        raise RecordingError(
            path,
            f"refers to other files ({elsewhere[0]})",
            "export it as one file, without links",
        )


def _read(
    path: Path, file: NWBFile, rate_hz: float | None, n_planes: int, names: Sequence[str]
) -> Traces:
    found = sorted(
        (
            NamedSeries(one, f"{one.parent.name}/{one.name}")
            for one in file.objects.values()
            if isinstance(one, RoiResponseSeries)
        ),
        key=lambda one: (one.group, one.plane, one.name),
    )
    if not found:
        raise RecordingError(
            path, "holds no RoiResponseSeries", "name a file with extracted fluorescence"
        )
    played = [_named(path, found, name) for name in names] or _default(path, found)
    if n_planes not in (1, len(played)):
        raise RecordingError(
            path,
            f"{len(played)} planes, rig.source.n_planes = {n_planes}",
            f"set rig.source.n_planes = {len(played)}",
        )
    means = _mean_images(file)
    planes = [_read_plane(path, one.series, means.get(one.plane)) for one in played]
    rates = [rate for rate in (_plane_rate_hz(one.series) for one in played) if rate is not None]
    of_file = float(np.mean(rates)) * len(played) if rates else None
    return combine(
        path,
        _distinct_labels(planes),
        known_rate(path, of_file, rate_hz),
        _image_shape(played[0].series),
    )


def _named(path: Path, found: Sequence[NamedSeries], name: str) -> NamedSeries:
    """The series that the settings name, with its container or without."""
    fitting = [one for one in found if name in (one.name, one.series.name)]
    if len(fitting) != 1:
        n = len(fitting) or "no"
        raise _choose(path, f"holds {n} series called {name} among", found)
    return fitting[0]


def _default(path: Path, found: Sequence[NamedSeries]) -> list[NamedSeries]:
    """All planes of the one signal that is meant if nobody says which."""
    best = min(one.signal for one in found)
    groups: dict[str, list[NamedSeries]] = {}
    for one in found:
        if one.signal is best and best is not Signal.OTHER:
            groups.setdefault(one.group, []).append(one)
    # suite2p's own files have other containers of the same type beside this one
    of_fluorescence = [group for group in groups if group.startswith("Fluorescence/")]
    chosen = of_fluorescence or list(groups)
    if len(chosen) != 1:
        what = "holds several signals" if chosen else "holds no fluorescence"
        raise _choose(path, what, [one for group in chosen for one in groups[group]] or found)
    planes = groups[chosen[0]]
    numbers = [one.plane for one in planes]
    if len(planes) > 1 and numbers != list(range(numbers[0], numbers[0] + len(planes))):
        raise _choose(path, f"holds planes {numbers}", planes)
    return planes


def _choose(path: Path, what: str, among: Sequence[NamedSeries]) -> RecordingError:
    names = ", ".join(one.name for one in among[:NAMES_SHOWN])
    more = f" and {len(among) - NAMES_SHOWN} more" if len(among) > NAMES_SHOWN else ""
    todo = f'name those to play, one a plane: rig.source.series = ["{among[0].name}"]'
    return RecordingError(path, f"{what}: {names}{more}", todo)


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


def _read_plane(path: Path, series: RoiResponseSeries, mean: NDArray[Any] | None) -> PlaneTraces:
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
    cells = _cells(path, table, rows)
    rows = rows[cells]
    masks = _masks(table, rows)
    mean = _reference_image(table) if mean is None else mean
    return PlaneTraces(
        fluorescence=_counts(series, shape, cells),
        labels=_labels(table, rows),
        centres_px=tuple((float(np.mean(m.x_px)), float(np.mean(m.y_px))) for m in masks),
        masks=masks,
        mean_image=mean_image_of(mean, masks),
    )


def _cells(path: Path, table: PlaneSegmentation, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which columns of a series are of ROIs that were accepted as cells."""
    names = {str(name).lower(): name for name in table.colnames}
    column = next((names[name] for name in CELL_COLUMNS if name in names), None)
    if column is None:
        return np.arange(len(rows), dtype=np.int64)
    # suite2p writes the classifier's probability beside it
    accepted = np.asarray(table[column].data[:]).reshape(len(table), -1)[:, 0]
    cells = np.flatnonzero(accepted[rows]).astype(np.int64)
    if not len(cells):
        raise RecordingError(
            path, f"column {column} accepts no ROI", "curate the ROIs, or write it without"
        )
    return cells


def _counts(
    series: RoiResponseSeries, shape: tuple[int, int], cells: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The cells of a series, ROIs × frames; read in blocks: it is never in memory twice."""
    n_frames, n_rois = shape
    counts = np.empty((len(cells), n_frames), np.float32)
    # a part of a compressed chunk costs as much as all of it
    of_chunk = (getattr(series.data, "chunks", None) or (1,))[0]
    block = -(-BLOCK_FRAMES // of_chunk) * of_chunk
    for start in range(0, n_frames, block):
        values = np.asarray(series.data[start : start + block], np.float32)
        counts[:, start : start + block] = values.reshape(-1, n_rois)[:, cells].T
    counts *= float(series.conversion)
    counts += float(series.offset)
    return counts


def _reference_image(table: PlaneSegmentation) -> NDArray[Any] | None:
    """The single image that a table of ROIs refers to; a movie is none."""
    for series in table.reference_images or ():
        if len(np.shape(series.data)) == 3 and len(series.data) == 1:
            return np.asarray(series.data[0]).T
    return None


def _labels(table: PlaneSegmentation, rows: NDArray[np.int64]) -> tuple[str, ...]:
    numbers = np.asarray(table.id.data[:])[rows].tolist()
    for column in LABEL_COLUMNS:
        if column in table.colnames:
            values = [str(table[column].data[int(row)]) for row in rows]
            if len(set(values)) < len(values):
                continue
            if not all(value.isdecimal() for value in values):
                return tuple(values)
            # neuroconv gives suite2p's own index as the name
            numbers = values
            break
    return tuple(f"roi{int(number):04d}" for number in numbers)


def _distinct_labels(planes: Sequence[PlaneTraces]) -> list[PlaneTraces]:
    """The planes with their number before each label, where labels begin anew in each."""
    labels = [label for plane in planes for label in plane.labels]
    if len(set(labels)) == len(labels):
        return list(planes)
    return [
        replace(plane, labels=tuple(f"plane{number}_{label}" for label in plane.labels))
        for number, plane in enumerate(planes)
    ]


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
