"""Imaging planes, ROIs, fluorescence and dF/F."""

from collections.abc import Callable

import numpy as np
from hdmf.common import DynamicTableRegion, VectorData, VectorIndex
from numpy.typing import NDArray
from pynwb import NWBFile, ProcessingModule
from pynwb.base import Images
from pynwb.image import GrayscaleImage
from pynwb.ophys import (
    DfOverF,
    Fluorescence,
    ImageSegmentation,
    ImagingPlane,
    OpticalChannel,
    PlaneSegmentation,
    RoiResponseSeries,
)

from bci.core.decoding.registry import SIGNAL_UNITS
from bci.core.stream_types import Roi
from bci.recording.chosen import final_decoder
from bci.recording.nwb.masks import played_source, roi_masks
from bci.recording.nwb.series import packed_blocks, timing
from bci.recording.readers.traces import RoiMask, Traces
from bci.recording.session_record import ReceivedFrame, SessionRecord
from bci.recording.stepped import ReadOuts, Stepped
from bci.recording.time_axis import TimeAxis

PIXEL = np.dtype([("x", "<u4"), ("y", "<u4"), ("weight", "<f4")])
MASK_COLUMNS = (
    "mask: of the recording that was played; centre: one pixel; none: not known, weight 0."
)


def add_ophys(
    file: NWBFile,
    record: SessionRecord,
    axis: TimeAxis,
    stepped: Stepped,
    read_outs: ReadOuts,
    tell: Callable[[float], None],
) -> None:
    """Add `processing/ophys`: `ImageSegmentation`, `Fluorescence/planeN`, `DfOverF/ensembles`.

    Where the decoder reads another signal than dF/F, `Signal/ensembles` in place of the last; and
    `MeanImages/planeN` where the recording that was played has them.
    """
    module = file.create_processing_module(
        "ophys", "Fluorescence of the ROIs as received, and dF/F of the ensembles."
    )
    segmentation = ImageSegmentation()
    module.add(segmentation)
    source = played_source(record)
    tables = _tables(file, record, source)
    for table in tables:
        segmentation.add_plane_segmentation(table)
    _add_mean_images(module, source)
    _add_fluorescence(module, record, axis, stepped, tables, tell)
    _add_signal(module, record, axis, stepped, read_outs, tables)


def _add_mean_images(module: ProcessingModule, source: Traces | None) -> None:
    images = [
        GrayscaleImage(
            name=f"plane{plane}",
            # NWB images are width × height
            data=np.ascontiguousarray(mean.T),
            description=f"Mean image of plane {plane}, of the recording that was played.",
        )
        for plane, mean in enumerate(source.mean_images if source is not None else ())
        if mean is not None
    ]
    if images:
        about = "Mean image of every plane that has one."
        module.add(Images(name="MeanImages", images=images, description=about))


def _tables(file: NWBFile, record: SessionRecord, source: Traces | None) -> list[PlaneSegmentation]:
    """One imaging plane and one table of ROIs for every plane that has any."""
    info, rig, animal = record.info, record.session.rig, record.session.animal
    imaging = rig.imaging
    decoder = final_decoder(record)
    device = file.create_device(
        name="microscope",
        description=f"{imaging.microscope}, rig '{rig.name}', source '{info.source}'",
        manufacturer=imaging.manufacturer,
    )
    masks = roi_masks(record, source)
    ensemble = dict.fromkeys(decoder.p_plus, "P+") | dict.fromkeys(decoder.p_minus, "P-")
    tables = []
    for plane in range(info.n_planes):
        # the place in the table, whatever a sender wrote into roi_id
        rois = {place: roi for place, roi in enumerate(info.rois) if roi.plane == plane}
        imaging_plane = file.create_imaging_plane(
            name=f"plane{plane}",
            description=f"Imaging plane {plane} of {info.n_planes}, imaged in turn.",
            optical_channel=OpticalChannel(
                name="fluorescence",
                description="Fluorescence of the indicator.",
                emission_lambda=imaging.emission_nm or float("nan"),
            ),
            device=device,
            excitation_lambda=imaging.excitation_nm or float("nan"),
            indicator=animal.indicator,
            location=animal.location,
            imaging_rate=info.plane_rate_hz,
        )
        if rois:
            tables.append(_table(imaging_plane, rois, masks, ensemble))
    return tables


