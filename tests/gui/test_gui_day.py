"""A day at the rig by keyboard and mouse, in a real window on a real X server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from running_session import DEMO, ROOT, SHORT, sets
from valve import openings
from waiting import until

from bci.core.loop_types import EnsemblesSet, LedgerKind, Pause, Resume, Stop
from bci.recording.session_record import SessionRecord
from bci.recording.subject import SubjectFolder
from bci.recording.verify import verify
from stimuli.xvfb import Xvfb

State = dict[str, Any]
SIZE = (1280, 800)
CHILD = Path(__file__).with_name("window_child.py")


class Hands:
    """The window's process, its keyboard and its mouse."""

    def __init__(self, display: str, state_file: Path, *arguments: object) -> None:
        self._state_file = state_file
        state_file.unlink(missing_ok=True)
        self._environment = {
            **os.environ,
            "DISPLAY": display,
            "PYTHONPATH": str(ROOT),
            # no preferences of whoever runs the tests
            "XDG_CONFIG_HOME": str(state_file.parent),
        }
        self._environment.pop("QT_QPA_PLATFORM", None)
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(state_file), *map(str, arguments)],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.wait(lambda state: bool(state["buttons"]))
        (self._window,) = self._x("search", "--onlyvisible", "--pid", self.process.pid).split()
        self._x("windowfocus", "--sync", self._window)

    def _x(self, *arguments: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, arguments)],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout

    def state(self) -> State:
        assert self.process.poll() is None, self.output()
        try:
            return json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return {"buttons": {}}

    def wait(
        self, seen: Callable[[dict[str, Any]], bool], timeout_s: float = 40.0
    ) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            state = self.state()
            return state if seen(state) else None

        found = until(look, timeout_s)
        assert found is not None
        return found

    def press(self, *keys: str) -> None:
        self._x("key", *keys)

    def type(self, text: str) -> None:
        self._x("type", text)

    def click(self, button: str) -> None:
        """Press a button that shows such a text."""
        state = self.wait(lambda state: any(button in text for text in state["buttons"]))
        x, y = next(place for text, place in state["buttons"].items() if button in text)
        self._x("mousemove", x, y, "click", 1)

    def click_into(self, field: str) -> None:
        """Put the cursor into a field with such a placeholder."""
        state = self.wait(lambda state: field in state["fields"])
        self._x("mousemove", *state["fields"][field], "click", 1)

    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def display() -> Iterator[str]:
    """An X server that lives as long as the test, whoever leaves it."""
    server = Xvfb(*SIZE)
    # the server ends with its last client
    keeper = subprocess.Popen(
        ["xdotool", "behave_screen_edge", "bottom-left", "exec", "true"],
        env={**os.environ, "DISPLAY": server.display},
    )
    yield server.display
    keeper.kill()
    keeper.wait()
    server.stop()


def session_process(root: Path) -> psutil.Process | None:
    for process in psutil.process_iter(["cmdline"]):
        if (
            f"--out={root}" in (process.info["cmdline"] or [])
            and "--headless" in process.info["cmdline"]
        ):
            return process
    return None


