"""The folder of the documentation's pictures."""

from pathlib import Path

import pytest

from bci.gui import screenshots


def test_folder_that_is_missing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []
    # a session of two minutes: whether it can be photographed is not asked here
    monkeypatch.setattr(screenshots, "take_all", lambda folder, _: folders.append(folder))
    folder = tmp_path / "docs" / "images"
    for _ in range(2):
        assert screenshots.main([str(folder)]) is None
    assert folder.is_dir()
    assert folders == [folder, folder]


def test_folder_that_cannot_be_made_is_told_before_a_session_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screenshots, "take_all", pytest.fail)
    (tmp_path / "file").write_text("")
    for arguments in ([str(tmp_path / "file")], [str(tmp_path / "file" / "images")], []):
        assert screenshots.main(arguments)
