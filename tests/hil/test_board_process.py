"""What the line promises, with a real board process: simulated, or the firmware in simavr."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.machine_time import machine_time
from waiting import WAIT_S, until
from whole_lines import whole_lines

from bci.config.rig import Board, Faults
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand, RewardRequest
from bci.hardware.board import link
from bci.hardware.board.chip import LOST_PACE
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import open_board
from bci.hardware.board.link import SerialLink
from bci.recording.device_clock import DeviceClock

CHILD = Path(__file__).with_name("board_child.py")
WIDTH_US = 40_000
WITHIN_US = 20
CALM = {
    "watchdog_ms": 20_000.0,
    "keep_alive_ms": 2_000.0,
    "ack_timeout_ms": 400.0,
    "clock_every_s": 60.0,
    "pay_within_s": 60.0,
}
"""Unless a test is about silence, a computer that stands still for a while is none: neither is the
board left alone, nor is one that was asked six times in vain taken for a dead line."""
LONG_UL = 95.0
LONG_VALVE = {"max_open_ms": 1000.0, "max_duty": 1.0}
"""A pulse as long as the board allows: what a test does in it comes before its end."""
LONG_US = 950_000
PACE_S = 0.1
"""By so much a chip may be behind real time."""
LIVES = 5
"""A computer that is at other things just then may spoil one trial of a time, not each of these."""


class Bench:
    """A board process, the host's line to it, and what both saw."""

    def __init__(self, folder: Path, settings: Board) -> None:
        self.folder = folder
        self.settings = settings
        self.children: list[subprocess.Popen[bytes]] = []
        self.boards: list[Any] = []
        self.events: list[BoardEvent] = []
        (folder / "board.json").write_text(settings.model_dump_json())
        self.process = self.start_board()

    def start_board(self) -> subprocess.Popen[bytes]:
        (self.folder / "endpoints.json").unlink(missing_ok=True)
        process = self.start("board")
        until(lambda: bool(self.peers()))
        return process

    def start(self, role: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, str(CHILD), role, str(self.folder)])
        self.children.append(child)
        return child

    def peers(self) -> dict[str, str]:
        path = self.folder / "endpoints.json"
        return msgspec.json.decode(path.read_bytes()) if path.exists() else {}

    def open(self) -> SerialLink:
        board = open_board(self.settings, self.peers, timeout_s=20.0)
        assert isinstance(board, SerialLink)
        self.boards.append(board)
        return board

    def edges(self, pin: str = "valve") -> list[dict[str, Any]]:
        lines = whole_lines(self.folder / "board-edges.jsonl")
        return [edge for edge in lines if edge["pin"] == pin]

    def openings(self) -> list[int]:
        return [edge["request_id"] for edge in self.edges() if edge["level"]]

    def turn_until(
        self, board: SerialLink, condition: Callable[[], bool], timeout_s: float = 20.0
    ) -> None:
        def turned() -> bool:
            board.turn()
            self.events += board.events()
            return condition()

        until(turned, timeout_s)

    def kinds(self, request_id: int = 0) -> list[BoardEventKind]:
        return [event.kind for event in self.events if event.request_id == request_id]

    def close(self) -> None:
        for board in self.boards:
            board.close(settle_s=0.0)
        (self.folder / "stop").touch()
        for child in self.children:
            try:
                child.wait(20.0)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5.0)


Start = Callable[..., Bench]


