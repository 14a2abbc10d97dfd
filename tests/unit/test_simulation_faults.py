import time
from typing import Any

import numpy as np
import pytest

from bci.config.rig import SimulatedSource
from bci.core.source import EndOfSource, SourceFrame
from bci.simulation.faults import (
    Dark,
    Duplicate,
    FarFuture,
    FaultySource,
    Gap,
    NotFinite,
    OutOfOrder,
    Saturated,
    Stall,
    StreamFault,
    Unchanged,
)
from bci.simulation.field_of_view import SimulatedFieldOfView


def sound(**settings: Any) -> SimulatedFieldOfView:
    return SimulatedFieldOfView(
        SimulatedSource(kind="simulated", n_rois=4, duration_s=0.4, **settings)
    )


def play(faults: list[StreamFault], **settings: Any) -> list[SourceFrame]:
    source = FaultySource(sound(**settings), faults)
    frames = []
    while True:
        try:
            frame = source.read(0.01)
        except EndOfSource:
            return frames
        if frame is not None:
            frames.append(frame)


def ids(faults: list[StreamFault]) -> list[int]:
    return [frame.frame_id for frame in play(faults)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Gap(3, 2), [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]),
        (Duplicate(3), [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (OutOfOrder(3), [0, 1, 2, 4, 3, 5, 6, 7, 8, 9, 10, 11]),
        (FarFuture(3, 1000), [0, 1, 2, 1003, 4, 5, 6, 7, 8, 9, 10, 11]),
    ],
)
def test_ids_are_spoilt_where_asked_and_nowhere_else(
    fault: StreamFault, expected: list[int]
) -> None:
    assert ids([fault]) == expected


def test_without_faults_it_is_the_source_itself() -> None:
    through = sound()
    for frame in play([]):
        expected = through.read(0.0)
        assert frame.frame_id == expected.frame_id
        np.testing.assert_array_equal(frame.fluorescence, expected.fluorescence)


def values(fault: StreamFault, **settings: Any) -> list[np.ndarray]:
    return [frame.fluorescence for frame in play([fault], **settings)]


def test_values_are_spoilt_for_as_long_as_asked() -> None:
    good = values(Gap(99))
    not_finite = values(NotFinite(2, (1, 3), n_frames=2))
    assert [np.isnan(v).tolist() for v in not_finite[1:5]] == [
        [False] * 4,
        [False, True, False, True],
        [False, True, False, True],
        [False] * 4,
    ]
    assert [set(v) == {100.0} for v in values(Dark(2, 3))[:7]] == [False] * 2 + [True] * 3 + [
        False
    ] * 2
    assert set(values(Saturated(2, 4095.0))[2]) == {4095.0}
    stale = values(Unchanged(2, 3))
    for frame_id in (2, 3, 4):
        np.testing.assert_array_equal(stale[frame_id], good[1])
    np.testing.assert_array_equal(stale[5], good[5])


def test_a_stale_image_is_that_of_its_own_plane() -> None:
    good = values(Gap(99), n_planes=2)
    stale = values(Unchanged(4, 2), n_planes=2)
    np.testing.assert_array_equal(stale[4], good[2])
    np.testing.assert_array_equal(stale[5], good[3])


def test_faults_add_up() -> None:
    frames = play([Dark(3), Duplicate(3), Gap(5), OutOfOrder(8)])
    assert [f.frame_id for f in frames] == [0, 1, 2, 3, 3, 4, 6, 7, 9, 8, 10, 11]
    assert [set(f.fluorescence) == {100.0} for f in frames[3:5]] == [True, True]


def test_a_stall_holds_the_stream_and_loses_nothing() -> None:
    source = FaultySource(sound(), [Stall(3, 0.05)])
    assert [source.read(0.01).frame_id for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
    start = time.perf_counter()
    assert source.read(0.001) is None
    while (frame := source.read(0.01)) is None:
        pass
    assert time.perf_counter() - start >= 0.05
    assert frame.frame_id == 3
    assert source.read(0.0).frame_id == 4  # type: ignore[union-attr]


def test_seeking_forgets_what_was_held_back() -> None:
    source = FaultySource(sound(), [OutOfOrder(3)])
    source.seek(3)
    assert source.read(0.0).frame_id == 4  # type: ignore[union-attr]
    source.seek(7)
    assert source.read(0.0).frame_id == 7  # type: ignore[union-attr]


def test_a_frame_held_back_at_the_very_end_still_comes() -> None:
    assert ids([OutOfOrder(11)])[-1] == 11
