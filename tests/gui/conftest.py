"""Widgets without a screen; nothing of a window may be left behind."""

import gc
import os
from collections.abc import Iterator

# read when the first QApplication is made
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PyQt6")

import pytest
from PyQt6.QtCore import QCoreApplication, QEvent
from PyQt6.QtWidgets import QApplication


def settle() -> None:
    """Let every widget that was given up be deleted."""
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QCoreApplication.processEvents()


@pytest.fixture(autouse=True)
def nothing_left_open(qapp: QApplication) -> Iterator[None]:
    """Fails where a test leaves a top-level widget behind."""
    settle()
    before = {id(widget) for widget in QApplication.topLevelWidgets()}
    yield
    settle()
    left = [widget for widget in QApplication.topLevelWidgets() if id(widget) not in before]
    assert not left, f"left open: {left}"