@pytest.fixture(params=["simulated", "chip"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    benches: list[Bench] = []
    if request.param == "chip":
        request.getfixturevalue("chip")

    def begin(**settings: Any) -> Bench:
        bench = Bench(tmp_path, Board.model_validate({"kind": request.param, **CALM, **settings}))
        benches.append(bench)
        return bench

    threads = set(threading.enumerate())
    yield begin
    for bench in benches:
        bench.close()
    until(lambda: set(threading.enumerate()) <= threads)


def give(bench: Bench, board: SerialLink, ids: range, volume_ul: float = 4.0) -> None:
    for request_id in ids:
        board.reward(RewardRequest(request_id, volume_ul, trial=request_id))
    bench.turn_until(board, lambda: not board.pending(), 30.0)


def test_rewards_are_given_in_order_and_every_edge_is_on_file(start: Start) -> None:
    bench = start()
    board = bench.open()
    give(bench, board, range(1, 6))
    assert bench.openings() == [1, 2, 3, 4, 5]
    assert bench.kinds(3) == [
        BoardEventKind.REWARD_REQUESTED,
        BoardEventKind.REWARD_SENT,
        BoardEventKind.REWARD_ACKNOWLEDGED,
        BoardEventKind.REWARD_DONE,
    ]
    done = [event for event in bench.events if event.kind is BoardEventKind.REWARD_DONE]
    edges = bench.edges()
    told = [event.t_device_us for event in done]
    assert told == pytest.approx([e["t_device_us"] for e in edges if e["level"]], abs=WITHIN_US)
    widths = [
        b["t_device_us"] - a["t_device_us"] for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
    assert widths == pytest.approx([WIDTH_US] * 5, abs=WITHIN_US)
    assert board.totals.volume_ul == 20.0


@pytest.mark.timed
def test_reward_and_events_return_at_once_even_with_no_board_behind_them(start: Start) -> None:
    bench = start()
    board = bench.open()
    bench.process.kill()
    bench.process.wait(5.0)
    with machine_time(os.getpid()) as machine:
        t_s = time.monotonic()
        for request_id in range(1, 101):
            board.reward(RewardRequest(request_id, 4.0, trial=1))
            board.light(LightCommand(on=True, gate=False))
            board.turn()
            board.events()
        took_s = time.monotonic() - t_s
    # waiting for an answer, each would have taken 0.2 s
    assert took_s - machine.taken_s() < 5.0
    assert board.pending() == 100


@pytest.mark.parametrize(
    "faults",
    [
        Faults(lose_byte_every=151, both_ways=True),
        Faults(corrupt_byte_every=173, both_ways=True),
        Faults(duplicate_frame_every=2),
        Faults(lose_byte_every=97),
        Faults(no_ack=True),
    ],
    ids=["lost", "corrupt", "repeated", "lost-answers", "no-ack"],
)
def test_bad_line_pays_each_reward_exactly_once(start: Start, faults: Faults) -> None:
    bench = start(faults=faults, ack_timeout_ms=60.0)
    board = bench.open()
    give(bench, board, range(1, 11))
    assert bench.openings() == list(range(1, 11))
    assert (board.totals.done, board.totals.volume_ul) == (10, 40.0)


def test_unplugged_in_a_pulse_reconnects_and_is_settled_from_the_ring(start: Start) -> None:
    bench = start(faults=Faults(unplug_in_reward=1), reconnect_s=0.1)
    board = bench.open()
    board.reward(RewardRequest(1, 40.0, trial=1))
    bench.turn_until(board, lambda: BoardEventKind.LOST in bench.kinds())
    bench.turn_until(board, lambda: not board.pending())
    assert bench.kinds().count(BoardEventKind.CONNECTED) == 2
    *_, end = (event for event in bench.events if event.request_id == 1)
    assert (end.kind, end.value) == (BoardEventKind.REWARD_DONE, 400_000)
    assert bench.openings() == [1]


def test_reset_in_a_pulse_is_unknown_and_never_repeated(start: Start) -> None:
    bench = start(faults=Faults(reset_in_reward=1))
    board = bench.open()
    board.reward(RewardRequest(1, 40.0, trial=1))
    bench.turn_until(board, lambda: not board.pending())
    assert bench.kinds(1)[-1] is BoardEventKind.REWARD_UNKNOWN
    board.reward(RewardRequest(2, 4.0, trial=2))
    bench.turn_until(board, lambda: not board.pending())
    assert bench.openings() == [1, 2]
    assert (board.totals.given, board.totals.volume_ul) == (2, 44.0)


def test_board_process_killed_in_a_pulse_and_started_again_leaves_it_unknown(start: Start) -> None:
    # where this test stands still in the pulse, the watchdog ends it: it is never done
    bench = start(valve=LONG_VALVE, watchdog_ms=300.0, keep_alive_ms=100.0)
    board = bench.open()
    board.reward(RewardRequest(1, LONG_UL, trial=1))
    bench.turn_until(board, lambda: BoardEventKind.REWARD_ACKNOWLEDGED in bench.kinds(1))
    bench.process.kill()
    bench.process.wait(5.0)
    bench.turn_until(board, lambda: BoardEventKind.LOST in bench.kinds())
    board.close(settle_s=0.0)
    bench.events += board.events()
    assert bench.kinds(1)[-1] is BoardEventKind.REWARD_UNKNOWN


def test_killed_host_leaves_the_valve_shut_within_half_a_second(start: Start) -> None:
    bench = start(valve=LONG_VALVE, watchdog_ms=100.0, keep_alive_ms=40.0)

    def shut_within_s(life: int) -> float:
        bench.start("host").wait(WAIT_S)
        until(lambda: len(bench.edges()) == 2 * life)
        opened, shut = bench.edges()[-2:]
        assert shut["level"] == 0
        assert shut["t_device_us"] - opened["t_device_us"] < LONG_US - 100_000
        t_killed_ns = int((bench.folder / "killed_ns").read_text())
        return float(shut["t_perf_ns"] - t_killed_ns) / 1e9

    assert any(shut_within_s(life) < 0.5 for life in range(1, LIVES + 1))
    # the line is free again for the next host
    board = bench.open()
    assert board.connected


def test_loop_that_stops_turning_shuts_the_valve_and_one_that_turns_again_is_served(
    start: Start,
) -> None:
    bench = start(valve=LONG_VALVE, watchdog_ms=300.0, keep_alive_ms=100.0)
    board = bench.open()
    board.reward(RewardRequest(1, LONG_UL, trial=1))
    bench.turn_until(board, lambda: bool(bench.openings()))
    until(lambda: len(bench.edges()) == 2)  # without a turn
    up, down = bench.edges()
    assert down["t_device_us"] - up["t_device_us"] < LONG_US - 100_000
    bench.turn_until(board, lambda: not board.pending() and BoardEventKind.SAFE in bench.kinds())
    assert bench.kinds(1)[-1] is BoardEventKind.REWARD_UNKNOWN
    board.reward(RewardRequest(2, 4.0, trial=2))
    bench.turn_until(board, lambda: not board.pending())
    assert bench.kinds(2)[-1] is BoardEventKind.REWARD_DONE


def test_close_lets_a_reward_end_and_leaves_the_board_safe(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a board that takes its time to confirm is waited for
    monkeypatch.setattr(link, "_SAFE_S", 5.0)
    bench = start()
    board = bench.open()
    board.reward(RewardRequest(1, 20.0, trial=1))
    board.close(settle_s=20.0)
    bench.events += board.events()
    assert bench.kinds(1)[-1] is BoardEventKind.REWARD_DONE
    assert bench.kinds()[-2:] == [BoardEventKind.SAFE, BoardEventKind.LOST]
    assert [edge["level"] for edge in bench.edges()] == [1, 0]
    board.close()


def test_close_at_once_cuts_the_pulse(start: Start) -> None:
    bench = start(valve=LONG_VALVE)

    def was_cut(request_id: int) -> bool:
        board = bench.open()
        board.reward(RewardRequest(request_id, LONG_UL, trial=1))
        bench.turn_until(board, lambda: request_id in bench.openings())
        board.close(settle_s=0.0)
        until(lambda: len(bench.edges()) == 2 * request_id)
        up, down = bench.edges()[-2:]
        # unless the close came so late that the pulse was over
        if down["t_device_us"] - up["t_device_us"] > LONG_US - 100_000:
            return False
        bench.events += board.events()
        assert bench.kinds(request_id)[-1] is BoardEventKind.REWARD_UNKNOWN
        return True

    assert any(was_cut(request_id) for request_id in range(1, LIVES + 1))


def test_stopped_board_process_has_shut_the_valve_on_file(start: Start) -> None:
    bench = start(valve=LONG_VALVE)
    board = bench.open()
    board.reward(RewardRequest(1, LONG_UL, trial=1))
    bench.turn_until(board, lambda: bool(bench.openings()))
    (bench.folder / "stop").touch()
    assert bench.process.wait(20.0) == 0
    assert [edge["level"] for edge in bench.edges()] == [1, 0]


def test_callback_wakes_the_loop_after_events(start: Start) -> None:
    bench = start()
    woken = threading.Event()
    board = open_board(bench.settings, bench.peers, woken.set)
    bench.boards.append(board)
    woken.clear()
    board.reward(RewardRequest(1, 4.0, trial=1))
    assert woken.wait(20.0)
    assert board.events()


def test_settings_that_the_board_refuses_end_the_opening_with_the_limit(start: Start) -> None:
    bench = start(valve={"max_open_ms": 9_000.0})
    with pytest.raises(BoardError, match="out of range, its limit is 1000000"):
        bench.open()


def test_second_host_gets_no_answer_while_the_first_is_there(start: Start) -> None:
    bench = start()
    board = bench.open()
    with pytest.raises(BoardError, match=r"no board answered within 1 s"):
        open_board(bench.settings, bench.peers, timeout_s=1.0)
    bench.turn_until(board, lambda: board.connected)
    give(bench, board, range(1, 2))
    assert bench.openings() == [1]


def test_after_unplugging_and_a_reset_amid_rewards_the_ledger_agrees_with_the_edges(
    start: Start,
) -> None:
    faults = Faults(unplug_in_reward=3, reset_in_reward=8)
    bench = start(faults=faults, reconnect_s=0.1)
    board = bench.open()
    give(bench, board, range(1, 13), 10.0)
    ends = {
        event.request_id: event
        for event in bench.events
        if event.kind in (BoardEventKind.REWARD_DONE, BoardEventKind.REWARD_UNKNOWN)
    }
    assert bench.openings() == sorted(ends) == list(range(1, 13))
    done = [i for i, event in ends.items() if event.kind is BoardEventKind.REWARD_DONE]
    assert set(ends) - set(done) == {8}
    edges = bench.edges()
    widths = {
        up["request_id"]: down["t_device_us"] - up["t_device_us"]
        for up, down in zip(edges[::2], edges[1::2], strict=True)
    }
    assert [widths[i] for i in done] == pytest.approx([100_000] * len(done), abs=WITHIN_US)
    assert [ends[i].value for i in done] == pytest.approx([widths[i] for i in done], abs=WITHIN_US)
    assert bench.kinds().count(BoardEventKind.CONNECTED) == 3


def test_times_of_the_board_are_known_within_the_stated_error(start: Start) -> None:
    bench = start(faults=Faults(clock_drift_ppm=300.0), clock_every_s=0.2)
    board = bench.open()
    give(bench, board, range(1, 4))
    # the first ten follow each other ten times as fast
    bench.turn_until(board, lambda: bench.kinds().count(BoardEventKind.CLOCK) >= 20, WAIT_S)
    clock = DeviceClock(bench.events, lambda t_ns: t_ns / 1e9)
    [segment] = clock.segments
    assert segment.line.n_pairs > 10
    chip = bench.settings.kind == "chip"
    # where this computer was too slow for the chip, that is not the line's error
    lost_s = sum(one["ms"] for one in whole_lines(bench.folder / LOST_PACE)) / 1e3
    late_s = (PACE_S if chip else 0.0) + lost_s
    assert segment.line.error_s < 0.1 + late_s
    done = [i for i, e in enumerate(bench.events) if e.kind is BoardEventKind.REWARD_DONE]
    opened_s = [edge["t_perf_ns"] / 1e9 for edge in bench.edges() if edge["level"]]
    assert clock.times_s[done] == pytest.approx(opened_s, abs=segment.line.error_s + late_s)
