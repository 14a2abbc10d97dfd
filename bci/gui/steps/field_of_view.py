"""What the microscope sees: ROIs, planes."""

from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bci.config.session import Session
from bci.core.counted import counted
from bci.core.stream_types import StreamInfo
from bci.gui.choice import MINUS, NONE, PLUS
from bci.gui.day import Day
from bci.gui.plane_pictures import PlanePicture, Seen, look
from bci.gui.step import Step, StepStatus
from bci.gui.theme import Light
from bci.gui.views.roi_map import RoiMap

LATER = (
    "ROIs come from the microscope program or the recording. Drawing them and aligning the field "
    "of view with an earlier day need raw images, which this source does not send."
)


class FieldOfViewStep(Step):
    """Every plane beside the others: its image, its ROIs, their names, P+ and P−."""

    title = "Field of view"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.maps: list[RoiMap] = []
        self._heads: list[QLabel] = []
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
        return StepStatus(
            Light.OK, f"{counted(len(info.rois), 'ROI')} in {counted(info.n_planes, 'plane')}"
        )

    def refresh(self) -> None:
        """Follow the stream where one runs."""
        told = self.day.model.info
        if told is not None and (self.info is None or told.rois != self.info.rois):
            self._show(told, [PlanePicture()] * told.n_planes)

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

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the size of what is read."""
        super().resizeEvent(event)
        self._draw()

    def _show(self, info: StreamInfo | None, pictures: list[PlanePicture]) -> None:
        self.info = info
        if info is not None:
            self.trouble = ""
        n_planes = 0 if info is None else info.n_planes
        while len(self.maps) > n_planes:
            self._remove_last()
        while len(self.maps) < n_planes:
            self._add()
        self.head.setText(
            "No source" if info is None else f"{info.source}: {counted(len(info.rois), 'ROI')}"
        )
        if info is not None:
            for plane, (seen, picture) in enumerate(zip(self.maps, pictures, strict=True)):
                seen.show_rois(info.plane_rois(plane))
                seen.show_picture(picture)
                below = f": {picture.name}" if picture.name else ""
                self._heads[plane].setText(f"plane {plane}{below}")
        self._draw()

    def _add(self) -> None:
        seen = RoiMap()
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        head = QLabel()
        head.setObjectName("heading")
        column.addWidget(head)
        column.addWidget(seen, 1)
        self._planes.addWidget(whole, 1)
        self.maps.append(seen)
        self._heads.append(head)

    def _remove_last(self) -> None:
        self.maps.pop()
        self._heads.pop()
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
