"""What the tests try out is the same in every order of them, in every process, on every machine."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def drawn() -> list[int]:
    found = []

    @settings(max_examples=300)
    @given(st.integers(0, 10**9))
    def draw(value: int) -> None:
        found.append(value)

    draw()
    return found


def test_examples_do_not_follow_from_what_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn()
    path = tmp_path / "numbers_of_a_program.py"
    path.write_text(f"NUMBERS = {list(range(700_000_001, 700_000_500))}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    assert drawn() == before
