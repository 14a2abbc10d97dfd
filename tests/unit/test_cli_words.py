"""What is typed wrongly ends in one sentence that says what to do, and in its exit code."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_session import record_session
from support.command_line import Said, run_here
from waiting import WAIT_S

from bci.cli.options import errors, told
from bci.recording.exclusive import release, take
from bci.recording.folder import JOURNAL, MANIFEST, REPORT

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
DEMO = CONFIGS / "demo.toml"


Bci = Callable[..., Said]


@pytest.fixture
def bci(monkeypatch: pytest.MonkeyPatch) -> Bci:
    """The command line in this process, on a narrow terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    return run_here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recorded session in a subject's folder."""
    session = tmp_path / "m1" / "20261122T081500"
    record_session(session)
    return session


@pytest.mark.parametrize("verb", ["verify", "recover", "export", "report"])
def test_folder_of_a_subject_is_refused_and_its_newest_session_named(
    bci: Bci, folder: Path, verb: str
) -> None:
    said = bci(verb, folder.parent)
    assert said.code == 2
    assert said.lines == [
        f"{folder.parent}: no {JOURNAL} in it; name the folder of one session, such as {folder}"
    ]


def test_folder_that_is_not_there_is_told(bci: Bci, tmp_path: Path) -> None:
    said = bci("verify", tmp_path / "nowhere")
    assert said.code == 2
    assert said.lines == [f"{tmp_path}/nowhere: no such folder; name the folder of a session"]


def test_journal_may_be_named_in_place_of_its_folder(bci: Bci, folder: Path) -> None:
    said = bci("verify", folder / JOURNAL)
    assert said.code == 0, said
    assert said.out.startswith("identical")


@pytest.mark.parametrize(("verb", "code"), [("verify", 2), ("export", 2), ("recover", 1)])
def test_folder_half_copied_names_what_is_missing(
    bci: Bci, folder: Path, verb: str, code: int
) -> None:
    (folder / MANIFEST).unlink()
    said = bci(verb, folder)
    assert said.code == code
    assert len(said.lines) == 1
    assert f"{MANIFEST} is missing beside {JOURNAL}" in said.err
    assert "Copy it again" in said.err


def test_manifest_cut_short_is_told(bci: Bci, folder: Path) -> None:
    (folder / MANIFEST).write_text('{"format": 1')
    said = bci("report", folder)
    assert said.code == 2
    assert len(said.lines) == 1
    assert "Copy it again" in said.err


def test_journal_without_a_record_is_recovered_without_a_number_that_is_none(
    bci: Bci, folder: Path
) -> None:
    (folder / JOURNAL).write_bytes(b"")
    said = bci("recover", folder)
    assert said.code == 0
    assert "no frame among them" in said.out
    said = bci("replay", folder, DEMO, "--headless")
    assert said.code == 2
    assert "the session ended before its stream began. Mend that" in said.err
    # a long path is cut with three dots
    assert ".." not in said.err.replace("...", "")


def test_file_that_cannot_be_written_is_named_with_its_reason(bci: Bci, folder: Path) -> None:
    (folder / REPORT).mkdir()
    said = bci("report", folder)
    assert said.code == 1
    assert REPORT in said.lines[-1]


def test_recover_leaves_a_running_session_alone(bci: Bci, folder: Path) -> None:
    with (folder / JOURNAL).open("r+b") as written:
        written.truncate(2000)
        assert take(written.fileno())
        said = bci("recover", folder)
        release(written.fileno())
    assert said.code == 1
    assert said.lines == [f"{folder / JOURNAL}: still being written. End the session first."]


@pytest.mark.parametrize("place", ["nowhere/result.json", "."], ids=["no folder", "a folder"])
@pytest.mark.parametrize("verb", ["run", "doctor", "verify", "calibrate"])
def test_place_of_the_result_is_looked_at_before_anything_starts(
    bci: Bci, folder: Path, tmp_path: Path, verb: str, place: str
) -> None:
    what = (DEMO,) if verb in ("run", "doctor") else (folder,)
    headless = ("--headless", f"--out={tmp_path / 'out'}") if verb == "run" else ()
    said = bci(verb, *what, *headless, "--json", tmp_path / place)
    assert said.code == 2
    assert len(said.lines) == 1
    assert "--json" in said.err
    assert not said.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "verb"),
    [
        ("rigs/simulated", ("check",)),
        ("experiments/demo", ("check",)),
        ("rigs/simulated", ("run", "--headless")),
        ("experiments/demo", ("reward", "flush")),
        ("experiments/demo", ("bench", "screen")),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, tuple) else case,
)
def test_settings_file_of_another_kind_is_one_fault(
    bci: Bci, kind: str, verb: tuple[str, ...]
) -> None:
    said = bci(*verb, CONFIGS / f"{kind}.toml")
    assert said.code == 2
    assert len(said.lines) == 2, "the head, and one fault"
    assert f"This is a{'n experiment' if 'exp' in kind else ' rig'} file: name a" in said.err


