"""The set-up script, run in a folder of its own with stand-ins for apt, sudo and Python."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import WAIT_S, until

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
TOOLS = [
    "cat",
    "cksum",
    "cp",
    "dirname",
    "env",
    "grep",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sh",
    "sleep",
    "touch",
    "tr",
]

PYTHON = """#!/bin/sh
# Answers what the script asks of an interpreter, and writes down what it is told to do.
case "$*" in
*version_info*) echo "$VERSION" ;;
*_base_executable*) echo "{base}" ;;
*ensurepip*) [ ! -e "{base}.no-venv" ] ;;
*sys.version*) echo "$VERSION.2 (stand-in)" ;;
"-m venv "*)
    echo venv >>"$LOG"
    mkdir -p "$3/bin"
    cp "{base}" "$3/bin/python"
    while [ -e "$LOG.hang-venv" ]; do echo hangs >>"$LOG"; sleep 0.05; done ;;
"-m pip "*)
    echo "pip $*" >>"$LOG"
    while [ -e "$LOG.hang-pip" ]; do echo hangs >>"$LOG"; sleep 0.05; done
    [ ! -e "$LOG.fail-pip" ] ;;
esac
"""

APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$LOG"
case "$*" in
*" update "*) [ ! -e "$LOG.fail-update" ] ;;
*" install "*) for word; do echo "$word=installed" >>"$LOG.installed"; done ;;
esac
"""


