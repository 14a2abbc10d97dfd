"""A mouse's neurons through every file format and through the whole of acquisition."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bci.core.stream_types import RoiFrame
from bci.recording.readers.registry import read_traces
from bci.stream.publisher import Delivery

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from acquired_stream import acquiring, session_of

pytestmark = pytest.mark.realdata
BACKGROUND = 500.0


@pytest.fixture
def traces_npy(bci_data: Path) -> Path:
    return bci_data / "sue2x" / "traces.npy"


@pytest.mark.parametrize("n_planes", [1, 2])
def test_every_value_of_the_recording_arrives(traces_npy: Path, n_planes: int) -> None:
    expected = np.load(traces_npy) + np.float32(BACKGROUND)
    source = {
        "kind": "recording",
        "path": str(traces_npy),
        "rate_hz": 30.0,
        "n_planes": n_planes,
        "background_counts": BACKGROUND,
    }
    with acquiring(session_of(source, delivery="lossless")) as (_, receiver):
        receiver.start(Delivery.LOSSLESS, credits=64)
        frames: list[RoiFrame] = receiver.to_the_end(credits=64)
    assert [f.frame_id for f in frames] == list(range(3000 * n_planes))
    for plane in range(n_planes):
        values = np.stack([f.fluorescence for f in frames if f.plane == plane])
        np.testing.assert_array_equal(values, expected[plane::n_planes].T)


def test_the_recording_is_the_same_out_of_suite2p(traces_npy: Path, tmp_path: Path) -> None:
    traces = np.load(traces_npy)
    np.save(tmp_path / "F.npy", traces)
    ops = np.array({"fs": 30.0, "Ly": 170, "Lx": 170, "nplanes": 1}, object)
    np.save(tmp_path / "ops.npy", ops, allow_pickle=True)
    read = read_traces(tmp_path)
    assert read.info.rate_hz == 30.0
    assert read.duration_s == pytest.approx(100.0)
    np.testing.assert_array_equal(read.fluorescence[0], traces)
