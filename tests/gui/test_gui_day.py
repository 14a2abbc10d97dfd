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
from running_session import DEMO, PATIENT_BOARD, ROOT, SHORT, sets
from valve import openings
from waiting import WAIT_S, until

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import EnsemblesSet, LedgerKind, Pause, Resume, Stop
from bci.recording.session_record import SessionRecord
from bci.recording.subject import SubjectFolder
from bci.recording.verify import verify
from bci.session.desk import FIRST_OPERATOR_REWARD
from bci.stimuli.xvfb import Xvfb

State = dict[str, Any]
SIZE = (1280, 800)
TO_THE_END_S = 2 * WAIT_S
"""A session that ends writes its files first."""
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
            # on this display, on a desktop of Wayland too
            "QT_QPA_PLATFORM": "xcb",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(state_file), *map(str, arguments)],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.wait(lambda state: bool(state["buttons"]))
        # shown to us, it may still be on its way to the screen
        seen = self._x("search", "--sync", "--onlyvisible", "--pid", self.process.pid)
        (window,) = seen.split()
        self._x("windowfocus", "--sync", window)
        self.wait(lambda state: state["active"])

    def _x(self, *arguments: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, arguments)],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=WAIT_S,
        )
        return done.stdout

    def state(self) -> State:
        assert self.process.poll() is None, self.output()
        try:
            return json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return {"buttons": {}}

    def wait(self, seen: Callable[[State], bool], timeout_s: float = WAIT_S) -> State:
        def look() -> State | None:
            state = self.state()
            return state if seen(state) else None

        found = until(look, timeout_s)
        assert found is not None
        return found

    def press(self, keys: str, button: str = "") -> None:
        """Press keys, once the button that they stand for may be pressed."""
        if button:
            self.find(button)
        self._x("key", keys)

    def type(self, text: str) -> None:
        self._x("type", text)

    def find(self, button: str) -> list[int]:
        """Where an enabled button is that shows such a text."""
        state = self.wait(lambda state: any(button in text for text in state["buttons"]))
        return next(place for text, place in state["buttons"].items() if button in text)

    def click(self, button: str) -> None:
        """Press a button that shows such a text."""
        self._x("mousemove", *self.find(button), "click", 1)

    def click_into(self, field: str) -> None:
        """Put the cursor into a field with such a placeholder."""
        state = self.wait(lambda state: field in state["fields"])
        self._x("mousemove", *state["fields"][field], "click", 1)

    def stop_weigh_and_close(self, root: Path) -> None:
        """End the session, write the animal's weight down, close the window."""
        self.press("Escape", "Stop")
        self.wait(lambda state: state["asking"])
        self.press("Return")
        self.wait(lambda state: state["phase"] == "ended" and state["page"] == "End", TO_THE_END_S)
        self.click_into("weight of the animal")
        self.type("23.4")
        self.press("Return")
        (note,) = until(lambda: SubjectFolder(root, "demo").notes())
        assert note.weight_g == 23.4
        os.kill(self.process.pid, signal.SIGINT)
        self.process.communicate(timeout=WAIT_S)

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


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Folder of all subjects; a session that is left running there is ended."""
    root = tmp_path / "sessions"
    yield root
    if (left := session_process(root)) is not None:
        left.terminate()
        left.wait(WAIT_S)


UNHURRIED = (
    "rig.screen.backend=null",
    "experiment.faults.stall_s=60",
    "rig.files_at_end=false",
)
"""A busy computer is no microscope that stands still; nobody looks at NWB and report."""


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_day_by_hand_with_the_window_killed_in_the_middle(
    display: str, root: Path, tmp_path: Path
) -> None:
    state_file = tmp_path / "window.json"
    settings = (*SHORT, *UNHURRIED, *PATIENT_BOARD, "experiment.task.session_s=600")
    hands = Hands(display, state_file, "run", DEMO, f"--out={root}", *sets(settings))
    try:
        hands.press("ctrl+Return", "Start session")
        hands.wait(lambda state: state["decisions"] > 0)
        folder = until(lambda: next(root.glob("demo/2*/"), None))
        hands.press("ctrl+5")
        assert hands.wait(lambda state: state["page"] == "Session")
        hands.wait(lambda state: state["trials"] >= 1)
        # by keyboard
        before = openings(folder)
        hands.press("r", "Reward")
        until(lambda: openings(folder) > before)
        hands.press("n")
        hands.type("r and space are text here")
        hands.press("Return")
        hands.wait(lambda state: state["notes"] == ["r and space are text here"])
        hands.press("space", "Pause")
        hands.wait(lambda state: state["state"] == "PAUSED")
        # the window dies; the session does not notice
        seen = hands.state()
        hands.kill()
        hands = Hands(display, state_file, "attach", folder)
        again = hands.wait(
            lambda state: (
                state["decisions"] >= seen["decisions"]
                and state["rows"] == 40
                and state["columns"] > 30
            )
        )
        assert again["page"] == "Session"
        assert again["trials"] == seen["trials"]
        assert again["notes"] == seen["notes"]
        # by mouse
        hands.click("Resume")
        hands.wait(lambda state: state["state"] not in ("PAUSED", "WAITING"))
        hands.click("End")
        hands.wait(lambda state: state["page"] == "End")
        hands.click("Stop")
        hands.wait(lambda state: state["asking"])
        hands.press("Escape")
        hands.wait(lambda state: not state["asking"])
        hands.press("Escape", "Stop")
        hands.wait(lambda state: state["asking"])
        hands.press("Return")
        hands.wait(lambda state: state["phase"] == "ended", TO_THE_END_S)
        os.kill(hands.process.pid, signal.SIGINT)
        output, _ = hands.process.communicate(timeout=WAIT_S)
        assert hands.process.returncode == 0, output
        assert "ended: stopped by the operator" in output
    finally:
        if hands.process.poll() is None:
            hands.kill()
    record = SessionRecord.read(folder)
    by_hand = [event.kind for event in record.board if event.request_id >= FIRST_OPERATOR_REWARD]
    assert by_hand.count(BoardEventKind.REWARD_DONE) == 1
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
    # longer than any hand takes to end it
    *(*UNHURRIED, "experiment.task.session_s=6000"),
)
"""The operator begins each block; a baseline that one can choose from takes ten seconds."""


@pytest.mark.timeout(400)
def test_day_1_by_hand_from_the_pre_flight_to_the_weight_of_the_animal(
    display: str, root: Path, tmp_path: Path
) -> None:
    state_file = tmp_path / "window.json"
    hands = Hands(display, state_file, "run", DEMO, f"--out={root}", *sets(HELD))
    try:
        # Rig
        hands.press("F5", "Try everything")
        hands.wait(lambda state: {"stream", "board", "screen"} <= set(state["tried"]))
        hands.press("ctrl+Return", "Start session")
        hands.wait(lambda state: state["state"] == "WAITING")
        # Baseline
        hands.press("b", "Begin the baseline")
        hands.wait(lambda state: state["page"] == "Baseline")
        recorded = hands.wait(lambda state: state["calibrated"] and state["state"] == "WAITING")
        # Ensembles
        hands.press("ctrl+4")
        hands.wait(lambda state: state["page"] == "Ensembles")
        hands.press("F5", "Score the ROIs")
        first = hands.wait(lambda state: "Use these" in state["buttons"])["choice"]
        hands.click("Propose")
        # the first choice may be used until the click has come: wait for that of the second
        hands.wait(lambda state: state["choice"] != first and "Use these" in state["buttons"])
        hands.click("Use these")
        set_since = hands.wait(lambda state: state["ensembles"] != recorded["ensembles"])
        chosen = set_since["ensembles"]
        # Session
        hands.press("b", "Begin the trials")
        hands.press("ctrl+5")
        hands.wait(lambda state: state["trials"] >= 2 and state["page"] == "Session")
        # End
        hands.stop_weigh_and_close(root)
    finally:
        if hands.process.poll() is None:
            hands.kill()
    folder = next(root.glob("demo/2*"))
    record = SessionRecord.read(folder)
    assert len(record.trials) >= 2
    set_to = [e.value.event for e in record.events if isinstance(e.value.event, EnsemblesSet)]
    assert [[list(event.p_plus), list(event.p_minus)] for event in set_to] == [chosen]
    assert verify(folder).ok
