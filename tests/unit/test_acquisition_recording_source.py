from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.core.source import EndOfSource, SourceFrame
from bci.hardware.imaging.recording_source import BLOCK_FRAMES, RecordingSource
from bci.recording.readers.traces import PlaneTraces, Traces, combine, deal, plain_labels

HERE = Path("recording")


def numbered(n_rois: int, n_turns: int, n_planes: int) -> Traces:
    """Row r, turn t holds 10000 r + t."""
    values = 10_000 * np.arange(n_rois)[:, np.newaxis] + np.arange(n_turns)
    return deal(HERE, values.astype(np.float64), plain_labels(n_rois), 30.0, n_planes)


def take(source: RecordingSource, n_frames: int) -> list[SourceFrame]:
    frames = []
    for _ in range(n_frames):
        try:
            frames.append(source.read(0.0))
        except EndOfSource:
            break
    return frames


def same(left: list[SourceFrame], right: list[SourceFrame]) -> bool:
    return [(f.frame_id, f.plane, f.fluorescence.tolist()) for f in left] == [
        (f.frame_id, f.plane, f.fluorescence.tolist()) for f in right
    ]


@given(
    n_rois=st.integers(1, 7),
    n_turns=st.integers(1, 30),
    n_planes=st.integers(1, 3),
    background=st.sampled_from([0.0, 500.0]),
)
def test_every_value_of_the_file_is_played_once_in_its_plane(
    n_rois: int, n_turns: int, n_planes: int, background: float
) -> None:
    n_planes = min(n_planes, n_rois)
    source = RecordingSource(numbered(n_rois, n_turns, n_planes), background_counts=background)
    frames = take(source, 1000)
    assert [f.frame_id for f in frames] == list(range(n_turns * n_planes))
    for f in frames:
        turn, plane = divmod(f.frame_id, n_planes)
        assert f.plane == plane
        rows = range(plane, n_rois, n_planes)
        assert f.fluorescence.dtype == np.float32
        assert f.fluorescence.tolist() == [10_000 * row + turn + background for row in rows]


@given(
    n_turns=st.integers(1, 20),
    n_planes=st.integers(1, 3),
    start=st.integers(0, 100),
    loop=st.booleans(),
)
def test_seek_gives_what_reading_on_gives(
    n_turns: int, n_planes: int, start: int, loop: bool
) -> None:
    traces = numbered(4, n_turns, n_planes)
    through = RecordingSource(traces, loop=loop)
    read_on = take(through, start + 10)[start:]
    sought = RecordingSource(traces, loop=loop)
    take(sought, 3)
    sought.seek(start)
    assert same(take(sought, 10), read_on)


@given(n_frames=st.integers(2, 41), n_planes=st.integers(1, 4))
def test_looping_keeps_ids_and_planes_in_step_even_where_a_turn_is_incomplete(
    n_frames: int, n_planes: int
) -> None:
    lengths = [len(range(plane, n_frames, n_planes)) for plane in range(n_planes)]
    if not all(lengths):
        return
    planes = [
        PlaneTraces(np.arange(float(length))[np.newaxis] + 1000 * plane, (f"p{plane}",))
        for plane, length in enumerate(lengths)
    ]
    source = RecordingSource(combine(HERE, planes, 30.0), loop=True)
    frames = take(source, 3 * n_frames + 1)
    assert [f.frame_id for f in frames] == list(range(3 * n_frames + 1))
    assert [f.plane for f in frames] == [i % n_planes for i in range(3 * n_frames + 1)]
    whole_turns = n_frames // n_planes
    expected = [
        1000.0 * (i % n_planes) + (i // n_planes) % whole_turns for i in range(3 * n_frames + 1)
    ]
    assert [f.fluorescence[0] for f in frames] == expected


def test_once_played_the_incomplete_turn_is_not_left_out() -> None:
    planes = [PlaneTraces(np.ones((1, n)), (f"p{n}",)) for n in (3, 2)]
    frames = take(RecordingSource(combine(HERE, planes, 30.0)), 99)
    assert [f.plane for f in frames] == [0, 1, 0, 1, 0]


def test_a_recording_longer_than_a_block_is_played_whole() -> None:
    n_turns = 2 * BLOCK_FRAMES + 3
    frames = take(RecordingSource(numbered(2, n_turns, 1)), n_turns + 1)
    assert [f.fluorescence[0] for f in frames] == list(range(n_turns))


def test_past_the_end_there_is_nothing_to_read() -> None:
    source = RecordingSource(numbered(2, 5, 1))
    source.seek(5)
    with pytest.raises(EndOfSource):
        source.read(0.0)
    source.seek(4)
    assert source.read(0.0).frame_id == 4
