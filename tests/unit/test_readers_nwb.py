import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdmf.backends.hdf5 import H5DataIO
from pynwb import NWBHDF5IO, NWBFile
from pynwb.base import Images
from pynwb.image import GrayscaleImage, ImageSeries
from pynwb.ophys import (
    DfOverF,
    Fluorescence,
    ImageSegmentation,
    OpticalChannel,
    PlaneSegmentation,
    RoiResponseSeries,
)

from bci.recording.readers import nwb
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RecordingError


class Builder:
    """An NWB file with as many planes as are added."""

    def __init__(self) -> None:
        start = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
        self.file = NWBFile(
            session_description="a session", identifier="id", session_start_time=start
        )
        device = self.file.create_device(name="microscope")
        self.imaging = self.file.create_imaging_plane(
            name="imaging",
            optical_channel=OpticalChannel(name="green", description="d", emission_lambda=510.0),
            description="d",
            device=device,
            excitation_lambda=920.0,
            indicator="jGCaMP7f",
            location="RSC",
        )
        self.module = self.file.create_processing_module(name="ophys", description="d")
        self.segmentation = ImageSegmentation()
        self.module.add(self.segmentation)

    def segment(self, name: str, n_rois: int, labels: list[str] | None) -> PlaneSegmentation:
        table = self.segmentation.create_plane_segmentation(
            name=name, description="d", imaging_plane=self.imaging
        )
        for roi in range(n_rois):
            table.add_roi(pixel_mask=[(4 * roi, 2, 1.0), (4 * roi + 2, 2, 0.5)])
        if labels is not None:
            table.add_column(name="label", description="name of the ROI", data=labels)
        return table

    def series(
        self, name: str, table: PlaneSegmentation, data: np.ndarray, **times: object
    ) -> RoiResponseSeries:
        rois = table.create_roi_table_region(
            region=list(range(data.shape[1])), description="all ROIs"
        )
        return RoiResponseSeries(name=name, data=data, rois=rois, unit="n.a.", **times)

    def images(self, name: str, **images: np.ndarray) -> None:
        container = Images(name=name)
        for one, data in images.items():
            container.add_image(GrayscaleImage(name=one, data=data))
        self.module.add(container)

    def write(self, path: Path) -> Path:
        with NWBHDF5IO(path, "w") as io:
            io.write(self.file)
        return path


def some(n_frames: int, n_rois: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_frames, n_rois)).astype(np.float32)


def test_planes_of_the_fluorescence_container_take_turns(tmp_path: Path) -> None:
    builder = Builder()
    data = [some(9, 2, 1), some(8, 3, 2)]
    tables = [builder.segment("s0", 2, ["a", "b"]), builder.segment("s1", 3, ["c", "d", "e"])]
    container = Fluorescence()
    builder.module.add(container)
    for plane in (1, 0):
        container.add_roi_response_series(
            builder.series(f"plane{plane}", tables[plane], data[plane], rate=15.46)
        )
    traces = read_traces(builder.write(tmp_path / "t.nwb"))
    assert traces.info.n_planes == 2
    assert traces.info.rate_hz == pytest.approx(30.92)
    assert traces.labels == ("a", "b", "c", "d", "e")
    assert [roi.plane for roi in traces.info.rois] == [0, 0, 1, 1, 1]
    assert len(traces.frame_ids) == 17
    for plane in (0, 1):
        np.testing.assert_array_equal(traces.fluorescence[plane], data[plane].T)
    np.testing.assert_array_equal(traces.masks[1].x_px, [4, 6])
    assert (traces.info.rois[1].x_px, traces.info.rois[1].y_px) == (5.0, 2.0)


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [
        ("Backgrounds_0/meanImg", "Backgrounds_1/meanImg", "Backgrounds_0/meanImg_chan2"),
        ("Images/MeanImageChan1Plane0", "Images/MeanImageChan1Plane1", "Images/CorrelationImage"),
        ("MeanImages/plane0", "MeanImages/plane1", "Summary/max_projection"),
    ],
)
def test_each_plane_has_the_mean_image_that_is_called_so(
    tmp_path: Path, first: str, second: str, other: str
) -> None:
    builder = Builder()
    container = Fluorescence()
    builder.module.add(container)
    for plane in (0, 1):
        table = builder.segment(f"s{plane}", 2, None)
        series = builder.series(f"plane{plane}", table, some(9, 2), rate=15.0)
        container.add_roi_response_series(series)
    # 30 wide, 20 high; NWB counts width first
    data = {name: some(30, 20, seed) for seed, name in enumerate((other, first, second))}
    containers: dict[str, dict[str, np.ndarray]] = {}
    for name, image in data.items():
        where, _, what = name.partition("/")
        containers.setdefault(where, {})[what] = image
    for where, images in containers.items():
        builder.images(where, **images)
    means = read_traces(builder.write(tmp_path / "t.nwb")).mean_images
    np.testing.assert_array_equal(means[0], data[first].T)
    np.testing.assert_array_equal(means[1], data[second].T)