class Machine:
    """A copy of the project's set-up in `folder`, and a PATH that holds nothing of this machine."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "a project"
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.venv = self.project / ".venv"
        self.environment = {"PATH": str(self.bin), "LOG": str(self.log), "VERSION": "3.11"}
        self.bin.mkdir()
        shutil.copytree(REPOSITORY / "Makefile.d", self.project / "Makefile.d")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(REPOSITORY / name, self.project)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))

    def has(self, name: str, script: str) -> Path:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)
        return path

    def has_python(self, name: str = "python3") -> Path:
        return self.has(name, PYTHON.format(base=self.bin / name))

    def has_apt(self, *, user: int, sudo: bool = False) -> None:
        self.has("apt-get", APT_GET)
        self.has("dpkg", '#!/bin/sh\necho "dpkg $*" >>"$LOG"\n')
        self.has("dpkg-query", '#!/bin/sh\n[ ! -e "$LOG.installed" ] || cat "$LOG.installed"\n')
        self.has("id", f"#!/bin/sh\necho {user}\n")
        if sudo:
            self.has("sudo", '#!/bin/sh\nshift\nif [ "$1" = true ]; then exit 0; fi\nexec "$@"\n')

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["sh", str(self.project / "Makefile.d" / "setup.sh")],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def set_up(self) -> tuple[int, str]:
        process = self.start()
        output, _ = process.communicate(timeout=WAIT_S)
        return process.returncode, output

    def actions(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [" ".join(line.split()[:1]) for line in lines]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if sys.platform == "win32":
        pytest.skip("the script is for a POSIX shell")
    return Machine(tmp_path)


def installed_names() -> list[str]:
    text = (REPOSITORY / "Makefile.d" / "debian-packages.txt").read_text()
    return [line.split()[0] for line in text.splitlines() if line and not line.startswith("#")]


def test_new_machine_with_root_gets_packages_and_environment(machine: Machine) -> None:
    machine.has_apt(user=0)
    machine.has_python()
    code, output = machine.set_up()
    assert code == 0, output
    log = machine.log.read_text()
    assert machine.actions() == ["dpkg", "apt-get", "apt-get", "venv", "pip"]
    assert (
        f"install --quiet --yes --no-install-recommends --fix-broken {' '.join(installed_names())}"
        in log
    )
    assert "--constraint constraints.txt --editable .[dev]" in log


def test_second_run_does_nothing_and_says_nothing(machine: Machine) -> None:
    machine.has_apt(user=0)
    machine.has_python()
    machine.set_up()
    machine.actions()
    assert machine.set_up() == (0, "")
    assert machine.actions() == []


def test_passwordless_sudo_is_used(machine: Machine) -> None:
    machine.has_apt(user=1000, sudo=True)
    machine.has_python()
    code, output = machine.set_up()
    assert code == 0, output
    assert machine.actions() == ["dpkg", "apt-get", "apt-get", "venv", "pip"]


def test_without_rights_exactly_one_command_is_printed_and_nothing_is_done(
    machine: Machine,
) -> None:
    machine.has_apt(user=1000)
    machine.has_python()
    code, output = machine.set_up()
    assert code == 1
    commands = [line for line in output.splitlines() if not line.startswith("setup: ")]
    assert commands == [
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends "
        + " ".join(installed_names())
    ]
    assert machine.actions() == []
    assert not machine.venv.exists()


def test_rights_are_not_needed_where_no_package_is_missing(machine: Machine) -> None:
    machine.has_apt(user=1000)
    machine.has_python()
    packages = "".join(f"{name}=installed\n" for name in installed_names())
    Path(f"{machine.log}.installed").write_text(packages)
    code, output = machine.set_up()
    assert code == 0, output
    assert machine.actions() == ["venv", "pip"]


def test_python_without_ensurepip_gets_its_venv_package(machine: Machine) -> None:
    machine.has_apt(user=1000)
    python = machine.has_python()
    Path(f"{python}.no-venv").touch()
    code, output = machine.set_up()
    assert code == 1
    assert output.rstrip().endswith(" python3.11-venv")


def test_machine_without_python_is_told_to_install_it_in_the_same_command(
    machine: Machine,
) -> None:
    machine.has_apt(user=1000)
    code, output = machine.set_up()
    assert code == 1
    assert output.rstrip().endswith(" python3-venv")


@pytest.mark.parametrize("version", ["3.10", "3.13", "2.7", ""])
def test_wrong_python_is_refused_with_what_to_do(machine: Machine, version: str) -> None:
    machine.environment["VERSION"] = version
    machine.has_python()
    code, output = machine.set_up()
    assert code == 1
    assert "no Python 3.11 or 3.12" in output
    assert "PYTHON=/path/to/python3.12 make setup" in output
    assert not machine.venv.exists()


def test_python_named_by_the_user_is_the_one_taken(machine: Machine) -> None:
    machine.has_python("python3.11")
    machine.environment["PYTHON"] = str(machine.has_python("mine"))
    code, output = machine.set_up()
    assert code == 0, output
    assert f"making .venv with {machine.bin / 'mine'}" in output


def test_system_without_apt_is_told_what_is_left_to_it(machine: Machine) -> None:
    machine.has_python()
    code, output = machine.set_up()
    assert code == 0, output
    assert "no apt here" in output
    assert machine.actions() == ["venv", "pip"]
    assert machine.set_up() == (0, "")


def test_installation_still_at_work_is_waited_for(machine: Machine) -> None:
    machine.has_apt(user=0)
    machine.has_python()
    machine.has(
        "dpkg",
        """#!/bin/sh
        if [ ! -e "$LOG.waited" ]; then echo "dpkg: error: database lock held"; exit 2; fi
        """,
    )
    machine.has("sleep", '#!/bin/sh\ntouch "$LOG.waited"\n')
    code, output = machine.set_up()
    assert code == 0, output
    assert "waiting for another installation" in output


def test_unreachable_package_list_does_not_stop_the_installation(machine: Machine) -> None:
    machine.has_apt(user=0)
    machine.has_python()
    Path(f"{machine.log}.fail-update").touch()
    code, output = machine.set_up()
    assert code == 0, output
    assert "apt-get update had faults" in output


@pytest.mark.parametrize("step", ["venv", "pip"])
def test_killed_set_up_is_finished_by_the_next(machine: Machine, step: str) -> None:
    machine.has_python()
    hang = Path(f"{machine.log}.hang-{step}")
    hang.touch()
    process = machine.start()
    wait_until_it_hangs(machine)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=WAIT_S)
    hang.unlink()
    leftover = machine.venv / "cut off half-way"
    leftover.touch()
    machine.actions()
    code, output = machine.set_up()
    assert code == 0, output
    assert machine.actions() == ["venv", "pip"]
    assert not leftover.exists()
    assert machine.set_up() == (0, "")


def wait_until_it_hangs(machine: Machine) -> None:
    until(lambda: machine.log.exists() and "hangs" in machine.log.read_text())


def test_second_set_up_at_the_same_time_waits_for_the_first(machine: Machine) -> None:
    flock = shutil.which("flock") or pytest.skip("no flock here")
    (machine.bin / "flock").symlink_to(flock)
    machine.has_python()
    hang = Path(f"{machine.log}.hang-pip")
    hang.touch()
    first = machine.start()
    wait_until_it_hangs(machine)
    second = machine.start()
    assert second.stdout is not None
    assert "waiting for another set-up" in second.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=0.5)
    assert machine.log.read_text().count("venv") == 1
    hang.unlink()
    for process in (first, second):
        process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
    assert [action for action in machine.actions() if action != "hangs"] == ["venv", "pip"]


def test_failing_pip_is_an_error_and_the_next_run_tries_again(machine: Machine) -> None:
    machine.has_python()
    failing = Path(f"{machine.log}.fail-pip")
    failing.touch()
    code, output = machine.set_up()
    assert code != 0
    assert "pip could not install the packages" in output
    failing.unlink()
    assert machine.set_up()[0] == 0


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "Makefile.d/setup.sh"])
def test_changed_requirements_bring_the_environment_up_to_date(machine: Machine, name: str) -> None:
    machine.has_python()
    machine.set_up()
    machine.actions()
    with (machine.project / name).open("a") as file:
        file.write("# changed\n")
    assert machine.set_up()[0] == 0
    assert machine.actions() == ["pip"]
    assert machine.set_up() == (0, "")


def test_update_that_was_killed_leaves_nothing_that_passes_for_complete(machine: Machine) -> None:
    machine.has_python()
    machine.set_up()
    machine.actions()
    constraints = machine.project / "constraints.txt"
    before = constraints.read_text()
    constraints.write_text("")
    hang = Path(f"{machine.log}.hang-pip")
    hang.touch()
    process = machine.start()
    wait_until_it_hangs(machine)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=WAIT_S)
    hang.unlink()
    machine.actions()
    constraints.write_text(before)
    assert machine.set_up()[0] == 0
    assert machine.actions() == ["venv", "pip"]


def test_new_version_of_python_makes_the_environment_anew(machine: Machine) -> None:
    python = machine.has_python("mine")
    machine.environment["PYTHON"] = str(python)
    machine.set_up()
    machine.actions()
    python.write_text(python.read_text().replace("stand-in", "newer"))
    assert machine.set_up()[0] == 0
    assert machine.actions() == ["venv", "pip"]


def test_moved_project_is_set_up_again(machine: Machine) -> None:
    machine.has_python()
    machine.set_up()
    machine.actions()
    moved = machine.project.with_name("elsewhere")
    machine.project.rename(moved)
    machine.project = moved
    assert machine.set_up()[0] == 0
    assert "pip" in machine.actions()


def test_environment_without_its_python_is_made_anew(machine: Machine) -> None:
    machine.has_python()
    machine.set_up()
    machine.actions()
    (machine.venv / "bin" / "python").unlink()
    assert machine.set_up()[0] == 0
    assert machine.actions() == ["venv", "pip"]


def test_every_debian_package_says_why_it_is_there() -> None:
    lines = (REPOSITORY / "Makefile.d" / "debian-packages.txt").read_text().splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    assert entries
    assert all("#" in line and len(line.partition("#")[2].strip()) > 10 for line in entries)


def test_constraints_are_names_and_versions_alone() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    names = []
    for line in lines:
        name, equals, version = line.partition("==")
        assert equals
        assert set(name + version) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
        )
        names.append(name.lower())
    assert names == sorted(set(names), key=lambda name: name.replace("_", "-"))


def test_make_alone_lists_every_target_with_its_help() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make here")
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for target in ("setup", "demo", "test", "test-long", "lint", "bench", "docs"):
        assert any(
            line.startswith(f"make {target} ") and len(line) > 30
            for line in shown.stdout.splitlines()
        ), shown.stdout
