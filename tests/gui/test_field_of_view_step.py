"""Every plane is shown with its ROIs, their places and footprints."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.config.session import Session
from bci.core.stream_types import Roi, StreamInfo
from bci.gui.day import Day
from bci.gui.steps import field_of_view
from bci.gui.steps.field_of_view import FieldOfViewStep, Seen, footprints, look
from bci.gui.theme import Light
from bci.gui.views.roi_map import RoiMap, places_of
from bci.recording.readers.traces import RoiMask


def test_planes_lie_side_by_side_with_their_ensembles(qtbot: QtBot, tmp_path: Path) -> None:
    day = Day(DEMO, ("rig.source.n_rois=30",), root=tmp_path)
    step = FieldOfViewStep(day)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    try:
        qtbot.waitUntil(lambda: step.info is not None)
        assert len(step.maps) == 2
        assert len(step.maps[0].spots()) == len(step.maps[1].spots()) == 15
        assert step.maps[0].spots()["roi0008"] == "s"
        assert set(step.maps[1].spots().values()) == {"o"}
        assert step.status() == (Light.OK, "30 ROIs in 2 planes")
        day.load(DEMO, ["rig.source.n_planes=1"])
        qtbot.waitUntil(lambda: step.info is not None)
        assert len(step.maps) == 1
    finally:
        day.close()


def test_a_stream_that_is_there_outweighs_a_recording_that_is_not(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "traces.npy"
    np.save(path, 100 + np.arange(60000.0).reshape(20, 3000))

    def look_once_it_is_gone(session: Session) -> Seen:
        path.unlink()
        return look(session)

    monkeypatch.setattr(field_of_view, "look", look_once_it_is_gone)
    day = Day(root=tmp_path)
    step = FieldOfViewStep(day)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    try:
        day.load(DEMO, [f'rig.source={{kind="recording", path="{path}", rate_hz=30.0}}'])
        assert not day.faults
        qtbot.waitUntil(lambda: bool(step.trouble))
        assert step.status().light is Light.FAIL
        rois = tuple(Roi(i, f"roi{i:04d}", 0) for i in range(20))
        day.model.info = StreamInfo("s", 0, "s", 30.0, 1, (0, 0), 1, 0.0, None, rois)
        step.refresh()
        assert step.status() == (Light.OK, "20 ROIs in 1 planes")
    finally:
        day.close()


def test_rois_without_places_are_laid_out_apart(qtbot: QtBot) -> None:
    rois = [Roi(i, f"r{i}", 0) for i in range(7)]
    at, known = places_of(rois)
    assert not known
    assert len({tuple(place) for place in at.tolist()}) == 7
    shown = RoiMap()
    qtbot.addWidget(shown)
    shown.show_rois(rois)
    shown.draw(lambda _: "")
    assert len(shown.spots()) == 7
    with qtbot.waitSignal(shown.picked) as picked:
        shown._clicked(None, [shown._spots.points()[3]])
    assert picked.args == ["r3"]


def test_footprints_are_those_of_the_plane() -> None:
    rois = tuple(Roi(i, f"r{i}", i % 2) for i in range(2))
    info = StreamInfo("", 0, "s", 10.0, 2, (6, 8), 1, 0.0, None, rois)
    masks = tuple(
        RoiMask(np.array([1, 2], np.int32), np.array([x, x], np.int32), np.array([2, 1], "f4"))
        for x in (3, 7)
    )
    image = footprints(info, masks, 0)
    assert image is not None
    assert image.shape == (6, 8)
    assert image[1, 3] == pytest.approx(1.0)
    assert image[2, 3] == pytest.approx(0.5)
    assert image.sum() == pytest.approx(1.5)
    assert footprints(info, (), 0) is None