def _table(
    plane: ImagingPlane,
    rois: dict[int, Roi],
    masks: list[tuple[RoiMask, str]],
    ensemble: dict[str, str],
) -> PlaneSegmentation:
    of_rois = [masks[place] for place in rois]
    sizes = [len(mask.x_px) for mask, _ in of_rois]
    pixels = np.empty(sum(sizes), PIXEL)
    pixels["x"] = np.concatenate([mask.x_px for mask, _ in of_rois])
    pixels["y"] = np.concatenate([mask.y_px for mask, _ in of_rois])
    pixels["weight"] = np.concatenate([mask.weight for mask, _ in of_rois])
    pixel_mask = VectorData(name="pixel_mask", description="Pixels of each ROI.", data=pixels)
    columns = [
        VectorData(
            name="label", description="Name of the ROI.", data=[r.label for r in rois.values()]
        ),
        VectorData(
            name="compartment",
            description="soma, dendrite, trunk, as the recording tells.",
            data=[roi.compartment for roi in rois.values()],
        ),
        VectorData(
            name="ensemble",
            description="P+, P- or, where it turns nothing, P0.",
            data=[ensemble.get(roi.label, "P0") for roi in rois.values()],
        ),
        VectorData(
            name="mask_origin", description=MASK_COLUMNS, data=[origin for _, origin in of_rois]
        ),
        VectorIndex(name="pixel_mask_index", data=np.cumsum(sizes), target=pixel_mask),
        pixel_mask,
    ]
    return PlaneSegmentation(
        name=plane.name,
        description=f"ROIs of {plane.name}, in the order of its frames.",
        imaging_plane=plane,
        id=list(rois),
        columns=columns,
        colnames=["label", "compartment", "ensemble", "mask_origin", "pixel_mask"],
    )


def _add_fluorescence(
    module: ProcessingModule,
    record: SessionRecord,
    axis: TimeAxis,
    stepped: Stepped,
    tables: list[PlaneSegmentation],
    tell: Callable[[float], None],
) -> None:
    series = []
    n_frames, n_before = len(stepped.places), 0
    for table in tables:
        plane = int(table.name.removeprefix("plane"))
        rows = np.flatnonzero(stepped.planes == plane)
        if not len(rows):
            continue
        region = DynamicTableRegion(
            name="rois",
            description="All ROIs of the plane.",
            data=list(range(len(table))),
            table=table,
        )
        series.append(
            RoiResponseSeries(
                name=table.name,
                description="Raw counts of every frame that was taken in, as received. "
                + axis.description,
                data=packed_blocks(
                    _reader(record, stepped.places[rows], n_before, n_frames, tell),
                    (len(rows), len(table)),
                    "f4",
                ),
                rois=region,
                unit="counts",
                **timing(axis, stepped.frame_ids[rows]),
            )
        )
        n_before += len(rows)
    _add(module, Fluorescence(name="Fluorescence"), series)


def _add(
    module: ProcessingModule, container: Fluorescence | DfOverF, series: list[RoiResponseSeries]
) -> None:
    """Series after container: their ROIs must share an ancestor with the table by then."""
    if series:
        module.add(container)
        for one in series:
            container.add_roi_response_series(one)


def _reader(
    record: SessionRecord,
    places: NDArray[np.intp],
    n_before: int,
    n_frames: int,
    tell: Callable[[float], None],
) -> Callable[[int, int], NDArray[np.float32]]:
    """Rows of one plane's fluorescence, read from the journal when they are asked for."""
    inputs = record.inputs

    def rows(start: int, stop: int) -> NDArray[np.float32]:
        # planes are written one after another: each has its own way from 0 to its part of it
        tell((n_before + start) / n_frames)
        frames = (inputs[place] for place in places[start:stop].tolist())
        return np.stack([f.frame.fluorescence for f in frames if isinstance(f, ReceivedFrame)])

    return rows


def _add_signal(
    module: ProcessingModule,
    record: SessionRecord,
    axis: TimeAxis,
    stepped: Stepped,
    read_outs: ReadOuts,
    tables: list[PlaneSegmentation],
) -> None:
    shape = (len(stepped.decoded), read_outs.n_rois)
    if not all(shape):
        return
    decoder = final_decoder(record)
    table = next(t for t in tables if t.name == f"plane{decoder.decode_plane}")
    labels = [roi.label for roi in record.info.plane_rois(decoder.decode_plane)]
    ensemble = (*decoder.p_plus, *decoder.p_minus)
    region = DynamicTableRegion(
        name="rois",
        description="P+, then P-.",
        data=[labels.index(label) for label in ensemble],
        table=table,
    )
    frame_ids = record.decision_table["frame_id"][stepped.decoded]
    unit = SIGNAL_UNITS[decoder.signal]
    ensembles = RoiResponseSeries(
        name="ensembles",
        description=f"{unit} of P+ and then P- at every decoded frame, as the decoder made it.",
        data=packed_blocks(read_outs.signal, shape, "f8"),
        rois=region,
        unit="n.a." if decoder.signal == "dff" else unit,
        **timing(axis, frame_ids),
    )
    is_dff = decoder.signal == "dff"
    _add(module, DfOverF(name="DfOverF") if is_dff else Fluorescence(name="Signal"), [ensembles])
