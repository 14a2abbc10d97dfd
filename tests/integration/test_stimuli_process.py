"""The stimulus process against a control of real sockets, with a window and without."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from measure_grating import angle_between, drift, orientation_deg
from picture_screen import grating_command, photographed, screenshot
from stimulus_process import Control, StimulusProcess, session_settings
from waiting import lives, until
from x_idle import XIdle

from bci.core.stimulus_types import FlipKind, MissedFlips, ScreenKind
from bci.stimuli.xvfb import Xvfb

DRIFT_HZ = 0.25
"""So slow that pictures seconds apart tell it from any other speed."""


@pytest.fixture
def control() -> Iterator[Control]:
    control = Control()
    yield control
    control.close()


PSYCHOPY_IF_LONG = ("null", pytest.param("psychopy", marks=pytest.mark.long))
"""PsychoPy takes seconds to open, and these ask nothing of it but what both screens share."""


@pytest.fixture(params=PSYCHOPY_IF_LONG)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stimulus(backend: str, control: Control) -> Iterator[StimulusProcess]:
    with StimulusProcess(session_settings(backend)) as process:
        process.meet(control.peers)
        yield process


@pytest.mark.parametrize("backend", ["null", "psychopy"], indirect=True)
def test_screen_says_hello_and_every_command_is_reported_once(
    stimulus: StimulusProcess, control: Control, backend: str
) -> None:
    hello = control.await_hello()
    assert (hello.backend, hello.width_px, hello.height_px) == (backend, 800, 600)
    assert (hello.blanks, hello.refresh_hz) == (False, 60.0)
    assert control.reports[0] == hello
    for command_id in range(1, 6):
        flip = control.show(grating_command(15.0 * command_id, command_id=command_id))
        assert flip.t_received_ns <= flip.t_draw_ns <= flip.t_flip_ns <= time.perf_counter_ns()
        assert not flip.blanks
        for _ in range(3):
            control.commands.resend()
    assert stimulus.stop() == 0
    control.read()
    assert [flip.command_id for flip in control.shown] == [1, 2, 3, 4, 5]
    assert "no vsync" in stimulus.await_told("ready")
    assert stimulus.told[-1]["kind"] == "ended"


def test_newest_command_wins_and_every_other_one_is_reported(
    stimulus: StimulusProcess, control: Control
) -> None:
    control.show(grating_command(0, command_id=1))
    for command_id in range(2, 40):
        control.commands.send(grating_command(command_id, command_id=command_id))
    control.await_shown(39)
    # one that is lost on the way: never sent
    control.show(grating_command(0, command_id=41))
    assert stimulus.stop() == 0
    control.read()
    assert [flip.command_id for flip in control.flips] == list(range(1, 42))
    lost = next(flip for flip in control.flips if flip.command_id == 40)
    assert (lost.kind, lost.t_received_ns, lost.t_flip_ns) == (FlipKind.SUPERSEDED, 0, 0)
    assert len(control.shown) < 20


def test_missed_refreshes_are_reported_when_they_happen(
    stimulus: StimulusProcess, control: Control
) -> None:
    control.show(grating_command(0, command_id=1))
    stimulus.process.send_signal(signal.SIGSTOP)
    stopped = psutil.Process(stimulus.process.pid)
    until(lambda: stopped.status() == psutil.STATUS_STOPPED)
    control.read()
    seen = len(control.reports)
    time.sleep(0.5)  # what is being measured: half a second without a flip
    stimulus.process.send_signal(signal.SIGCONT)

    def missed() -> int:
        control.read()
        reports = control.reports[seen:]
        return sum(report.count for report in reports if isinstance(report, MissedFlips))

    until(lambda: missed() >= 25)


def test_stimulus_starts_and_ends_without_control(backend: str) -> None:
    with StimulusProcess(session_settings(backend)) as alone:
        alone.await_told("ready")
        assert alone.stop() == 0


def test_control_that_moves_is_followed(stimulus: StimulusProcess, control: Control) -> None:
    control.show(grating_command(0, command_id=700))
    other = Control(control)
    try:
        stimulus.meet(other.peers)
        other.await_hello()
        # a control that counts from the start again
        other.show(grating_command(0, command_id=1))
        assert [flip.command_id for flip in other.flips] == [1]
    finally:
        other.close()


def test_killed_stimulus_does_not_block_control(
    stimulus: StimulusProcess, control: Control
) -> None:
    control.show(grating_command(0, command_id=1))
    stimulus.kill()
    for command_id in range(2, 5000):
        control.commands.send(grating_command(0, command_id=command_id))
    control.read()
    assert {flip.command_id for flip in control.flips} == {1}


def test_restarted_stimulus_shows_the_current_command(backend: str, control: Control) -> None:
    settings = session_settings(backend)
    with StimulusProcess(settings) as first:
        first.meet(control.peers)
        control.show(grating_command(60, command_id=12))
        first.kill()
    control.read()
    control.reports.clear()
    with StimulusProcess(settings) as second:
        second.meet(control.peers)
        control.await_shown(12)
        assert [flip.command_id for flip in control.flips] == [12]
        if backend == "psychopy":
            picture = screenshot(control.await_hello().display)
            assert angle_between(orientation_deg(picture), 60, 180) < 1


def test_lossless_run_without_a_screen_waits_for_no_timer(control: Control) -> None:
    settings = session_settings("null", refresh_hz=0.01)
    settings["rig"]["stream"] = {"delivery": "lossless"}  # type: ignore[index]
    with StimulusProcess(settings) as stimulus:
        stimulus.meet(control.peers)
        for command_id in range(1, 11):
            control.show(grating_command(0, command_id=command_id))
    first, last = control.shown[0], control.shown[-1]
    # less than one refresh; with a timer they are nine
    assert last.t_flip_ns - first.t_flip_ns < 100e9


def test_grating_drifts_on_when_control_is_silent_and_its_end_leaves_nothing(
    control: Control, tmp_path: Path
) -> None:
    folders = {name: tmp_path / name for name in ("home", "tmp", "cwd")}
    for folder in folders.values():
        folder.mkdir()
    environment = {
        "HOME": str(folders["home"]),
        "TMPDIR": str(folders["tmp"]),
        "MESA_SHADER_CACHE_DISABLE": "true",
    }
    # less to draw
    settings = session_settings("psychopy", width_px=400, height_px=300)
    with StimulusProcess(settings, environment=environment, cwd=folders["cwd"]) as stimulus:
        stimulus.meet(control.peers)
        display = control.await_hello().display
        control.show(grating_command(90, command_id=1, temporal_freq_hz=DRIFT_HZ))
        control.close()
        pictures, times_s = [], []
        for _ in range(8):
            before_ns, after_ns, picture = photographed(display)
            pictures.append(picture)
            times_s.append((before_ns + after_ns) / 2e9)
            time.sleep(0.2)  # let the grating move
        [server] = stimulus.x_servers()
        assert stimulus.stop() == 0
        assert not lives(server)
    hz, direction_deg = drift(pictures, times_s)
    assert hz == pytest.approx(DRIFT_HZ, rel=0.1)
    assert angle_between(direction_deg, 90, 360) < 1
    assert [path for path in tmp_path.rglob("*") if path not in folders.values()] == []


@pytest.mark.long
def test_control_that_reads_no_reports_does_not_hold_up_the_screen(control: Control) -> None:
    with StimulusProcess(session_settings("psychopy")) as stimulus:
        # nobody listens on port 1: the queue fills and stays full
        stimulus.meet({**control.peers, "flips": "tcp://127.0.0.1:1"})
        display = stimulus.await_told("ready").split(" on ")[1].split(",")[0]
        for command in (
            grating_command(0, command_id=1),
            # many times more superseded commands than the queue holds
            grating_command(0, command_id=20_000),
            grating_command(0, command_id=20_001, screen=ScreenKind.BLACK),
        ):
            control.commands.send(command)
            looks_black = command.screen is ScreenKind.BLACK

            def seen(black: bool = looks_black) -> bool:
                control.commands.resend_if_due(time.perf_counter_ns())
                return (screenshot(display).max() == 0) if black else screenshot(display).std() > 0

            until(seen)


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_killed_stimulus_leaves_no_x_server(control: Control, how: signal.Signals) -> None:
    with StimulusProcess(session_settings("psychopy")) as stimulus:
        stimulus.meet(control.peers)
        control.await_hello()
        [server] = stimulus.x_servers()
        stimulus.process.send_signal(how)
        stimulus.process.wait()
        until(lambda: not lives(server))


def test_screen_stays_on_without_a_key_press_and_its_process_ends_with_the_window(
    control: Control,
) -> None:
    server = Xvfb(800, 600)
    try:
        idle = XIdle(server.display)
        started_s = idle.last_input_s()
        settings = session_settings("psychopy", display=server.display)
        with StimulusProcess(settings) as stimulus:
            stimulus.meet(control.peers)
            control.await_hello()
            # nobody touched a key: what the server counted as one came from the window
            assert idle.last_input_s() > started_s + 0.1
            control.show(grating_command(0, command_id=1))
            x = {**os.environ, "DISPLAY": server.display}
            search = ["xdotool", "search", "--name", "PsychoPy"]
            for window in subprocess.check_output(search, env=x, text=True).split():
                # with the first one closed, the process may have ended
                subprocess.run(["xdotool", "windowclose", window], env=x, check=False)
            reason = stimulus.await_told("failed")
            assert stimulus.process.wait() == 1
        idle.close()
    finally:
        server.stop()
    assert reason.startswith(f"the window on {server.display} is gone: ")


def test_display_that_does_not_exist_ends_the_process_with_a_clear_message() -> None:
    with StimulusProcess(session_settings("psychopy", display=":987")) as stimulus:
        reason = stimulus.await_told("failed")
        assert stimulus.process.wait() == 1
    assert reason.startswith("rig.screen.display: cannot open a window on :987: no X")
    assert "Set it to a running X display" in reason


def test_screen_that_is_not_there_is_not_replaced_by_another() -> None:
    with StimulusProcess(session_settings("psychopy", screen_index=3)) as stimulus:
        reason = stimulus.await_told("failed")
        assert stimulus.process.wait() == 1
    assert reason.startswith("rig.screen.screen_index: no screen 3. Found: 1")


@pytest.mark.long
def test_gamma_is_left_out_where_nobody_sees_the_screen() -> None:
    with StimulusProcess(session_settings("psychopy", gamma=2.2)) as stimulus:
        stimulus.await_told("ready")
        assert stimulus.stop() == 0


def test_missing_xvfb_ends_the_process_with_a_clear_message(tmp_path: Path) -> None:
    with StimulusProcess(
        session_settings("psychopy"), environment={"PATH": os.fspath(tmp_path)}
    ) as stimulus:
        assert "Install xvfb, or set rig.screen.display" in stimulus.await_told("failed")
        assert stimulus.process.wait() == 1