def test_a_day_by_hand_with_the_window_killed_in_the_middle(display: str, tmp_path: Path) -> None:
    root, state_file = tmp_path / "sessions", tmp_path / "window.json"
    settings = (*SHORT, "rig.screen.backend=null", "experiment.task.session_s=600")
    hands = Hands(display, state_file, "run", DEMO, f"--out={root}", *sets(settings))
    supervisor = None
    try:
        hands.press("ctrl+Return")
        hands.wait(lambda state: state["state"] == "BASELINE")
        supervisor = session_process(root)
        folder = until(lambda: next(root.glob("demo/2*/"), None))
        hands.press("ctrl+5")
        assert hands.wait(lambda state: state["page"] == "Session")
        hands.wait(lambda state: state["trials"] >= 1)
        # by keyboard
        before = openings(folder)
        hands.press("r")
        until(lambda: openings(folder) > before, 5)
        hands.press("n")
        hands.type("r and space are text here")
        hands.press("Return")
        hands.wait(lambda state: state["notes"] == ["r and space are text here"])
        hands.press("space")
        hands.wait(lambda state: state["state"] == "PAUSED")
        # the window dies; the session does not notice
        seen = hands.state()
        hands.kill()
        hands = Hands(display, state_file, "attach", folder)
        again = hands.wait(
            lambda state: state["decisions"] >= seen["decisions"] and state["rows"] > 0
        )
        assert again["page"] == "Session"
        assert again["trials"] == seen["trials"]
        assert again["notes"] == seen["notes"]
        assert again["columns"] > 30
        assert again["rows"] == 40
        # by mouse
        hands.click("Resume")
        hands.wait(lambda state: state["state"] not in ("PAUSED", "WAITING"))
        hands.click("End")
        hands.wait(lambda state: state["page"] == "End")
        hands.click("Stop")
        hands.wait(lambda state: state["asking"])
        hands.press("Escape")
        hands.wait(lambda state: not state["asking"])
        hands.press("Escape")
        hands.wait(lambda state: state["asking"])
        hands.press("Return")
        hands.wait(lambda state: state["phase"] == "ended")
        os.kill(hands.process.pid, signal.SIGINT)
        output, _ = hands.process.communicate(timeout=20)
        assert hands.process.returncode == 0, output
        assert "ended: stopped by the operator" in output
    finally:
        if hands.process.poll() is None:
            hands.kill()
        if supervisor is not None and supervisor.is_running():
            supervisor.terminate()
            supervisor.wait(40)
    record = SessionRecord.read(folder)
    asked = [type(timed.value.event) for timed in record.events]
    assert asked.count(Pause) == asked.count(Resume) == asked.count(Stop) == 1
    ids = record.frames["frame_id"]
    assert ids.tolist() == list(range(int(ids[0]), int(ids[0]) + len(ids)))
    kinds = {timed.value.kind for timed in record.ledger}
    assert not kinds & {LedgerKind.GAP, LedgerKind.REFUSED, LedgerKind.STALL}
    verdict = verify(folder)
    assert verdict.ok, verdict


HELD = (
    *("experiment.hold=true", "experiment.blocks=[]", "experiment.decoder.f0_window_s=3"),
    *("experiment.baseline.duration_s=63", "experiment.task.trial_s=2", "rig.stream.speed=6"),
    "rig.screen.backend=null",
)
"""The operator begins each block; a baseline that one can choose from takes ten seconds."""


def test_day_1_by_hand_from_the_pre_flight_to_the_weight_of_the_animal(
    display: str, tmp_path: Path
) -> None:
    root, state_file = tmp_path / "sessions", tmp_path / "window.json"
    hands = Hands(display, state_file, "run", DEMO, f"--out={root}", *sets(HELD))
    supervisor = None
    try:
        # Rig
        hands.press("F5")
        hands.wait(lambda state: "Try everything  F5" not in state["buttons"])
        hands.wait(lambda state: "Try everything  F5" in state["buttons"], 60)
        hands.press("ctrl+Return")
        hands.wait(lambda state: state["state"] == "WAITING")
        supervisor = session_process(root)
        # Baseline
        hands.wait(lambda state: any(text.startswith("Begin") for text in state["buttons"]))
        hands.press("b")
        hands.wait(lambda state: state["state"] == "BASELINE" and state["page"] == "Baseline")
        before = hands.wait(lambda state: state["state"] == "WAITING")["ensembles"]
        # Ensembles
        hands.press("ctrl+4")
        hands.wait(lambda state: "Score the ROIs  F5" in state["buttons"])
        hands.press("F5")
        hands.click("Propose")
        hands.click("Use these")
        chosen = hands.wait(lambda state: state["ensembles"] != before)["ensembles"]
        # Session
        hands.wait(lambda state: any(text.startswith("Begin") for text in state["buttons"]))
        hands.press("b")
        hands.press("ctrl+5")
        hands.wait(lambda state: state["trials"] >= 2 and state["page"] == "Session")
        hands.press("Escape")
        hands.wait(lambda state: state["asking"])
        hands.press("Return")
        # End
        hands.wait(lambda state: state["phase"] == "ended" and state["page"] == "End")
        hands.click_into("weight of the animal")
        hands.type("23.4")
        hands.press("Return")
        (note,) = until(lambda: SubjectFolder(root, "demo").notes())
        assert note.weight_g == 23.4
        os.kill(hands.process.pid, signal.SIGINT)
        hands.process.communicate(timeout=20)
    finally:
        if hands.process.poll() is None:
            hands.kill()
        if supervisor is not None and supervisor.is_running():
            supervisor.terminate()
            supervisor.wait(40)
    folder = next(root.glob("demo/2*"))
    record = SessionRecord.read(folder)
    assert len(record.trials) >= 2
    set_to = [e.value.event for e in record.events if isinstance(e.value.event, EnsemblesSet)]
    assert [[list(event.p_plus), list(event.p_minus)] for event in set_to] == [chosen]
    assert verify(folder).ok