def test_rig_and_experiment_exchanged_are_two_faults(bci: Bci, tmp_path: Path) -> None:
    path = tmp_path / "session.toml"
    rig, experiment = CONFIGS / "rigs/simulated.toml", CONFIGS / "experiments/demo.toml"
    path.write_text(f'rig = "{experiment}"\nexperiment = "{rig}"\n')
    said = bci("check", path)
    assert said.code == 2
    assert len(said.lines) == 3, said.err


def test_faults_of_an_experiment_bring_none_of_the_day_with_them(bci: Bci) -> None:
    said = bci("check", DEMO, "--set", "experiment=3")
    assert len(said.lines) == 2, said.err
    assert "--block" not in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("doctor", DEMO, "--name", "rig-2"), "add --board"),
        (("doctor", DEMO, "--learn", "black"), "add --board"),
        (("control", DEMO), "--peer frames=tcp://HOST:PORT --peer channel=tcp://HOST:PORT"),
        (("stimulus", DEMO, "--peer", "flips=tcp://127.0.0.1:1"), "--peer commands="),
        (("board", DEMO, "--set", "rig.board.kind=serial"), "these are: "),
        (("reward", "flush", DEMO, "--ms", "5000"), "at most 500 ms"),
        (("reward", "calibrate", DEMO, "--folder", DEMO), "--folder"),
        (("bench", "loop", "--decoder", "none"), "percentile/"),
        (("bench", "stream", "--rate", "30"), "--n-rois"),
        (("calibrate", CONFIGS), "name a session file behind it"),
    ],
    ids=lambda case: " ".join(map(str, case[:2])) if isinstance(case, tuple) else "",
)
def test_options_that_do_not_go_together_are_refused(
    bci: Bci, arguments: tuple[object, ...], says: str
) -> None:
    said = bci(*arguments)
    assert said.code == 2
    assert says in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("request_", [("tell", "pause"), ("reward give",)], ids=" ".join)
def test_request_to_a_session_that_is_over_says_so(
    bci: Bci, folder: Path, request_: tuple[str, ...]
) -> None:
    verb, *rest = request_
    said = bci(*verb.split(), folder, *rest)
    assert said.code == 2
    assert "no session runs here" in said.err


def test_window_without_a_screen_says_what_to_do(
    bci: Bci, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert "--headless" in bci("run", DEMO).err
    said = bci("attach", folder)
    assert said.code == 2
    assert "--headless" not in said.err, "attach has no such option"
    shutil.rmtree(folder)
    assert "no manifest.json" in bci("attach", folder).err


def test_version_is_told(bci: Bci) -> None:
    said = bci("--version")
    assert said.code == 0
    assert said.out.startswith("two-photon-bci ")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_that_knows_no_such_letters_ends_nothing(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bci.cli", "--help"],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"verify" in done.stdout


INTERRUPTED_AT = """
import os, signal, sys

def interrupt(event, args):
    if event == "import" and args[0] == "{package}":
        os.kill(os.getpid(), signal.SIGINT)

sys.argv = ["bci", "check", "configs/demo.toml"]
sys.addaudithook(interrupt)
from bci.cli import main

main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize("package", ["typer", "pydantic_core", "bci.session.day"])
def test_ctrl_c_while_the_program_loads_ends_it_without_a_word(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT.format(package=package)],
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_check_says_how_long_the_baseline_must_be(bci: Bci) -> None:
    short = bci("check", DEMO, "--set", "experiment.baseline.duration_s=60")
    assert short.code == 0
    assert "131" in short.out
    long = bci("check", DEMO, "--set", "experiment.baseline.duration_s=200")
    assert long.code == 0
    assert len(long.out.splitlines()) == 1


def test_json_to_a_dash_is_all_of_stdout(
    bci: Bci, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = bci("verify", folder, "--json", "-")
    assert said.code == 0
    assert json.loads(said.out)["kind"] == "identical"
    assert said.lines
    assert not (tmp_path / "-").exists()


def test_no_line_is_broken_wherever_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "run `bci recover /data/mice/sessions/m1/20261122T081500`, then export"
    for console in (told(), errors()):
        with console.capture() as capture:
            console.print(text, markup=False, highlight=False)
        assert capture.get() == f"{text}\n"


@pytest.mark.parametrize("verb", ["run", "replay", "tell", "calibrate"])
def test_command_of_the_help_fits_a_line(
    bci: Bci, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = bci(verb, "--help")
    assert any(re.match(r"\s*Example: bci .*\S\s*$", line) for line in said.out.splitlines())
    example = next(line for line in said.out.splitlines() if "Example: " in line)
    assert said.out.rstrip().endswith(example.rstrip())
