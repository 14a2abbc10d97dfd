"""Fluorescence of a session that this program recorded."""

from pathlib import Path

import msgspec
import numpy as np

from bci.core.frame_header import FLAG_END
from bci.recording.contents import DamagedJournal
from bci.recording.manifest import NoManifest
from bci.recording.readers.traces import RecordingError, Traces, known_rate
from bci.recording.session_record import SessionRecord


def read_session(path: Path, rate_hz: float | None, n_planes: int) -> Traces:
    """Frames of a session folder, in the order in which they were received, with their ids.

    A frame that was lost stays lost, one that came twice or out of order does so again, and values
    that were dark, stale or not finite are so again. Left out is only what carried another number
    of values than its plane has ROIs, the name of another session, or an id beyond 2**62, which no
    microscope reaches.

    Raises
    ------
    RecordingError
        Where the folder cannot be read, or holds no frame.
    """
    try:
        record = SessionRecord.read(path)
        info = record.info
        frames = record.frames
        values = [record.fluorescence(plane) for plane in range(info.n_planes)]
        rows = [record.plane_rows(plane) for plane in range(info.n_planes)]
    except (NoManifest, DamagedJournal) as error:
        why = str(error).removeprefix(f"{path}: ").rstrip(".")
        raise RecordingError(path, why, "mend that, or name another recording") from error
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        why = f"its records are whole and do not fit each other ({error})"
        raise RecordingError(path, why, "it was changed: use the original") from error
    if n_planes not in (1, info.n_planes):
        raise RecordingError(
            path,
            f"{info.n_planes} planes, rig.source.n_planes = {n_planes}",
            f"set rig.source.n_planes = {info.n_planes}",
        )
    ours = np.isin(frames["session_hash"], (0, info.session_hash))
    ours &= ((frames["flags"] & FLAG_END) == 0) & (frames["frame_id"] < 1 << 62)
    kept = np.sort(np.concatenate([plane_rows[ours[plane_rows]] for plane_rows in rows]))
    if not len(kept):
        raise RecordingError(path, "the session holds no frame", "name another")
    return Traces(
        info=msgspec.structs.replace(
            info,
            session="",
            epoch=0,
            source=f"session {info.session}",
            rate_hz=known_rate(path, info.rate_hz, rate_hz),
        ),
        fluorescence=tuple(
            # most often all are kept, and none is copied
            (plane_values if keep.all() else plane_values[keep]).T
            for plane_values, keep in zip(values, (ours[one] for one in rows), strict=True)
        ),
        frame_ids=frames["frame_id"][kept].astype(np.int64),
        planes=frames["plane"][kept].astype(np.int16),
    )
