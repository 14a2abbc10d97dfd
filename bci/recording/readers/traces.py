"""Recorded fluorescence, whatever file it came from."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.core.messages import MOST_LABEL
from bci.core.stream_types import Roi, StreamInfo

MAX_FRAMES = 1 << 28
"""Of a plane; three days at 1 kHz."""
FloatArray = NDArray[np.floating[Any]]
Image = NDArray[np.float32]


class RecordingError(ValueError):
    """A recording that cannot be played: what is wrong, where, what to do."""

    def __init__(self, path: Path, wrong: str, todo: str) -> None:
        self.path, self.wrong, self.todo = path, wrong, todo
        super().__init__(f"{path}: {wrong}. {todo[:1].upper()}{todo[1:]}.")


class RateUnknown(RecordingError):
    """The file does not tell its frame rate, and neither do the settings."""


@dataclass(frozen=True)
class RoiMask:
    """Pixels of one ROI.

    Parameters
    ----------
    y_px, x_px
        Rows and columns, shape (n_pixels,).
    weight
        Share of each pixel, shape (n_pixels,).
    """

    y_px: NDArray[np.int32]
    x_px: NDArray[np.int32]
    weight: NDArray[np.float32]

    @property
    def is_whole(self) -> bool:
        """True if every pixel has a row, a column and a weight."""
        return self.y_px.ndim == 1 and self.y_px.shape == self.x_px.shape == self.weight.shape


@dataclass(frozen=True)
class Traces:
    """Fluorescence of every plane, and the order in which its frames are played.

    Parameters
    ----------
    info
        Description of the stream; `session` is "" and `epoch` 0.
    fluorescence
        One array a plane, shape (ROIs of the plane, frames of the plane), counts; may be memory-
        mapped and of any real type.
    frame_ids
        int64, shape (n_frames,): id of every frame over all planes, in the order of playing. A
        jump is a frame that was lost when it was recorded.
    planes
        int16, shape (n_frames,): plane of every frame. The n-th frame of a plane is column n of
        its array.
    masks
        Pixels of the ROIs in table order, empty where the file has none.
    mean_images
        Mean image of every plane, rows × columns; None where the file has none of it.
    """

    info: StreamInfo
    fluorescence: tuple[FloatArray, ...]
    frame_ids: NDArray[np.int64]
    planes: NDArray[np.int16]
    masks: tuple[RoiMask, ...] = ()
    mean_images: tuple[Image | None, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """ROI labels in table order."""
        return tuple(roi.label for roi in self.info.rois)

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last one, lost ones included."""
        if not len(self.frame_ids):
            return 0.0
        return float(self.frame_ids[-1] - self.frame_ids[0] + 1) / self.info.rate_hz


@dataclass(frozen=True)
class PlaneTraces:
    """What a file tells about one plane.

    Parameters
    ----------
    fluorescence
        Shape (n_rois, n_frames), counts.
    labels
        One a row.
    centres_px
        (x, y) of every ROI; empty where unknown.
    masks
        Empty where unknown.
    mean_image
        Rows × columns; None where unknown.
    """

    fluorescence: FloatArray
    labels: tuple[str, ...]
    centres_px: tuple[tuple[float, float], ...] = ()
    masks: tuple[RoiMask, ...] = ()
    mean_image: Image | None = None


def combine(
    path: Path,
    planes: Sequence[PlaneTraces],
    rate_hz: float,
    image_shape: tuple[int, int] = (0, 0),
) -> Traces:
    """One recording out of planes that took turns without loss: plane 0, 1, …, 0, 1, ….

    Parameters
    ----------
    path
        Names the source and stands in messages.
    planes
        In order of imaging. A plane may have one frame more than a later one: the recording was
        stopped between them.
    rate_hz
        Rate over all planes, Hz.
    image_shape
        Rows, columns; (0, 0) where unknown.

    Raises
    ------
    RecordingError
        Where a plane has no ROI at all, no frames, nothing but NaN, or other lengths than its
        neighbours, or where two ROIs share a label.
    """
    lengths = [plane.fluorescence.shape[1] for plane in planes]
    for number, plane in enumerate(planes):
        _check(path, number, plane)
    expected = [lengths[0] - (length < lengths[0]) for length in lengths]
    if lengths != expected or sorted(lengths, reverse=True) != lengths:
        raise RecordingError(
            path,
            f"planes of {lengths} frames do not take turns",
            "export all planes of the same recording, whole",
        )
    labels = [label for plane in planes for label in plane.labels]
    if long := next((label for label in labels if len(label) > MOST_LABEL), None):
        raise RecordingError(
            path, f"label of {len(long)} characters", f"give it at most {MOST_LABEL}"
        )
    twice = sorted(label for label, count in Counter(labels).items() if count > 1)[:5]
    if twice:
        raise RecordingError(
            path, f"labels used twice: {', '.join(twice)}", "give each ROI its own"
        )
    total = sum(lengths)
    ids = np.arange(total, dtype=np.int64)
    masks = [mask for plane in planes for mask in plane.masks]
    return Traces(
        info=StreamInfo(
            session="",
            epoch=0,
            source=str(path),
            rate_hz=rate_hz,
            n_planes=len(planes),
            image_shape=image_shape,
            polarity=1,
            dark_counts=0.0,
            saturation_counts=None,
            rois=_table(planes),
        ),
        fluorescence=tuple(plane.fluorescence for plane in planes),
        frame_ids=ids,
        planes=(ids % len(planes)).astype(np.int16),
        masks=tuple(masks) if len(masks) == len(labels) else (),
        mean_images=tuple(plane.mean_image for plane in planes),
    )


