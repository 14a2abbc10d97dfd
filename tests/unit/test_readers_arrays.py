import pickle
from pathlib import Path

import numpy as np
import pytest

from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RateUnknown, RecordingError


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(0).random((5, 12), np.float32)


def test_npy_keeps_values_and_names_rows_from_zero(tmp_path: Path, matrix: np.ndarray) -> None:
    np.save(tmp_path / "t.npy", matrix)
    traces = read_traces(tmp_path / "t.npy", rate_hz=30.0)
    assert traces.labels == ("roi0000", "roi0001", "roi0002", "roi0003", "roi0004")
    assert traces.info.rate_hz == 30.0
    assert traces.duration_s == pytest.approx(12 / 30)
    np.testing.assert_array_equal(traces.fluorescence[0], matrix)


def test_npy_stays_on_the_disk(tmp_path: Path, matrix: np.ndarray) -> None:
    np.save(tmp_path / "t.npy", matrix)
    array = read_traces(tmp_path / "t.npy", rate_hz=30.0).fluorescence[0]
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    assert isinstance(array, np.memmap)


def test_rows_of_an_npy_are_dealt_to_the_planes_in_turn(tmp_path: Path, matrix: np.ndarray) -> None:
    np.save(tmp_path / "t.npy", matrix)
    traces = read_traces(tmp_path / "t.npy", rate_hz=30.0, n_planes=2)
    assert [roi.plane for roi in traces.info.rois] == [0, 1, 0, 1, 0]
    assert traces.labels[1] == "roi0001"
    np.testing.assert_array_equal(traces.fluorescence[0], matrix[[0, 2, 4]])
    np.testing.assert_array_equal(traces.fluorescence[1], matrix[[1, 3]])
    assert list(traces.planes[:4]) == [0, 1, 0, 1]
    assert list(traces.frame_ids) == list(range(24))


def test_npy_without_a_rate_asks_for_one(tmp_path: Path, matrix: np.ndarray) -> None:
    np.save(tmp_path / "t.npy", matrix)
    with pytest.raises(RateUnknown, match=r"rig\.source\.rate_hz"):
        read_traces(tmp_path / "t.npy")


@pytest.mark.parametrize("name", ["traces", "F", "anything"])
def test_npz_finds_its_traces(tmp_path: Path, matrix: np.ndarray, name: str) -> None:
    extra = {} if name == "anything" else {"another": np.zeros((3, 3))}
    labels = [f"cell{i}" for i in range(5)]
    np.savez(tmp_path / "t.npz", **{name: matrix}, **extra, labels=labels, rate_hz=20.0)
    traces = read_traces(tmp_path / "t.npz")
    assert traces.labels == tuple(labels)
    assert traces.info.rate_hz == 20.0
    np.testing.assert_array_equal(traces.fluorescence[0], matrix)


def test_the_settings_rate_goes_before_that_of_the_file(tmp_path: Path, matrix: np.ndarray) -> None:
    np.savez(tmp_path / "t.npz", traces=matrix, rate_hz=20.0)
    assert read_traces(tmp_path / "t.npz", rate_hz=31.0).info.rate_hz == 31.0


def save(path: Path, what: object) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **what)  # type: ignore[arg-type]
    elif isinstance(what, bytes):
        path.write_bytes(what)
    else:
        np.save(path, what, allow_pickle=True)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("name", "what", "said"),
    [
        ("t.npy", np.zeros(7), "n_rois × n_frames"),
        ("t.npy", np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        ("t.npy", np.zeros((0, 4)), "empty"),
        ("t.npy", np.zeros((4, 0)), "empty"),
        ("t.npy", np.full((4, 9), np.nan), "no finite value"),
        ("t.npy", np.zeros((4, 9), complex), "complex"),
        ("t.npy", np.array([[{}]], object), "numbers"),
        ("t.npy", b"", "numbers"),
        ("t.npy", b"not an array at all", "numbers"),
        ("t.npz", {"a": np.zeros((2, 2)), "b": np.zeros((2, 2))}, "holds a, b"),
        ("t.npz", {"traces": np.zeros((2, 2)), "labels": ["x"]}, "1 labels for 2"),
        ("t.npz", {"traces": np.zeros((2, 2)), "labels": ["x", "x"]}, "used twice"),
        ("t.nwb", b"not hdf5", "no NWB file"),
        ("t.xls", b"", "Give it"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(
    tmp_path: Path, name: str, what: object, said: str
) -> None:
    path = save(tmp_path / name, what)
    with pytest.raises(RecordingError, match=said) as raised:
        read_traces(path, rate_hz=30.0)
    assert str(path) in str(raised.value)


def test_more_planes_than_rois_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.ones((2, 9)))
    with pytest.raises(RecordingError, match="2 ROIs for 3 planes"):
        read_traces(tmp_path / "t.npy", rate_hz=30.0, n_planes=3)


def test_a_missing_file_and_an_unknown_kind_say_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        read_traces(tmp_path / "absent.npy")
    with pytest.raises(RecordingError, match=r"\.npy .*suite2p"):
        read_traces(tmp_path)


def test_a_pickle_under_the_name_of_an_array_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "sprung"), "w"))  # type: ignore[return-value]

    (tmp_path / "t.npy").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(RecordingError):
        read_traces(tmp_path / "t.npy", rate_hz=1.0)
    assert not (tmp_path / "sprung").exists()
