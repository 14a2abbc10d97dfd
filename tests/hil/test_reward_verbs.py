"""`bci reward` on the firmware in simavr, behind a terminal as on a rig."""

import os
import sys
import threading
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from running_session import ROOT
from support.command_line import Said, run_here
from test_firmware_line import Bench

from bci.config.load import load_session
from bci.hardware.board.ports import open_port
from bci.recording.reward_log import read_reward_log

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

import pty
import tty

DEAD_MS, MS_PER_UL = 8.0, 10.0
EXPERIMENT = ROOT / "configs" / "experiments" / "demo.toml"


@pytest.fixture
def bench(chip: tuple[Path, Path], tmp_path: Path) -> Iterator[Bench]:
    opened = Bench(chip, tmp_path)
    yield opened
    if opened.process.poll() is None:
        opened.close()


def rig_file(folder: Path, port: str) -> Path:
    path = folder / "rig.toml"
    path.write_text(
        'name = "upstairs"\n[source]\nkind = "simulated"\nn_planes = 2\n'
        f'[board]\nkind = "serial"\nport = "{port}"\nwatchdog_ms = 5000\n'
    )
    return path


def reward(*arguments: object, typed: str = "") -> Said:
    with patch.object(sys, "stdin", StringIO(typed)):
        return run_here("reward", *arguments)


class Scale:
    """Weighs what the valve let out: 8 ms nothing, then 1 ul of water in 10 ms; and a bowl."""

    def __init__(self, bench: Bench) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self._bench = bench
        self._unstable = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while data := os.read(self.master, 64):
                for _ in range(data.count(b"\n")):
                    os.write(self.master, self._line().encode())
        except OSError:
            pass

    def _line(self) -> str:
        self._unstable = not self._unstable
        if not self._unstable:
            return "S D    123.0000 g\r\n"
        edges = self._bench.edges()
        weight_mg = sum(
            ((down["cycle"] - up["cycle"]) / 16_000 - DEAD_MS) / MS_PER_UL
            for up, down in zip(edges[::2], edges[1::2], strict=False)
        )
        return f"S S {50 + weight_mg / 1000:11.6f} g\r\n"

    def close(self) -> None:
        os.close(self._slave)
        self._thread.join(20.0)
        os.close(self.master)


def test_flush_is_a_train_of_legal_pulses_and_calibration_weighs_it(
    bench: Bench, tmp_path: Path
) -> None:
    rig = rig_file(tmp_path, bench.told["pty"])
    done = reward("flush", rig, "--pulses=4", "--ms=60", f"--out={tmp_path}")
    assert done.code == 0, done.err
    lines = read_reward_log(tmp_path / "rewards.csv")
    assert [(one.request_id, one.origin, one.state) for one in lines] == [
        (number, "flush", state) for number in range(1, 5) for state in ("sent", "done")
    ]
    widths_ms = [
        (down["cycle"] - up["cycle"]) / 16_000
        for up, down in zip(bench.edges()[::2], bench.edges()[1::2], strict=True)
    ]
    assert widths_ms == pytest.approx([60.0] * 4, abs=0.02)
    assert "about 24 µl" in done.out
    too_long = reward("flush", rig, "--ms=501", f"--out={tmp_path}")
    assert too_long.code == 2
    assert "at most 500 ms" in too_long.err

    scale, folder = Scale(bench), tmp_path / "calibrations"
    arguments = (rig, "--ms=20,50", "--drops=3", f"--folder={folder}", f"--scale={scale.port}")
    weighed = reward("calibrate", *arguments, f"--out={tmp_path}")
    scale.close()
    assert weighed.code == 0, weighed.err
    [path] = folder.glob("*.toml")
    found = tomllib.loads(path.read_text())
    assert found["ms_per_ul"] == pytest.approx(MS_PER_UL, rel=0.01)
    assert found["dead_ms"] == pytest.approx(DEAD_MS, abs=0.1)
    page = path.with_suffix(".html").read_text()
    assert "Volume against opening" in page
    # the rig takes the file as it is
    rig.write_text(rig.read_text() + f'valve = "{path.relative_to(tmp_path)}"\n')
    session = tmp_path / "session.toml"
    session.write_text(f'rig = "rig.toml"\nexperiment = "{EXPERIMENT}"\nsubject = "m1"\n')
    valve = load_session(session).rig.board.valve
    assert valve.calibrated_on == found["calibrated_on"]
    # and opens for as long as a drop of this size takes
    given = reward("give", session, "--ul=3", f"--out={tmp_path}")
    assert given.code == 0, given.err
    up, down = bench.edges()[-2:]
    assert (down["cycle"] - up["cycle"]) / 16_000 == pytest.approx(DEAD_MS + 3 * MS_PER_UL, abs=0.3)


def test_weights_typed_in_that_make_no_sense_give_no_calibration(
    bench: Bench, tmp_path: Path
) -> None:
    rig, folder = rig_file(tmp_path, bench.told["pty"]), tmp_path / "calibrations"
    arguments = (rig, "--ms=20,40", "--drops=1", f"--folder={folder}")
    done = reward("calibrate", *arguments, f"--out={tmp_path}", typed="8\n7\n")
    assert done.code == 1
    assert "not larger" in done.err
    assert not folder.exists()


@pytest.mark.usefixtures("noon")
def test_drop_by_hand_counts_for_the_subject_and_a_line_in_use_is_refused(
    bench: Bench, tmp_path: Path
) -> None:
    rig_file(tmp_path, bench.told["pty"])
    session = tmp_path / "session.toml"
    session.write_text(f'rig = "rig.toml"\nexperiment = "{EXPERIMENT}"\nsubject = "m1"\n')
    capped = ("--set=experiment.task.daily_cap_ul=5", f"--out={tmp_path}")
    done = reward("give", session, "--ul=3", *capped)
    assert done.code == 0, done.err
    sent, line = read_reward_log(tmp_path / "m1" / "rewards.csv")
    assert (sent.state, sent.key) == ("sent", line.key)
    assert (line.origin, line.volume_ul, line.state) == ("operator", 3.0, "done")
    refused = reward("give", session, "--ul=3", *capped)
    assert refused.code == 2
    assert "experiment.task.daily_cap_ul" in refused.err
    assert len(bench.edges()) == 2

    session_that_runs = open_port(bench.told["pty"], 115200, 0.1, 0.1)
    busy = reward("flush", tmp_path / "rig.toml", "--pulses=1", f"--out={tmp_path}")
    session_that_runs.close()
    assert busy.code == 1
    assert "locked by another program" in busy.err.replace("\n", " ")
    assert len(bench.edges()) == 2