def mean_image_of(image: Any, masks: Sequence[RoiMask]) -> Image | None:
    """An image as a file gave it, if it can be that of these ROIs; None: it cannot.

    Parameters
    ----------
    image
        Rows × columns.
    masks
        Of the plane; every pixel must lie in the image.
    """
    if image is None:
        return None
    found = np.asarray(image)
    if found.ndim != 2 or found.dtype.kind not in "fiu" or not np.isfinite(found).any():
        return None
    rows, columns = found.shape
    if any(
        (mask.y_px >= rows).any()
        or (mask.x_px >= columns).any()
        or (mask.y_px < 0).any()
        or (mask.x_px < 0).any()
        for mask in masks
    ):
        return None
    return found.astype(np.float32)


def deal(
    path: Path, fluorescence: FloatArray, labels: Sequence[str], rate_hz: float, n_planes: int
) -> Traces:
    """One recording out of a single array whose rows belong to the planes in turn.

    Row i lies in plane i % n_planes, and a column is one turn of all planes: it is played as
    n_planes frames, each with the rows of its plane. So nothing of the file is left out.

    Parameters
    ----------
    path
        As in `combine`.
    fluorescence
        Shape (n_rois, n_turns), counts.
    labels
        One a row.
    rate_hz
        Rate over all planes, Hz.
    n_planes
        Planes to deal to.
    """
    if 0 < fluorescence.shape[0] < n_planes:
        raise RecordingError(
            path,
            f"{fluorescence.shape[0]} ROIs for {n_planes} planes",
            "lower rig.source.n_planes",
        )
    dealt = combine(
        path,
        [
            PlaneTraces(fluorescence[plane::n_planes], tuple(labels[plane::n_planes]))
            for plane in range(n_planes)
        ],
        rate_hz,
    )
    rois = tuple(Roi(row, label, row % n_planes) for row, label in enumerate(labels))
    return Traces(
        info=_with_rois(dealt.info, rois),
        fluorescence=dealt.fluorescence,
        frame_ids=dealt.frame_ids,
        planes=dealt.planes,
    )


def known_rate(path: Path, of_file: float | None, of_settings: float | None) -> float:
    """Rate over all planes, Hz; the settings win, because files carry defaults nobody set.

    Raises
    ------
    RateUnknown
        Where neither tells it.
    """
    rate_hz = of_settings if of_settings is not None else of_file
    if rate_hz is None or not 0 < rate_hz < math.inf:
        raise RateUnknown(
            path, "does not tell its frame rate", "set rig.source.rate_hz (over all planes)"
        )
    return float(rate_hz)


def plain_labels(n_rois: int) -> tuple[str, ...]:
    """roi0000, roi0001, …."""
    return tuple(f"roi{row:04d}" for row in range(n_rois))


def _with_rois(info: StreamInfo, rois: tuple[Roi, ...]) -> StreamInfo:
    return StreamInfo(
        session=info.session,
        epoch=info.epoch,
        source=info.source,
        rate_hz=info.rate_hz,
        n_planes=info.n_planes,
        image_shape=info.image_shape,
        polarity=info.polarity,
        dark_counts=info.dark_counts,
        saturation_counts=info.saturation_counts,
        rois=rois,
    )


def _table(planes: Sequence[PlaneTraces]) -> tuple[Roi, ...]:
    rois: list[Roi] = []
    for number, plane in enumerate(planes):
        for row, label in enumerate(plane.labels):
            x_px, y_px = plane.centres_px[row] if plane.centres_px else (float("nan"),) * 2
            rois.append(Roi(len(rois), label, number, x_px=x_px, y_px=y_px))
    return tuple(rois)


def _check(path: Path, number: int, plane: PlaneTraces) -> None:
    n_rois, n_frames = plane.fluorescence.shape
    where = f"plane {number}"
    if not n_rois or not n_frames:
        raise RecordingError(
            path,
            f"{where} is empty ({n_rois} ROIs × {n_frames} frames)",
            "export the recording again, or name another",
        )
    if n_frames > MAX_FRAMES:
        todo = "save an array of n_rois × n_frames, and play a long one in parts"
        raise RecordingError(path, f"{where} has {n_frames:,} frames, above {MAX_FRAMES:,}", todo)
    if len(plane.labels) != n_rois:
        raise RecordingError(
            path, f"{len(plane.labels)} labels for {n_rois} ROIs in {where}", "give one label a row"
        )
    # A few columns tell: reading all of a memory-mapped file would take long.
    columns = np.unique(np.linspace(0, n_frames - 1, num=min(n_frames, 64)).astype(np.int64))
    if not np.isfinite(plane.fluorescence[:, columns]).any():
        raise RecordingError(
            path, f"{where} holds no finite value", "check how the traces were extracted"
        )
