"""Recordings in the formats of others, as their own programs would have written them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pynwb import NWBHDF5IO, NWBFile
from pynwb.base import Images
from pynwb.image import GrayscaleImage
from pynwb.ophys import Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries

# rows x columns: told apart from its transpose
MEAN_IMAGE = np.arange(64.0 * 80.0, dtype=np.float32).reshape(64, 80)


def write_suite2p(folder: Path, traces: np.ndarray, rate_hz: float) -> Path:
    """A suite2p folder of one plane, every ROI a cell; traces are ROIs x frames."""
    plane = folder / "suite2p" / "plane0"
    plane.mkdir(parents=True)
    n_rois = len(traces)
    np.save(plane / "F.npy", traces)
    np.save(plane / "iscell.npy", np.ones((n_rois, 2)))
    stat = [
        {"ypix": np.array([i]), "xpix": np.array([2 * i]), "lam": np.ones(1, np.float32)}
        for i in range(n_rois)
    ]
    np.save(plane / "stat.npy", np.array(stat, object), allow_pickle=True)
    ops = {"Ly": 64, "Lx": 80, "nplanes": 1, "fs": rate_hz, "meanImg": MEAN_IMAGE}
    np.save(plane / "ops.npy", np.array(ops, object), allow_pickle=True)
    return folder / "suite2p"


def write_nwb(folder: Path, traces: np.ndarray, rate_hz: float) -> Path:
    """An NWB file with one `RoiResponseSeries`, its ROIs labelled; traces are ROIs x frames."""
    folder.mkdir(parents=True)
    file = NWBFile(
        session_description="a recording",
        identifier="id",
        session_start_time=datetime(2026, 11, 22, 8, 15, tzinfo=UTC),
    )
    plane = file.create_imaging_plane(
        name="imaging",
        optical_channel=OpticalChannel(name="green", description="d", emission_lambda=510.0),
        description="d",
        device=file.create_device(name="microscope"),
        excitation_lambda=920.0,
        indicator="jGCaMP7f",
        location="RSC",
    )
    segmentation = ImageSegmentation()
    module = file.create_processing_module(name="ophys", description="d")
    module.add(segmentation)
    table = segmentation.create_plane_segmentation(
        name="plane0", description="d", imaging_plane=plane
    )
    for roi in range(len(traces)):
        table.add_roi(pixel_mask=[(2 * roi, roi, 1.0)])
    labels = [f"roi{roi:04d}" for roi in range(len(traces))]
    table.add_column(name="label", description="name of the ROI", data=labels)
    rois = table.create_roi_table_region(region=list(range(len(traces))), description="all")
    series = RoiResponseSeries(
        name="plane0", data=traces.T, rois=rois, unit="n.a.", rate=rate_hz, starting_time=0.0
    )
    fluorescence = Fluorescence()
    module.add(fluorescence)
    fluorescence.add_roi_response_series(series)
    mean = GrayscaleImage(name="meanImg", data=MEAN_IMAGE.T)
    module.add(Images(name="Backgrounds_0", images=[mean]))
    path = folder / "recording.nwb"
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path
