"""Pixels of the ROIs and the mean image below them, as far as they are known."""

import logging
from math import isfinite

import numpy as np

from bci.config.rig import RecordingSource
from bci.core.stream_types import Roi
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RecordingError, RoiMask, Traces
from bci.recording.session_record import SessionRecord

log = logging.getLogger("bci.nwb")

KNOWN, CENTRE, UNKNOWN = "mask", "centre", "none"


def played_source(record: SessionRecord) -> Traces | None:
    """The recording that was played, if it is still there and still the same."""
    source = record.session.rig.source
    if not isinstance(source, RecordingSource) or not source.path.exists():
        return None
    try:
        traces = read_traces(source.path, source.rate_hz, source.n_planes, source.series)
    except RecordingError as error:
        log.warning("masks are not in the NWB file: %s", error)
        return None
    if traces.info.roi_hash != record.info.roi_hash:
        log.warning("%s holds other ROIs than the session: its masks are left out", source.path)
        return None
    return traces


def roi_masks(record: SessionRecord, source: Traces | None) -> list[tuple[RoiMask, str]]:
    """Mask of every ROI of the table, and where it is from.

    `mask`: the recording that was played; `centre`: one pixel at the centre; `none`: NWB asks for
    a mask, so the pixel (0, 0) stands there with weight 0.
    """
    of_source = {} if source is None else dict(zip(source.labels, source.masks, strict=False))
    found = []
    for roi in record.info.rois:
        if roi.label in of_source:
            found.append((of_source[roi.label], KNOWN))
        elif isfinite(roi.x_px) and isfinite(roi.y_px) and min(roi.x_px, roi.y_px) >= 0:
            found.append((_pixel(roi), CENTRE))
        else:
            found.append((_NOWHERE, UNKNOWN))
    return found


def _pixel(roi: Roi) -> RoiMask:
    return RoiMask(
        np.array([round(roi.y_px)], np.int32),
        np.array([round(roi.x_px)], np.int32),
        np.ones(1, np.float32),
    )


_NOWHERE = RoiMask(np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(1, np.float32))
