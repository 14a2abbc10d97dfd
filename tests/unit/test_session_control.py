"""A session is not over in order where its journal is not whole."""

import sys
from pathlib import Path
from typing import Any

import pytest
from running_session import DEMO

from bci.config import load_session
from bci.session import control
from bci.stream.supervision import LocalLink


def test_disk_that_is_full_at_the_very_end_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    limits, interval_s = resource.getrlimit(resource.RLIMIT_FSIZE), sys.getswitchinterval()

    class Over:
        """All went well, and then the disk is full."""

        failure = None

        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> "Over":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def run(self, _: Any) -> str:
            n_bytes = (tmp_path / "journal.mcap").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
            return "task over"

    monkeypatch.setattr(control, "_Control", Over)
    try:
        with pytest.raises(control.ControlFailed, match=r"journal\.mcap.*bci recover"):
            control.run_control(load_session(DEMO), LocalLink("control"), tmp_path, "demo-1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        sys.setswitchinterval(interval_s)
