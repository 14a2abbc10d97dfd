"""What the microscope sees: ROIs, planes."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bci.config.rig import RecordingSource
from bci.config.session import Session
from bci.core.stream_types import StreamInfo
from bci.gui.choice import MINUS, NONE, PLUS
from bci.gui.day import Day
from bci.gui.step import Step, StepStatus
from bci.gui.theme import Light
from bci.gui.views.roi_map import RoiMap
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RoiMask
from hardware.imaging.open import describe_source

LATER = (
    "ROIs come from the microscope program or the recording. Drawing them and aligning the field "
    "of view with an earlier day need raw images, which this source does not send."
)
Seen = tuple[StreamInfo, list[NDArray[np.float32] | None]]


class FieldOfViewStep(Step):
    """Every plane beside the others: its ROIs, their names, P+ and P−."""

    title = "Field of view"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.maps: list[RoiMap] = []
        self.info: StreamInfo | None = None
        self.trouble = ""
        self._of: Session | None = None
        self.head = QLabel()
        self.head.setObjectName("title")
        self.names = QCheckBox("names")
        self.names.toggled.connect(lambda _: self._draw())
        self.about = QLabel(LATER)
        self.about.setObjectName("dim")
        self.about.setWordWrap(True)
        self._planes = QHBoxLayout()
        top = QHBoxLayout()
        top.addWidget(self.head, 1)
        top.addWidget(self.names)
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addLayout(self._planes, 1)
        column.addWidget(self.about)
        self.session_changed()

    def status(self) -> StepStatus:
        """Green where the ROIs and the ensembles among them are known."""
        info, session = self.info, self.day.session
        if self.trouble:
            return StepStatus(Light.FAIL, self.trouble)
        if info is None or session is None:
            return StepStatus(Light.IDLE, "no source is known yet")
        decoder = session.experiment.decoder
        there = {roi.label for roi in info.plane_rois(decoder.decode_plane)}
        missing = [each for each in (*decoder.p_plus, *decoder.p_minus) if each not in there]
        if missing:
            return StepStatus(Light.FAIL, f"missing today: {', '.join(missing)}")
        return StepStatus(Light.OK, f"{len(info.rois)} ROIs in {info.n_planes} planes")

    def refresh(self) -> None:
        """Follow the stream where one runs."""
        told = self.day.model.info
        if told is not None and (self.info is None or told.rois != self.info.rois):
            self._show(told, [None] * told.n_planes)

    def session_changed(self) -> None:
        """Another source, perhaps."""
        session = self.day.session
        if session is self._of:
            return
        self._of, self.info, self.trouble = session, None, ""
        self._show(None, [])
        if session is None:
            return

        def done(seen: Seen | None, error: Exception | None) -> None:
            if self._of is not session:
                return
            if seen is None:
                self.trouble = str(error)
                self.head.setText(self.trouble)
                return
            self._show(*seen)

        self.day.work(lambda: look(session), done)

    def _show(self, info: StreamInfo | None, images: list[NDArray[np.float32] | None]) -> None:
        self.info = info
        if info is not None:
            self.trouble = ""
        n_planes = 0 if info is None else info.n_planes
        while len(self.maps) > n_planes:
            self._remove_last()
        while len(self.maps) < n_planes:
            self._add()
        self.head.setText("No source" if info is None else f"{info.source}: {len(info.rois)} ROIs")
        if info is not None:
            for plane, (seen, image) in enumerate(zip(self.maps, images, strict=True)):
                seen.show_rois(info.plane_rois(plane))
                seen.show_image(image)
        self._draw()

    def _add(self) -> None:
        seen = RoiMap()
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        name = QLabel(f"plane {len(self.maps)}")
        name.setObjectName("heading")
        column.addWidget(name)
        column.addWidget(seen, 1)
        self._planes.addWidget(whole, 1)
        self.maps.append(seen)

    def _remove_last(self) -> None:
        self.maps.pop()
        item = self._planes.takeAt(self._planes.count() - 1)
        widget = item.widget() if item is not None else None
        if widget is not None:
            widget.deleteLater()

    def _draw(self) -> None:
        session = self.day.session
        if session is None:
            return
        decoder = session.experiment.decoder

        def side_of(label: str) -> str:
            if label in decoder.p_plus:
                return PLUS
            return MINUS if label in decoder.p_minus else NONE

        for seen in self.maps:
            seen.draw(side_of, names=self.names.isChecked())


def look(session: Session) -> Seen:
    """The ROIs of a source, and an image of each plane's footprints where it has masks.

    Raises
    ------
    bci.recording.readers.traces.RecordingError
        Where a recording cannot be read.
    """
    source = session.rig.source
    info = describe_source(source).info
    masks: tuple[RoiMask, ...] = ()
    if isinstance(source, RecordingSource):
        masks = read_traces(source.path, source.rate_hz, source.n_planes).masks
    return info, [footprints(info, masks, plane) for plane in range(info.n_planes)]


def footprints(
    info: StreamInfo, masks: tuple[RoiMask, ...], plane: int
) -> NDArray[np.float32] | None:
    """Sum of the masks of a plane, each with its largest weight 1; None where there are none."""
    if len(masks) != len(info.rois):
        return None
    own = [mask for roi, mask in zip(info.rois, masks, strict=True) if roi.plane == plane]
    rows = max([info.image_shape[0], *(int(mask.y_px.max()) + 1 for mask in own)])
    columns = max([info.image_shape[1], *(int(mask.x_px.max()) + 1 for mask in own)])
    image = np.zeros((rows, columns), np.float32)
    for mask in own:
        image[mask.y_px, mask.x_px] += mask.weight / max(float(mask.weight.max()), 1e-9)
    return image
