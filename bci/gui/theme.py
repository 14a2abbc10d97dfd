"""Colours, sizes and the style sheet: for a dark room, from two metres, for every eye.

Colours are those of Okabe and Ito, lightened where they would be dim on black; none stands alone:
a light has a sign, a curve a label.

References
----------
Okabe and Ito 2008, Color Universal Design.
"""

from enum import StrEnum
from typing import NamedTuple

from PyQt6.QtWidgets import QWidget

BACKGROUND = "#101216"
PANEL = "#181b21"
RAISED = "#232830"
LINE = "#343b46"
TEXT = "#e8eaed"
DIM = "#9aa3af"

ORANGE = "#e69f00"
SKY = "#56b4e9"
GREEN = "#1fbf92"
YELLOW = "#f0e442"
BLUE = "#3d8fd1"
VERMILION = "#ee6b2d"
PURPLE = "#cc79a7"
GREY = "#7d8794"

P_PLUS = SKY
P_MINUS = ORANGE
THRESHOLD = YELLOW
CURSOR = TEXT

BASE_WIDTH_PX, BASE_HEIGHT_PX = 1280, 800
LARGEST_SCALE = 2.5


class Light(StrEnum):
    """How something stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    IDLE = "idle"


class Look(NamedTuple):
    """Colour and sign of a light: the sign alone tells it, too."""

    colour: str
    sign: str


LOOKS = {
    Light.OK: Look(GREEN, "✓"),
    Light.WARN: Look(ORANGE, "!"),
    Light.FAIL: Look(VERMILION, "✕"),
    Light.IDLE: Look(GREY, "○"),
}


def scale_of(width_px: int, height_px: int) -> float:
    """How much larger than at 1280 × 800 everything is drawn in a window of this size."""
    fits = min(width_px / BASE_WIDTH_PX, height_px / BASE_HEIGHT_PX)
    return max(1.0, min(LARGEST_SCALE, fits))


def shown_scale(widget: QWidget) -> float:
    """`scale_of` the window that a widget stands in."""
    window = widget.window() or widget
    return scale_of(window.width(), window.height())


def style_sheet(scale: float = 1.0) -> str:
    """The style of the whole window.

    Parameters
    ----------
    scale
        Of `scale_of`.
    """

    def px(size: float) -> str:
        return f"{max(1, round(size * scale))}px"

    return f"""
* {{ font-family: 'DejaVu Sans', 'Segoe UI', 'Helvetica Neue', sans-serif;
     font-size: {px(14)}; color: {TEXT}; }}
QMainWindow, QDialog {{ background: {BACKGROUND}; }}
QWidget {{ background: transparent; }}
QWidget#page, QStackedWidget {{ background: {BACKGROUND}; }}
QFrame#panel {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: {px(6)}; }}
QLabel#title {{ font-size: {px(22)}; font-weight: 600; }}
QLabel#heading {{ font-size: {px(12)}; color: {DIM}; }}
QLabel#figure {{ font-size: {px(30)}; font-weight: 600; }}
QLabel#clock {{ font-size: {px(24)}; font-weight: 600; }}
QLabel#dim {{ color: {DIM}; }}
QLabel#small {{ font-size: {px(12)}; color: {DIM}; }}
QPushButton {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: {px(6)};
     padding: {px(7)} {px(14)}; min-height: {px(24)}; }}
QPushButton:hover:enabled {{ border-color: {SKY}; }}
QPushButton:focus {{ border-color: {SKY}; }}
QPushButton:pressed {{ background: {LINE}; }}
QPushButton:checked {{ background: {LINE}; border-color: {TEXT}; }}
QPushButton:disabled {{ color: {GREY}; background: {PANEL}; }}
QPushButton#big {{ font-size: {px(17)}; font-weight: 600; padding: {px(9)} {px(18)}; }}
QPushButton#quiet {{ font-size: {px(12)}; color: {DIM}; padding: {px(1)} {px(8)};
     min-height: {px(16)}; }}
QPushButton#go {{ font-size: {px(17)}; font-weight: 600; padding: {px(9)} {px(18)};
     border-color: {GREEN}; color: {GREEN}; }}
QPushButton#go:disabled {{ border-color: {LINE}; color: {GREY}; }}
QPushButton#danger {{ font-size: {px(17)}; font-weight: 600; padding: {px(9)} {px(18)};
     border-color: {VERMILION}; color: {VERMILION}; }}
QPushButton#danger:disabled {{ border-color: {LINE}; color: {GREY}; }}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QDateEdit, QPlainTextEdit, QTextEdit {{
     background: {BACKGROUND}; border: 1px solid {LINE}; border-radius: {px(4)};
     padding: {px(5)}; selection-background-color: {BLUE}; }}
QSpinBox::up-button, QSpinBox::down-button {{ width: 0; border: 0; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus, QPlainTextEdit:focus {{
     border-color: {SKY}; }}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {{
     color: {GREY}; background: {PANEL}; }}
QComboBox::drop-down {{ border: 0; }}
QComboBox QAbstractItemView {{ background: {RAISED}; selection-background-color: {BLUE}; }}
QTableView, QTreeView, QListView {{ background: {PANEL}; alternate-background-color: {BACKGROUND};
     border: 1px solid {LINE}; gridline-color: {LINE}; selection-background-color: {BLUE}; }}
QHeaderView::section {{ background: {RAISED}; border: 0; padding: {px(4)} {px(6)}; }}
QScrollBar:vertical {{ background: {BACKGROUND}; width: {px(12)}; }}
QScrollBar:horizontal {{ background: {BACKGROUND}; height: {px(12)}; }}
QScrollBar::handle {{ background: {LINE}; border-radius: {px(5)}; min-height: {px(24)};
     min-width: {px(24)}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QSplitter::handle {{ background: {LINE}; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: {px(4)}; }}
QProgressBar {{ background: {BACKGROUND}; border: 1px solid {LINE}; border-radius: {px(4)};
     text-align: center; }}
QProgressBar::chunk {{ background: {BLUE}; }}
QCheckBox::indicator {{ width: {px(14)}; height: {px(14)}; border: 1px solid {DIM};
     border-radius: {px(3)}; }}
QCheckBox::indicator:checked {{ background: {SKY}; border-color: {SKY}; }}
QCheckBox::indicator:disabled {{ border-color: {LINE}; }}
QSlider::groove:horizontal {{ height: {px(6)}; background: {LINE}; border-radius: {px(3)}; }}
QSlider::handle:horizontal {{ width: {px(18)}; margin: -{px(6)} 0; border-radius: {px(9)};
     background: {TEXT}; }}
QLabel[state="wrong"] {{ color: {VERMILION}; }}
QWidget[state="wrong"] QLineEdit, QWidget[state="wrong"] QComboBox,
QWidget[state="wrong"] QPlainTextEdit {{ border-color: {VERMILION}; }}
QLabel[state="locked"] {{ background: {RAISED}; border-radius: {px(4)}; padding: {px(6)}; }}
QLabel[differs="true"] {{ color: {SKY}; }}
QPushButton#flat {{ background: transparent; border: 0; padding: 0; min-height: {px(20)}; }}
QPushButton#fold {{ background: transparent; border: 0; padding: {px(3)}; font-weight: 600;
     text-align: left; min-height: {px(20)}; }}
QPushButton#fold:checked {{ background: transparent; border: 0; }}
QPushButton#fold:focus, QPushButton#flat:focus {{ color: {SKY}; }}
QScrollArea {{ border: 0; background: transparent; }}
"""
