"""A session that this program recorded, played again: what was lost stays lost."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from recorded_session import NAME, T0_NS, record_session, small_info, small_session

from bci.config import settings_hash
from bci.core.frame_header import pack_header
from bci.core.source import EndOfSource
from bci.core.stream_types import RoiFrame
from bci.hardware.imaging.recording_source import RecordingSource
from bci.recording.folder import JOURNAL
from bci.recording.journal import Journal
from bci.recording.manifest import make_manifest, write_manifest
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RecordingError
from bci.recording.records import JournalStart, Topic
from bci.recording.session_record import SessionRecord


def record(folder: Path, frames: list[RoiFrame]) -> None:
    folder.mkdir()
    session = small_session()
    write_manifest(folder, make_manifest(NAME, session, datetime.now()))
    journal = Journal(folder / JOURNAL, JournalStart(NAME, settings_hash(session), T0_NS, 0))
    journal.append(Topic.INFO, small_info())
    for sequence, frame in enumerate(frames, start=1):
        journal.append_frame(sequence, sequence, pack_header(frame), frame.fluorescence.tobytes())
    journal.close("done")


def frame(frame_id: int, values: list[float], session: str = NAME) -> RoiFrame:
    info = small_info()
    hashed = info.session_hash if session == NAME else 7
    return RoiFrame(hashed, info.roi_hash, 0, frame_id, 0, 1, 1, np.array(values, np.float32))


def play(source: RecordingSource) -> list[tuple[int, list[float]]]:
    played = []
    while True:
        try:
            one = source.read(0.0)
        except EndOfSource:
            return played
        played.append((one.frame_id, one.fluorescence.tolist()))


def test_every_recorded_frame_comes_again_with_its_values(tmp_path: Path) -> None:
    record_session(tmp_path / "s", 40)
    recorded = SessionRecord.read(tmp_path / "s")
    traces = read_traces(tmp_path / "s")
    assert traces.labels == ("a", "b", "c", "d")
    assert traces.info.rate_hz == 10.0
    played = play(RecordingSource(traces))
    assert [frame_id for frame_id, _ in played] == list(range(40))
    np.testing.assert_array_equal([v for _, v in played], recorded.fluorescence(0))


def test_lost_double_and_flagged_frames_stay_as_they_were(tmp_path: Path) -> None:
    nan = float("nan")
    record(
        tmp_path / "s",
        [
            frame(3, [1, 2, 3, 4]),
            frame(6, [nan, 2, 3, 4]),
            frame(6, [nan, 2, 3, 4]),
            frame(5, [5, 5, 5, 5]),
            frame(7, [1, 2, 3]),
            frame(8, [9, 9, 9, 9], session="another"),
            frame(2**63 + 1, [9, 9, 9, 9]),
            frame(9, [0, 0, 0, 0]),
        ],
    )
    played = play(RecordingSource(read_traces(tmp_path / "s")))
    assert [frame_id for frame_id, _ in played] == [3, 6, 6, 5, 9]
    assert np.isnan(played[1][1][0])
    assert played[-1][1] == [0, 0, 0, 0]


def test_a_looped_session_goes_on_after_its_last_frame(tmp_path: Path) -> None:
    record(tmp_path / "s", [frame(i, [i] * 4) for i in (3, 4, 6)])
    source = RecordingSource(read_traces(tmp_path / "s"), loop=True)
    assert [source.read(0.0).frame_id for _ in range(7)] == [3, 4, 6, 7, 8, 10, 11]


def test_a_damaged_session_says_how_to_recover_it(tmp_path: Path) -> None:
    record_session(tmp_path / "s", 40)
    path = tmp_path / "s" / JOURNAL
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="bci recover"):
        read_traces(tmp_path / "s")


def test_a_session_without_frames_says_so(tmp_path: Path) -> None:
    record(tmp_path / "s", [])
    with pytest.raises(RecordingError, match="no frame"):
        read_traces(tmp_path / "s")
