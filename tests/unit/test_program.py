"""A child process runs the code of the process that started it, whatever lies around."""

import subprocess
from pathlib import Path

import pytest
from waiting import WAIT_S

from bci import program
from bci.gui.work_process import WorkProcess
from bci.program import (
    PARENT_RUNS,
    OtherProgramError,
    check_parent,
    child_environment,
    identity,
    python_command,
)

ROOT = Path(__file__).resolve().parents[2]
SHADOWED = ("bci", "queue", "numpy", "hardware", "zmq")


@pytest.fixture
def folder_of_traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with modules that leave a trace if a process imports them."""
    for name in SHADOWED:
        trap = tmp_path / name
        trap.mkdir()
        (trap / "__init__.py").write_text(
            f"from pathlib import Path\nPath({str(tmp_path)!r}, 'sprung').touch()\n"
        )
    (tmp_path / "queue.py").write_text((tmp_path / "numpy" / "__init__.py").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        python_command("bci.cli", *arguments),
        env=child_environment() | environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def test_child_ignores_modules_in_the_current_folder(folder_of_traps: Path) -> None:
    done = run("--version")
    assert done.returncode == 0, done.stderr
    assert not (folder_of_traps / "sprung").exists()


def test_work_of_the_window_ignores_modules_in_the_current_folder(folder_of_traps: Path) -> None:
    work = WorkProcess("collections", "Counter")
    try:
        assert work.call("total") == 0
    finally:
        work.close()
    assert not (folder_of_traps / "sprung").exists()


def test_every_process_of_ours_is_started_in_one_way() -> None:
    starting = [
        path
        for folder in ("bci", "hardware", "stimuli")
        for path in (ROOT / folder).rglob("*.py")
        if "sys.executable" in path.read_text("utf-8")
    ]
    # the one way, and isolated Python that reads a pickle and that starts an X server
    names = sorted(path.name for path in starting)
    assert names == ["object_file.py", "program.py", "xvfb.py"]


def test_child_of_another_program_ends_with_wrong_input() -> None:
    done = run("--version", **{PARENT_RUNS: "0.0.1+0123456789abcdef"})
    assert done.returncode == 2
    assert "0.0.1+0123456789abcdef" in done.stderr
    assert identity() in done.stderr


def test_process_without_a_parent_of_ours_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PARENT_RUNS, raising=False)
    check_parent()


def test_identity_changes_with_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    module = tmp_path / "inner" / "module.py"
    module.write_bytes(b"a = 1\r\nb = 2\r\n")
    # kept from here on: of the program, not of the folder below
    identity()
    monkeypatch.setattr(program, "_folder", lambda _: tmp_path)
    identity_of = program.identity.__wrapped__
    before = identity_of()
    module.write_bytes(b"a = 1\nb = 2\n")
    assert identity_of() == before, "line endings of a checkout do not count"
    module.write_bytes(b"a = 1\nb = 3\n")
    changed = identity_of()
    assert changed != before
    module.rename(module.with_name("moved.py"))
    assert identity_of() not in (before, changed)
    monkeypatch.setenv(PARENT_RUNS, before)
    with pytest.raises(OtherProgramError):
        check_parent()
