"""What is seen of each plane before anything runs: its ROIs, their outlines, an image below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.config.rig import RecordingSource
from bci.config.session import Session
from bci.core.stream_types import StreamInfo
from bci.hardware.imaging.open import describe_source
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import Image, RoiMask

MEAN, FOOTPRINTS = "mean image", "footprints of the ROIs"
# an outline goes round pixels of this share of the heaviest: demixed masks have long faint tails
EDGE_SHARE = 0.1


@dataclass(frozen=True)
class PlanePicture:
    """One plane.

    Parameters
    ----------
    image
        Rows × columns; None where the source has none.
    name
        What the image is.
    outlines
        One an ROI of the plane, in its order, shape (n_points, 2): x, y of the ends of lines, two
        points a line; empty where the source has no masks.
    """

    image: Image | None = None
    name: str = ""
    outlines: tuple[NDArray[np.float32], ...] = ()


Seen = tuple[StreamInfo, list[PlanePicture]]


def look(session: Session) -> Seen:
    """The ROIs of a source, and what it has to show of each plane; takes a while.

    Raises
    ------
    bci.recording.readers.traces.RecordingError
        Where a recording cannot be read.
    """
    source = session.rig.source
    if not isinstance(source, RecordingSource):
        info = describe_source(source).info
        return info, [PlanePicture()] * info.n_planes
    traces = read_traces(source.path, source.rate_hz, source.n_planes, source.series)
    info = traces.info
    means = traces.mean_images or (None,) * info.n_planes
    return info, [picture_of(info, traces.masks, plane, mean) for plane, mean in enumerate(means)]


def picture_of(
    info: StreamInfo, masks: Sequence[RoiMask], plane: int, mean: Image | None
) -> PlanePicture:
    """One plane, as far as its masks and its mean image are known."""
    own: list[RoiMask] = []
    if len(masks) == len(info.rois):
        own = [mask for roi, mask in zip(info.rois, masks, strict=True) if roi.plane == plane]
    outlines = tuple(outline(mask) for mask in own)
    if mean is not None:
        return PlanePicture(mean, MEAN, outlines)
    if own:
        return PlanePicture(footprints(info.image_shape, own), FOOTPRINTS, outlines)
    return PlanePicture()


def footprints(image_shape: tuple[int, int], masks: Sequence[RoiMask]) -> Image:
    """Sum of the masks of a plane, each with its largest weight 1."""
    rows = max([image_shape[0], *(int(mask.y_px.max()) + 1 for mask in masks)])
    columns = max([image_shape[1], *(int(mask.x_px.max()) + 1 for mask in masks)])
    image = np.zeros((rows, columns), np.float32)
    for mask in masks:
        image[mask.y_px, mask.x_px] += mask.weight / max(float(mask.weight.max()), 1e-9)
    return image


def outline(mask: RoiMask) -> NDArray[np.float32]:
    """The sides of pixels at which an ROI ends: x, y of their ends, two points a side.

    The centre of a pixel is at its column and row.
    """
    heavy = mask.weight >= EDGE_SHARE * mask.weight.max()
    y_px, x_px = mask.y_px[heavy].astype(np.int64), mask.x_px[heavy].astype(np.int64)
    # one number a pixel, with room for the neighbours beside the mask
    width = int(x_px.max()) + 3
    pixels = np.unique((y_px + 1) * width + x_px + 1)
    y, x = np.divmod(pixels, width)
    y, x = y - 1, x - 1
    sides = []
    for step, (from_y, from_x), (to_y, to_x) in (
        (-width, (0, 0), (0, 1)),
        (width, (1, 0), (1, 1)),
        (-1, (0, 0), (1, 0)),
        (1, (0, 1), (1, 1)),
    ):
        ends = ~np.isin(pixels + step, pixels)
        first = np.stack([x[ends] + from_x, y[ends] + from_y], axis=1)
        last = np.stack([x[ends] + to_x, y[ends] + to_y], axis=1)
        sides.append(np.stack([first, last], axis=1).reshape(-1, 2))
    lines: NDArray[np.float32] = (np.concatenate(sides) - 0.5).astype(np.float32)
    return lines
