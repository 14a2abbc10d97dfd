"""Every plane is shown with its image, its ROIs, their places and outlines."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from recorded_formats import MEAN_IMAGE, write_suite2p
from running_session import DEMO

from bci.config.session import Session
from bci.core.stream_types import Roi, StreamInfo
from bci.gui import theme
from bci.gui.choice import MINUS, NONE, PLUS
from bci.gui.day import Day
from bci.gui.plane_pictures import FOOTPRINTS, PlanePicture, Seen, look, outline, picture_of
from bci.gui.steps import field_of_view
from bci.gui.steps.field_of_view import FieldOfViewStep
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
        assert step.status() == (Light.OK, "20 ROIs in 1 plane")
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


def square(left: int, top: int, side: int) -> RoiMask:
    """A mask of one weight, but for a faint pixel far off."""
    y_px, x_px = np.mgrid[top : top + side, left : left + side].reshape(2, -1)
    weight = np.ones(side * side + 1, np.float32)
    weight[-1] = 0.01
    return RoiMask(
        np.append(y_px, 90).astype(np.int32), np.append(x_px, 90).astype(np.int32), weight
    )


def test_footprints_stand_in_for_a_mean_image() -> None:
    rois = tuple(Roi(i, f"r{i}", i % 2) for i in range(2))
    info = StreamInfo("", 0, "s", 10.0, 2, (6, 8), 1, 0.0, None, rois)
    masks = tuple(
        RoiMask(np.array([1, 2], np.int32), np.array([x, x], np.int32), np.array([2, 1], "f4"))
        for x in (3, 7)
    )
    picture = picture_of(info, masks, 0, None)
    image = picture.image
    assert image is not None
    assert picture.name == FOOTPRINTS
    assert image.shape == (6, 8)
    assert image[1, 3] == pytest.approx(1.0)
    assert image[2, 3] == pytest.approx(0.5)
    assert image.sum() == pytest.approx(1.5)
    mean = np.ones((6, 8), np.float32)
    assert picture_of(info, masks, 0, mean).image is mean
    assert picture_of(info, (), 0, None) == PlanePicture()


@pytest.mark.parametrize("side", [1, 2, 5])
def test_an_outline_goes_round_the_pixels_that_count(side: int) -> None:
    lines = outline(square(3, 7, side)).reshape(-1, 2, 2)
    assert len(lines) == 4 * side
    assert (np.abs(np.diff(lines, axis=1)).sum(axis=(1, 2)) == 1).all()
    assert lines.reshape(-1, 2).min(axis=0).tolist() == [2.5, 6.5]
    assert lines.reshape(-1, 2).max(axis=0).tolist() == [2.5 + side, 6.5 + side]


def test_outlines_have_the_colours_of_their_sides_and_can_be_clicked(qtbot: QtBot) -> None:
    shown = RoiMap()
    qtbot.addWidget(shown)
    rois = [Roi(i, f"r{i}", 0, x_px=10.0 * i, y_px=5.0) for i in range(3)]
    shown.show_rois(rois)
    masks = [square(10 * i, 5, 2 + i) for i in range(3)]
    image = np.random.default_rng(0).random((100, 120)).astype(np.float32)
    image[3, 3] = 1e6
    shown.show_picture(PlanePicture(image, "", tuple(outline(mask) for mask in masks)))
    shown.draw({"r0": PLUS, "r1": MINUS, "r2": NONE}.__getitem__)
    assert shown.outlines.lines() == {theme.P_PLUS: 8, theme.P_MINUS: 12, theme.DIM: 16}
    shown.draw(lambda _: "")
    assert shown.outlines.lines() == {theme.DIM: 36}
    low, high = shown._image.getLevels()
    assert 0 <= low < 0.02
    assert 0.98 < high <= 1.0
    with qtbot.waitSignal(shown.picked) as picked:
        shown._clicked(None, [shown._spots.points()[2]])
    assert picked.args == ["r2"]
    shown.show_rois(rois[:2])
    shown.draw(lambda _: "")
    assert not shown.outlines.are_known


def test_the_mean_image_of_a_recording_lies_below_its_rois(qtbot: QtBot, tmp_path: Path) -> None:
    path = write_suite2p(tmp_path, 100 + np.arange(60000.0).reshape(20, 3000), 30.0)
    day = Day(root=tmp_path)
    step = FieldOfViewStep(day)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    try:
        day.load(DEMO, [f'rig.source={{kind="recording", path="{path}"}}'])
        assert not day.faults
        qtbot.waitUntil(lambda: step.info is not None)
        (shown,) = step.maps
        np.testing.assert_array_equal(shown._image.image, MEAN_IMAGE)
        assert sum(shown.outlines.lines().values()) == 4 * 20
    finally:
        day.close()
