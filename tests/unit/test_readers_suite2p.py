from pathlib import Path

import numpy as np
import pytest

from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RecordingError


def write_plane(
    folder: Path, fluorescence: np.ndarray, accepted: list[int], *, fs: float | None = 15.0
) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "F.npy", fluorescence)
    iscell = np.zeros((len(fluorescence), 2))
    iscell[accepted, 0] = 1
    np.save(folder / "iscell.npy", iscell)
    stat = [
        {
            "ypix": np.array([i, i + 1]),
            "xpix": np.array([10 * i, 10 * i]),
            "lam": np.array([1.0, 3.0], np.float32),
            "med": [np.int64(3), 4.5],
        }
        for i in range(len(fluorescence))
    ]
    np.save(folder / "stat.npy", np.array(stat, object), allow_pickle=True)
    ops: dict[str, object] = {"Ly": 64, "Lx": np.int64(48), "nplanes": 2, "data_path": folder}
    if fs is not None:
        ops["fs"] = fs
    np.save(folder / "ops.npy", np.array(ops, object), allow_pickle=True)


def add_to_ops(plane: Path, name: str = "ops.npy", **told: object) -> None:
    path = plane / name
    ops = np.load(path, allow_pickle=True).item() if path.is_file() else {}
    np.save(path, np.array(ops | told, object), allow_pickle=True)


def some(n_rois: int, n_frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_rois, n_frames), np.float32)


@pytest.mark.parametrize("named", ["suite2p", "suite2p/plane0", "."])
def test_single_plane_keeps_cells_labels_masks_and_rate(tmp_path: Path, named: str) -> None:
    fluorescence = some(4, 9)
    write_plane(tmp_path / "suite2p" / "plane0", fluorescence, [1, 3])
    traces = read_traces(tmp_path / named)
    assert traces.labels == ("roi0001", "roi0003")
    assert traces.info.rate_hz == 15.0
    assert traces.info.image_shape == (64, 48)
    np.testing.assert_array_equal(traces.fluorescence[0], fluorescence[[1, 3]])
    np.testing.assert_array_equal(traces.masks[1].y_px, [3, 4])
    np.testing.assert_array_equal(traces.masks[1].weight, [1, 3])
    assert (traces.info.rois[1].x_px, traces.info.rois[1].y_px) == (30.0, 3.5)


def test_planes_take_turns_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    planes = [some(3, 8 if number < 3 else 7, number) for number in range(11)]
    for number, fluorescence in enumerate(planes):
        write_plane(tmp_path / f"plane{number}", fluorescence, [0, 2])
    traces = read_traces(tmp_path)
    assert traces.info.n_planes == 11
    assert traces.info.rate_hz == 15.0 * 11
    assert traces.labels[2:4] == ("plane1_roi0000", "plane1_roi0002")
    assert list(traces.planes[:13]) == [*range(11), 0, 1]
    assert len(traces.frame_ids) == 3 * 8 + 8 * 7
    np.testing.assert_array_equal(traces.fluorescence[10], planes[10][[0, 2]])


def test_masks_and_cells_are_not_needed(tmp_path: Path) -> None:
    np.save(tmp_path / "F.npy", some(3, 5))
    traces = read_traces(tmp_path, rate_hz=9.0)
    assert len(traces.labels) == 3
    assert traces.masks == ()


@pytest.mark.parametrize("name", ["ops.npy", "reg_outputs.npy"])
def test_every_plane_has_its_own_mean_image(tmp_path: Path, name: str) -> None:
    for number in range(3):
        write_plane(tmp_path / f"plane{number}", some(3, 5), [0, 2])
    images = some(64, 48, 1), some(64, 48, 2)
    for plane, image in zip((0, 2), images, strict=True):
        add_to_ops(tmp_path / f"plane{plane}", name, meanImg=image)
    first, second, third = read_traces(tmp_path).mean_images
    np.testing.assert_array_equal(first, images[0])
    assert second is None
    np.testing.assert_array_equal(third, images[1])


@pytest.mark.parametrize(
    "image",
    [np.zeros(3), np.zeros((5, 48)), np.full((64, 48), np.nan), np.zeros((64, 48), complex), None],
)
def test_an_image_that_cannot_be_of_these_rois_is_left_out(tmp_path: Path, image: object) -> None:
    write_plane(tmp_path / "plane0", some(5, 5), [0, 4])
    add_to_ops(tmp_path / "plane0", meanImg=image)
    assert read_traces(tmp_path).mean_images == (None,)


def test_the_combined_folder_is_one_plane_with_one_image(tmp_path: Path) -> None:
    for name in ("plane0", "plane1", "combined"):
        write_plane(tmp_path / name, some(2, 9), [0, 1])
    both = some(64, 96)
    add_to_ops(tmp_path / "combined", Lx=96, meanImg=both)
    assert read_traces(tmp_path).info.n_planes == 2
    traces = read_traces(tmp_path / "combined")
    assert traces.info.n_planes == 1
    assert traces.info.image_shape == (64, 96)
    np.testing.assert_array_equal(traces.mean_images[0], both)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: np.save(folder / "iscell.npy", np.zeros((9, 2))), "9 rows for 3"),
        (lambda folder: np.save(folder / "iscell.npy", np.zeros((3, 2))), "accepts no ROI"),
        (lambda folder: np.save(folder / "F.npy", np.zeros(3)), "2-D"),
        (lambda folder: np.save(folder / "stat.npy", np.zeros(3)), "ypix"),
        (lambda folder: (folder / "ops.npy").unlink(), "frame rate"),
        (lambda folder: (folder / "ops.npy").write_bytes(b"junk"), "not readable"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, spoil: object, said: str) -> None:
    write_plane(tmp_path / "plane0", some(3, 5), [0])
    spoil(tmp_path / "plane0")  # type: ignore[operator]
    with pytest.raises(RecordingError, match=said):
        read_traces(tmp_path)


def test_planes_of_other_recordings_are_refused(tmp_path: Path) -> None:
    write_plane(tmp_path / "plane0", some(2, 9), [0])
    write_plane(tmp_path / "plane1", some(2, 5), [0])
    with pytest.raises(RecordingError, match="do not take turns"):
        read_traces(tmp_path)


def test_the_settings_planes_must_be_those_of_the_folder(tmp_path: Path) -> None:
    write_plane(tmp_path / "plane0", some(2, 9), [0])
    with pytest.raises(RecordingError, match=r"rig\.source\.n_planes = 1"):
        read_traces(tmp_path, n_planes=2)


def test_a_folder_from_elsewhere_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return (open, (str(tmp_path / "sprung"), "w"))

    write_plane(tmp_path / "plane0", some(2, 9), [0])
    ops = np.array({"fs": 10.0, "trap": Trap()}, object)
    np.save(tmp_path / "plane0" / "ops.npy", ops, allow_pickle=True)
    assert read_traces(tmp_path).info.rate_hz == 10.0
    assert not (tmp_path / "sprung").exists()
