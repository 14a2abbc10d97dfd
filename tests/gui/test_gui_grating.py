"""The picture of the animal's screen, measured as one measures the screen itself."""

import numpy as np
import pytest
from measure_grating import angle_between, drift, orientation_deg
from PyQt6.QtGui import QImage
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.config import load_session
from bci.core.stimulus_types import ScreenKind, StimulusCommand
from bci.gui.views.grating import GratingView


def command(screen: ScreenKind, orientation_deg: float = 0.0) -> StimulusCommand:
    return StimulusCommand(1, 0, screen, orientation_deg, 1.0, 2.0)


@pytest.fixture
def view(qtbot: QtBot) -> GratingView:
    view = GratingView()
    qtbot.addWidget(view)
    view.resize(402, 302)
    return view


def seen(view: GratingView, what: StimulusCommand, t_s: float) -> np.ndarray:
    view.show_state(load_session(DEMO), what, 1 + round(t_s * 1e9))
    image = view.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    bits = image.constBits()
    assert bits is not None
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits.asstring(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[10:-10, 10 : image.width() - 10].astype(np.float64)


@pytest.mark.parametrize("angle_deg", [0.0, 45.0, 75.0, 90.0])
def test_bars_are_turned_clockwise_and_drift_as_on_the_screen(
    view: GratingView, angle_deg: float
) -> None:
    times_s = np.arange(6) * 0.05
    grating = command(ScreenKind.GRATING, angle_deg)
    images = [seen(view, grating, t_s) for t_s in times_s]
    assert angle_between(orientation_deg(images[0]), angle_deg, 180) < 2
    hz, direction_deg = drift(images, times_s)
    assert hz == pytest.approx(2.0, rel=0.05)
    assert angle_between(direction_deg, angle_deg, 360) < 3


def test_frozen_bars_stay_and_grey_and_black_are_even(view: GratingView) -> None:
    moving = seen(view, command(ScreenKind.GRATING, 90), 0.0)
    frozen = command(ScreenKind.FROZEN, 90)
    first = seen(view, frozen, 0.1)
    assert np.array_equal(first, seen(view, frozen, 0.3))
    assert np.ptp(moving) > 150
    assert np.ptp(seen(view, command(ScreenKind.GREY), 0.4)) == 0
    assert seen(view, command(ScreenKind.BLACK), 0.5).max() == 0
