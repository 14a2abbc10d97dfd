"""`bci doctor --board` walks through the checklist and finds what is wrong."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chip_bench import Bench
from running_session import DEMO, ROOT, bci, sets

from bci.config import Override, load_session
from bci.config.session import Session
from bci.hardware.board.questions import Questions
from bci.session.board_trial import Wishes, board_checks
from bci.session.check import Check, Status

PATIENT = {"rig.board.watchdog_ms": 800, "rig.board.valve.max_open_ms": 1000}
"""A computer that stands still for a moment is no silent host."""
NAMES = [
    *("identity", "self-test", "line", "outputs", "TTL"),
    *("gate", "sensors", "valve", "watchdog", "end"),
]


def session_at(port: str = "", kind: str = "serial") -> Session:
    told: dict[str, str | float] = {"rig.board.kind": kind, **PATIENT}
    if port:
        told["rig.board.port"] = port
    return load_session(DEMO, [Override(*one) for one in told.items()])


def found(session: Session, wishes: Wishes) -> dict[str, Check]:
    return {check.name: check for check in board_checks(session, wishes)}


def drive(bench: Bench, *, frames_hz: float, seconds: float) -> None:
    """Frame TTLs, and somebody who touches everything again and again, by the chip's own time."""
    half_us = round(0.5e6 / frames_hz)
    for t_us in range(0, round(1e6 * seconds), half_us):
        level = t_us // half_us % 2
        bench.script(f"+{t_us} frame_ttl {level}")
        bench.script(f"+{t_us} lick {level}")
        bench.script(f"+{t_us} photodiode {4_500 * level}")
        # the wheel turns on and on
        bench.script(f"+{t_us} wheel_a {level}")
        bench.script(f"+{t_us + half_us // 2} wheel_b {level}")


@pytest.fixture
def benches(chip: tuple[Path, Path], tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    opened: list[Bench] = []

    def start(firmware: Path | None = None) -> Bench:
        opened.append(Bench((chip[0], firmware or chip[1]), tmp_path))
        return opened[-1]

    yield start
    for bench in opened:
        bench.close()


def test_sound_board_passes_every_step_and_keeps_the_name_that_it_is_given(
    benches: Callable[..., Bench],
) -> None:
    bench = benches()
    session = session_at(f"socket://127.0.0.1:{bench.told['port']}")
    drive(bench, frames_hz=20.0, seconds=60.0)
    source = session.rig.source.model_copy(update={"rate_hz": 20.0})
    rig = session.rig.model_copy(update={"source": source})
    session = session.model_copy(update={"rig": rig})
    checks = found(session, Wishes(wait_s=30.0, name="rig-2"))
    assert list(checks) == NAMES
    # a slow computer answers slowly, and is told so
    unsound = {name: check.message for name, check in checks.items() if check.status != "ok"}
    assert unsound.keys() <= {"line"}, unsound
    assert "0 frames damaged" in checks["line"].message
    assert "rig-2" in checks["identity"].message
    pulses = [edge for edge in bench.edges() if edge["pin"] == "valve"]
    up_down = zip(pulses[::2], pulses[1::2], strict=True)
    widths_ms = [(down["cycle"] - up["cycle"]) / 16e3 for up, down in up_down]
    assert widths_ms[0] == pytest.approx(10.0, abs=0.02)
    assert 150 < widths_ms[1] < 802  # counted from the last keep-alive, just before
    assert "light" not in {edge["pin"] for edge in bench.edges()}
    assert "gate" in {edge["pin"] for edge in bench.edges()}
    assert "rig-2" in found(session, Wishes(wait_s=0.0, learn="black"))["identity"].message


def test_board_without_a_watchdog_fails_that_step(
    benches: Callable[..., Bench], firmware_without: Callable[[str], Path]
) -> None:
    bench = benches(firmware_without("WATCHDOG"))
    checks = found(session_at(f"socket://127.0.0.1:{bench.told['port']}"), Wishes(wait_s=0.0))
    assert [name for name, check in checks.items() if check.status is Status.FAIL] == ["watchdog"]
    assert "while the host was silent" in checks["watchdog"].message


def test_line_that_answers_slowly_is_told_so_and_every_step_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = Questions._write

    def slow(line: Questions, data: bytes) -> None:
        write(line, data)
        time.sleep(0.03)

    monkeypatch.setattr(Questions, "_write", slow)
    checks = found(session_at(kind="simulated"), Wishes(wait_s=0.0))
    assert list(checks) == NAMES
    assert Status.FAIL not in {check.status for check in checks.values()}
    assert "latency timer" in checks["line"].solution


def test_wiring_page_says_what_each_step_can_say() -> None:
    page = (ROOT / "docs" / "wiring.md").read_text("utf-8")
    table = page.split("| step | `ok` | otherwise |")[1]
    assert [row.split("|")[1].strip() for row in table.splitlines()[2:] if row] == NAMES


def test_wrong_port_ends_the_list_with_what_to_do() -> None:
    [check] = board_checks(session_at("socket://127.0.0.1:9"), Wishes())
    assert (check.name, check.status) == ("line", Status.FAIL)
    assert check.solution


@pytest.mark.parametrize("kind", ["chip", "simulated"])
def test_command_tells_what_was_not_seen_and_what_to_do(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    if kind == "chip":
        request.getfixturevalue("chip")
    results = tmp_path / "checks.json"
    done = bci(
        *("doctor", "--board", DEMO, "--wait", 0, "--json", results),
        *sets([f"rig.board.kind={kind}", *(f"{key}={value}" for key, value in PATIENT.items())]),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(results.read_text())
    assert [check["name"] for check in checks] == NAMES
    warned = {check["name"] for check in checks if check["status"] == "warn"}
    assert warned - {"identity", "line"} == {"TTL", "gate", "sensors"}
    assert all(check["solution"] for check in checks if check["status"] == "warn")
    assert "no frame TTL came → start the microscope" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("kind", ["harp", "arduino"])
def test_other_makers_board_is_told_what_it_lacks_and_gives_a_drop(kind: str) -> None:
    from board_peers import ArduinoPeer, HarpPeer

    with HarpPeer() if kind == "harp" else ArduinoPeer() as device:
        checks = found(session_at(device.port, kind), Wishes())
        assert device.openings == 1
    assert "it lacks" in checks["safety"].message
    expected = Status.OK if kind == "harp" else Status.WARN
    assert checks["valve"].status is expected
