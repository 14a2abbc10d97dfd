import lzma
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

pytestmark = pytest.mark.slow


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


NEUROCONV = Path(__file__).resolve().parents[1] / "support" / "neuroconv.nwb.xz"


@pytest.fixture
def of_neuroconv(tmp_path: Path) -> Path:
    """A file that neuroconv 0.10.2 wrote of a suite2p folder of 2 planes, 5 ROIs in each.

    Values of F.npy are 1000 + 100 × plane + 10 × ROI + frame / 8, of Fneu.npy 500 less, of spks.npy
    1000 less; iscell.npy accepts the ROIs 0, 2 and 3.
    """
    path = tmp_path / "neuroconv.nwb"
    path.write_bytes(lzma.decompress(NEUROCONV.read_bytes()))
    return path


def of_suite2p(offset: float, plane: int, rois: list[int]) -> np.ndarray:
    values = offset + 100 * plane + 10 * np.array(rois)[:, None] + np.arange(40)[None, :] / 8
    return values.astype(np.float32)


def test_a_file_of_neuroconv_plays_raw_fluorescence_of_all_planes(of_neuroconv: Path) -> None:
    traces = read_traces(of_neuroconv)
    cells = [0, 2, 3]
    assert traces.info.n_planes == 2
    assert traces.info.rate_hz == pytest.approx(30.0)
    assert traces.labels == tuple(f"plane{plane}_roi{i:04d}" for plane in (0, 1) for i in cells)
    for plane in (0, 1):
        np.testing.assert_array_equal(traces.fluorescence[plane], of_suite2p(1000, plane, cells))
        image = traces.mean_images[plane]
        assert image is not None
        assert image.shape == (32, 48)
        assert (image[0, 0], image[0, 1]) == (10_000 * plane, 10_000 * plane + 1)
    # as NWB defines them, though neuroconv put suite2p's ypix first: docs/recordings.md
    of_roi_2 = traces.masks[1]
    assert (of_roi_2.x_px.tolist(), of_roi_2.y_px.tolist()) == ([2, 3], [4, 5])


@pytest.mark.parametrize(
    ("series", "offset", "planes"),
    [
        (["RoiResponseSeriesChan1Plane1"], 1000, [1]),
        (["Fluorescence/NeuropilChan1Plane1", "NeuropilChan1Plane0"], 500, [1, 0]),
        (["DeconvolvedChan1Plane0"], 0, [0]),
    ],
)
def test_series_are_played_by_their_names(
    of_neuroconv: Path, series: list[str], offset: float, planes: list[int]
) -> None:
    traces = read_traces(of_neuroconv, rate_hz=30.0, series=series)
    assert traces.info.n_planes == len(planes)
    for found, plane in zip(traces.fluorescence, planes, strict=True):
        np.testing.assert_array_equal(found, of_suite2p(offset, plane, [0, 2, 3]))


def write_series(
    path: Path, *names: str, columns: dict[str, object] | None = None, n_rois: int = 2
) -> Path:
    """A file with series `container/name`, the values of the i-th all i."""
    builder = Builder()
    table = builder.segment("s", n_rois, None)
    for name, data in (columns or {}).items():
        table.add_column(name=name, description="d", data=data)
    containers: dict[str, Fluorescence | DfOverF] = {}
    for i, name in enumerate(names):
        where, _, one = name.partition("/")
        if where not in containers and where != "ophys":
            kind = DfOverF if where.startswith("Df") else Fluorescence
            containers[where] = kind(name=where)
            builder.module.add(containers[where])
        made = builder.series(one, table, np.full((5, n_rois), i, np.float32), rate=5.0)
        if where == "ophys":
            builder.module.add(made)
        else:
            containers[where].add_roi_response_series(made)
    return builder.write(path)


@pytest.mark.parametrize(
    ("names", "played"),
    [
        (("Fluorescence/Deconvolved", "Fluorescence/Neuropil", "Fluorescence/Roi"), [2]),
        (("Fluorescence/Denoised", "Fluorescence/RoiResponseSeries", "DfOverF/DfOverF"), [1]),
        (("Fluorescence/Deconvolved", "DfOverF/RoiResponseSeries"), [1]),
        (("Deconvolved/plane0", "Neuropil/plane0", "Fluorescence/plane0"), [2]),
        (("Fluorescence/plane1", "Fluorescence/plane0", "Neuropil/plane0"), [1, 0]),
        (("Fluorescence/F_plane10", "Fluorescence/F_plane9"), [1, 0]),
        (("ophys/spikes", "ophys/neuropil_corrected"), [1]),
        (("ophys/F", "ophys/background"), [0]),
    ],
)  # fmt: skip
def test_raw_fluorescence_goes_before_what_was_made_of_it(
    tmp_path: Path, names: tuple[str, ...], played: list[int]
) -> None:
    traces = read_traces(write_series(tmp_path / "t.nwb", *names))
    assert [float(plane[0, 0]) for plane in traces.fluorescence] == played


@pytest.mark.parametrize(
    "names",
    [
        ("Fluorescence/RoiResponseSeriesChan1Plane0", "Fluorescence/RoiResponseSeriesChan2Plane0"),
        ("Fluorescence/RoiResponseSeries1", "Fluorescence/RoiResponseSeries2"),
        ("ophys/F", "ophys/G"),
        ("Fluorescence/plane0", "Fluorescence/plane2"),
        ("Fluorescence/Deconvolved",),
        ("Neuropil/plane0", "Background/plane0"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_with_its_names(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    path = write_series(tmp_path / "t.nwb", *names)
    with pytest.raises(RecordingError) as raised:
        read_traces(path)
    assert all(name in raised.value.wrong for name in names)
    assert "rig.source.series" in raised.value.todo
    (played,) = read_traces(path, series=names[-1:]).fluorescence
    assert played[0, 0] == len(names) - 1


def test_a_series_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = write_series(tmp_path / "t.nwb", "A/r", "B/r")
    for name, named in (("B/x", ("A/r", "B/r")), ("r", ("A/r", "B/r"))):
        with pytest.raises(RecordingError) as raised:
            read_traces(path, series=[name])
        assert all(one in raised.value.wrong for one in named)
    np.save(tmp_path / "t.npy", np.ones((2, 5)))
    with pytest.raises(RecordingError, match=r"rig\.source\.series"):
        read_traces(tmp_path / "t.npy", rate_hz=5.0, series=["A/r"])


@pytest.mark.parametrize(
    ("column", "data", "kept"),
    [
        ("iscell", [1.0, 0.0, 1.0], [0, 2]),
        ("iscell", np.array([[0, 0.9], [1, 0.2], [1, 0.8]]), [1, 2]),
        ("Accepted", [True, False, False], [0]),
        ("Accepted", [0, 0, 1], [2]),
    ],
)
def test_rejected_rois_are_left_out(
    tmp_path: Path, column: str, data: object, kept: list[int]
) -> None:
    path = write_series(tmp_path / "t.nwb", "Fluorescence/r", columns={column: data}, n_rois=3)
    traces = read_traces(path)
    assert traces.labels == tuple(f"roi{i:04d}" for i in kept)
    assert [int(mask.x_px[0]) // 4 for mask in traces.masks] == kept
    assert traces.fluorescence[0].shape == (len(kept), 5)


def test_a_file_that_accepts_no_roi_is_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path / "t.nwb", "Fluorescence/r", columns={"Accepted": [0, 0]})
    with pytest.raises(RecordingError, match="Accepted"):
        read_traces(path)


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
