"""What the disk refuses is told in a line, not in a traceback."""

import resource
import sys
from pathlib import Path

import pytest
from played_session import played

from bci.cli import main
from bci.recording.folder import REPORT


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_report_on_a_full_disk_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = played(tmp_path / "s", 30).folder
    monkeypatch.setattr(sys, "argv", ["bci", "report", str(folder)])
    before = sorted(folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"{folder / REPORT}: File too large\n"
    assert sorted(folder.iterdir()) == before