@pytest.mark.parametrize("n_frames", [1, 2])
def test_a_single_reference_image_stands_in_for_a_mean_image(tmp_path: Path, n_frames: int) -> None:
    builder = Builder()
    image = np.stack([some(30, 20, 1)] * n_frames)
    reference = ImageSeries(name="reference", data=image, unit="n.a.", rate=1.0)
    builder.file.add_acquisition(reference)
    table = builder.segmentation.create_plane_segmentation(
        name="s", description="d", imaging_plane=builder.imaging, reference_images=reference
    )
    table.add_roi(voxel_mask=[(4, 2, 0, 1.0), (6, 2, 0, 0.5)])
    container = Fluorescence()
    builder.module.add(container)
    container.add_roi_response_series(builder.series("r", table, some(5, 1), rate=5.0))
    traces = read_traces(builder.write(tmp_path / "t.nwb"))
    if n_frames == 1:
        np.testing.assert_array_equal(traces.mean_images[0], image[0].T)
    else:
        assert traces.mean_images == (None,)
    np.testing.assert_array_equal(traces.masks[0].x_px, [4, 6])
    np.testing.assert_array_equal(traces.masks[0].weight, [1, 0.5])


def test_without_such_a_container_the_only_series_is_taken(tmp_path: Path) -> None:
    builder = Builder()
    table = builder.segment("s", 2, None)
    container = DfOverF()
    builder.module.add(container)
    times = np.cumsum([0, 0.1, 0.1, 0.5, 0.1, 0.1])
    data = some(6, 2)
    container.add_roi_response_series(builder.series("any", table, data, timestamps=times))
    traces = read_traces(builder.write(tmp_path / "t.nwb"))
    assert traces.labels == ("roi0000", "roi0001")
    assert traces.info.rate_hz == pytest.approx(10.0)
    np.testing.assert_array_equal(traces.fluorescence[0], data.T)


def test_raw_fluorescence_goes_before_dff(tmp_path: Path) -> None:
    builder = Builder()
    table = builder.segment("s", 2, None)
    for kind, seed in ((DfOverF, 1), (Fluorescence, 2)):
        container = kind()
        builder.module.add(container)
        container.add_roi_response_series(builder.series("r", table, some(5, 2, seed), rate=5.0))
    traces = read_traces(builder.write(tmp_path / "t.nwb"))
    np.testing.assert_array_equal(traces.fluorescence[0], some(5, 2, 2).T)


def test_the_fluorescence_container_goes_before_the_neuropil_of_the_same_type(
    tmp_path: Path,
) -> None:
    builder = Builder()
    table = builder.segment("s", 2, None)
    for name, seed in (("Deconvolved", 1), ("Neuropil", 2), ("Fluorescence", 3), ("Zero", 4)):
        container = Fluorescence(name=name)
        builder.module.add(container)
        container.add_roi_response_series(
            builder.series("plane0", table, some(5, 2, seed), rate=5.0)
        )
    traces = read_traces(builder.write(tmp_path / "t.nwb"))
    np.testing.assert_array_equal(traces.fluorescence[0], some(5, 2, 3).T)


@pytest.mark.parametrize("chunk_frames", [None, 3, 50])
@pytest.mark.parametrize("n_rois", [1, 5])
def test_values_are_those_of_the_file_wherever_its_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_rois: int, chunk_frames: int | None
) -> None:
    monkeypatch.setattr(nwb, "BLOCK_FRAMES", 7)
    builder, data = Builder(), some(50, n_rois)
    laid = H5DataIO(data, chunks=(chunk_frames, 1)) if chunk_frames else data
    table = builder.segment("plane0", n_rois, None)
    rois = table.create_roi_table_region(region=list(range(n_rois)), description="all ROIs")
    builder.module.add(
        RoiResponseSeries(
            name="F", data=laid, rois=rois, unit="n.a.", rate=10.0, conversion=1.5, offset=-20.0
        )
    )
    (found,) = read_traces(builder.write(tmp_path / "a.nwb"), None, 1).fluorescence
    np.testing.assert_array_equal(found, data.T.astype(np.float32) * 1.5 - 20.0)


def test_a_long_recording_is_in_memory_once(tmp_path: Path) -> None:
    builder, data = Builder(), some(30_000, 100).astype(np.float32)
    series = builder.series("F", builder.segment("plane0", 100, None), data, rate=10.0)
    builder.module.add(series)
    path = builder.write(tmp_path / "a.nwb")
    tracemalloc.start()
    try:
        traces = read_traces(path, None, 1)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert traces.fluorescence[0].nbytes == data.nbytes
    assert most_bytes < 1.6 * data.nbytes


def test_a_file_without_traces_says_so(tmp_path: Path) -> None:
    builder = Builder()
    builder.segment("s", 2, None)
    with pytest.raises(RecordingError, match="no RoiResponseSeries"):
        read_traces(builder.write(tmp_path / "t.nwb"))


def test_an_hdf5_file_that_is_no_nwb_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(RecordingError, match="no NWB file"):
        read_traces(tmp_path / "t.h5")
