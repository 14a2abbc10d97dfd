import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner
from waiting import WAIT_S, lives, until

from bci.bench.capacity import find_limits, run_step
from bci.bench.sender import Sender
from bci.bench.stream import bench_stream
from bci.cli import main
from bci.cli.verbs import app
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Decision
from bci.core.stream_types import RoiFrame

ROW = {"name", "unit", "n", "p50", "p95", "p99", "max", "bar"}


def test_bench_loop_measures_a_whole_session(tmp_path: Path) -> None:
    file = tmp_path / "loop.json"
    few = ["--n-rois", "64", "--duration", "4.5", "--no-screen", "--json", str(file)]
    result = CliRunner().invoke(app, ["bench", "loop", *few])
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert found["bench"] == "loop"
    assert found["settings"] == {
        "n_rois": 64,
        "rate_hz": 30.0,
        "screen": False,
        "journal": True,
        "window": False,
    }
    rows = {row["name"]: row for row in found["rows"]}
    assert all(set(row) == ROW for row in rows.values())
    assert rows["sent_to_received"]["n"] >= 130
    for name in ("received_to_sent", "sent_to_arrived", "bare pyzmq echo, there and back"):
        assert rows[name]["n"] > 30
        assert 0 < rows[name]["p50"] <= rows[name]["p99"] <= rows[name]["max"]


def test_bench_stream_counts_every_frame_of_a_session_and_finds_a_limit() -> None:
    told: list[str] = []
    # half a second a run: what a sender is held up for at its end must not make it too slow
    bench = bench_stream([(64, 100.0)], 3.0, ((64, 200.0),), 0.5, told.append)
    rows = {row.name: row for row in bench.rows}
    lost = rows["64 × 100 Hz: lost"]
    assert lost.n >= 300
    assert lost.max == 0
    assert rows["64 × 100 Hz: sent_to_received"].n == lost.n
    assert rows["64 × 100 Hz: received_to_sent"].n > 100
    assert rows["most ROIs × Hz without loss"].p50 > 0
    assert any("64 ROIs" in text for text in told)


def test_bench_board_measures_every_reward_at_the_valve(tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    few = ["--rewards", "8", "--simulated", "--json", str(file)]
    result = CliRunner().invoke(app, ["bench", "board", *few])
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in json.loads(file.read_text())["rows"]}
    assert rows["decided_to_edge"]["n"] == rows["width, off what was asked"]["n"] == 8
    assert rows["decided_to_edge"]["p50"] > 0


@pytest.mark.long
def test_bench_window_measures_pairs_with_and_without_it(tmp_path: Path) -> None:
    file = tmp_path / "window.json"
    few = ["--n-rois", "64", "--pairs", "1", "--duration", "5", "--no-screen", "--json", str(file)]
    result = CliRunner().invoke(app, ["bench", "window", *few])
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert found["settings"]["window"]
    rows = {row["name"]: row for row in found["rows"]}
    for name in ("received_to_sent, without", "received_to_sent, with window"):
        assert rows[name]["n"] > 60
        assert rows[name]["p50"] > 0
    assert rows["frames lost with window"]["p50"] == 0
    assert 0 < rows["window, of one core"]["p50"] < 200


def test_a_slow_receiver_is_not_counted_as_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    step = ClosedLoop.step

    def slow(self: ClosedLoop, frame: RoiFrame) -> Decision:
        time.sleep(0.01)
        return step(self, frame)

    monkeypatch.setattr(ClosedLoop, "step", slow)
    with Sender() as sender:
        assert run_step(sender, 64, 1000.0, 0.5).broke is not None
        assert run_step(sender, 64, 5000.0, 1.0).lost > 0


def test_the_search_ends_in_time() -> None:
    told: list[str] = []
    # the time is over already: one run of each number of ROIs
    find_limits(told.append, time.monotonic(), ((64, 100.0), (8, 100.0)), 0.2)
    assert len(told) == 2


def processes_of_the_session(pid: int) -> list[psutil.Process]:
    """Children of a benchmark once the loop is among them; none before."""
    children = psutil.Process(pid).children(recursive=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        if any('"control"' in "".join(child.cmdline()) for child in children):
            return children
    return []


def test_interrupt_ends_the_whole_benchmark_and_gives_no_result() -> None:
    bench = subprocess.Popen(
        [sys.executable, "-m", "bci.cli", "bench", "stream"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        family = until(lambda: processes_of_the_session(bench.pid))
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=WAIT_S)
    finally:
        bench.kill()
        bench.wait()
    assert bench.returncode == 1, out + err
    assert "no result: " in err
    # one that nobody has waited for yet runs no more
    until(lambda: not any(map(lives, family)))


@pytest.mark.parametrize(
    "wrong", [["loop", "--n-rois", "3"], ["stream", "--n-rois", "64"], ["loop", "--rate", "0"]]
)
def test_wrong_options_are_refused_before_anything_starts(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bci", "bench", *wrong])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
