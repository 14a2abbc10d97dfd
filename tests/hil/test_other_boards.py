"""Boards of other makers, each a peer that speaks as its maker says, on a real terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

from board_peers import ArduinoPeer, BpodPeer, HarpPeer, Peer
from waiting import until

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand, RewardRequest
from bci.hardware.board.codes import Capability
from bci.hardware.board.harp import HarpDialect
from bci.hardware.board.interface import Board as OpenBoard
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import open_board

LONG_VALVE = {"max_open_ms": 5_000.0, "max_duty": 1.0}
Opened = tuple[OpenBoard, list[BoardEvent]]
PEERS: dict[str, Callable[[], Peer]] = {
    "harp": HarpPeer,
    "bpod": BpodPeer,
    "arduino": ArduinoPeer,
}


@pytest.fixture
def begin() -> Iterator[Callable[..., Opened]]:
    boards: list[OpenBoard] = []

    def start(kind: str, peer: Peer, **settings: Any) -> Opened:
        told = {"kind": kind, "port": peer.port, "watchdog_ms": 20_000, "pay_within_s": 60}
        board = open_board(Board.model_validate({**told, **settings}), dict, timeout_s=20.0)
        boards.append(board)
        return board, []

    yield start
    for board in boards:
        board.close(settle_s=0.0)


def turn_until(opened: Opened, condition: Callable[[], bool], *, turning: bool = True) -> None:
    board, events = opened

    def turned() -> bool:
        if turning:
            board.turn()
        events.extend(board.events())
        return condition()

    until(turned, 30.0)


def kinds(events: list[BoardEvent], request_id: int = 0) -> list[BoardEventKind]:
    return [event.kind for event in events if event.request_id == request_id]


@pytest.mark.parametrize(
    ("kind", "peer"),
    [
        ("harp", HarpPeer),
        ("bpod", BpodPeer),
        ("bpod", lambda: BpodPeer(firmware=23, outputs=b"UUUUUXZBBWWPPPPVVVV", machine=3)),
    ],
    ids=["harp", "bpod 22", "bpod 23"],
)
def test_rewards_are_given_one_for_one_and_told_at_the_devices_own_times(
    begin: Callable[..., Opened], kind: str, peer: Callable[[], Peer]
) -> None:
    with peer() as device:
        board, events = opened = begin(kind, device)
        for request_id in range(1, 4):
            board.reward(RewardRequest(request_id, 4.0, trial=request_id))
        turn_until(opened, lambda: not board.pending())
        assert device.openings == 3
        assert min(device.widths_ms()) >= 40
        assert kinds(events, 2) == [
            BoardEventKind.REWARD_REQUESTED,
            BoardEventKind.REWARD_SENT,
            BoardEventKind.REWARD_ACKNOWLEDGED,
            BoardEventKind.REWARD_DONE,
        ]
        done = [event for event in events if event.kind is BoardEventKind.REWARD_DONE]
        told_us = [event.t_device_us or 0 for event in done]
        edges_us = [device.us_at(t) for level, t in device.edges if level]
        assert told_us == pytest.approx(edges_us, abs=100)
        assert min(event.value for event in done) >= 40_000
        assert (board.totals.done, board.totals.volume_ul) == (3, 12.0)
        [connected] = [event for event in events if event.kind is BoardEventKind.CONNECTED]
        assert "it lacks: a watchdog" in connected.detail


def test_plain_arduino_confirms_nothing_and_its_rewards_count_as_given(
    begin: Callable[..., Opened],
) -> None:
    with ArduinoPeer() as device:
        board, events = opened = begin("arduino", device)
        board.reward(RewardRequest(1, 4.0, trial=1))
        board.reward(RewardRequest(2, 5.0, trial=2))  # the sketch has one opening
        turn_until(opened, lambda: not board.pending())
        assert device.openings == 1
        assert kinds(events, 1)[-1] is BoardEventKind.REWARD_UNKNOWN
        assert kinds(events, 2)[-1] is BoardEventKind.REWARD_FAILED
        assert (board.totals.given, board.totals.volume_ul) == (1, 4.0)
        device.licks += 1
        turn_until(opened, lambda: BoardEventKind.LICK in kinds(events))


def test_silent_arduino_is_taken_on_trust(begin: Callable[..., Opened]) -> None:
    with ArduinoPeer(silent=True) as device:
        opened = begin("arduino", device, arduino={"tells_licks": False})
        opened[0].reward(RewardRequest(1, 4.0, trial=1))
        turn_until(opened, lambda: device.openings == 1 and not opened[0].pending())


def test_sketch_that_waits_for_a_character_is_sent_it(begin: Callable[..., Opened]) -> None:
    with ArduinoPeer(waits=True) as device:
        opened = begin("arduino", device, arduino={"start": "a"})
        opened[0].reward(RewardRequest(1, 4.0, trial=1))
        turn_until(opened, lambda: device.openings == 1 and not opened[0].pending())
        assert device.heard.rstrip(b"b") == b"a" * device.heard.count(b"a")


def test_harp_tells_licks_at_its_own_times(begin: Callable[..., Opened]) -> None:
    with HarpPeer() as device:
        _, events = opened = begin("harp", device, harp={"lick_input": 1})
        turn_until(opened, lambda: bool(device.registers[77][1][0]))
        turn_until(opened, lambda: device.registers[10][1][0] & 3 == 1)
        for levels in (0b0010, 0b0011, 0b0001):  # the other input is nobody's
            device.after(0.0, lambda levels=levels: device.input(levels))
        turn_until(opened, lambda: kinds(events).count(BoardEventKind.LICK) == 2)
        licks = [event for event in events if event.kind is BoardEventKind.LICK]
        assert [event.value for event in licks] == [1.0, 0.0]
        assert all(
            0 < (event.t_device_us or 0) <= device.us_at(time.monotonic()) for event in licks
        )


def test_harp_tells_where_the_wheel_is_though_its_counter_turns_over(
    begin: Callable[..., Opened],
) -> None:
    with HarpPeer() as device:
        board, events = opened = begin("harp", device, harp={"wheel": True})
        turn_until(opened, lambda: device.registers[10][1][0] & 3 == 1)

        def turn(counter: int, *later: int) -> None:
            device.turn_wheel(counter)
            if later:
                device.after(0.02, lambda: turn(*later))

        device.after(0.0, lambda: turn(32_000, 32_000, 32_767, -32_768, -32_000, 32_700))
        turn_until(opened, lambda: kinds(events).count(BoardEventKind.WHEEL) == 4)
        wheel = [event for event in events if event.kind is BoardEventKind.WHEEL]
        assert [event.value for event in wheel] == [767, 768, 1_536, 700]
        assert board.identity is not None
        assert board.identity.capabilities & Capability.WHEEL


@pytest.mark.parametrize("kind", ["harp", "bpod"])
def test_loop_that_stands_still_or_closes_leaves_the_valve_shut(
    begin: Callable[..., Opened], kind: str
) -> None:
    with PEERS[kind]() as device:
        # a test that stands still for a moment is no loop that stands still
        board, events = opened = begin(kind, device, valve=LONG_VALVE, watchdog_ms=1000)
        board.reward(RewardRequest(1, 400.0, trial=1))
        turn_until(opened, lambda: device.level == 1)
        turn_until(opened, lambda: device.level == 0, turning=False)
        assert device.widths_ms()[0] < 3_000
        board.reward(RewardRequest(2, 4.0, trial=2))
        turn_until(opened, lambda: BoardEventKind.SAFE in kinds(events), turning=False)
        assert kinds(events, 1)[-1] is BoardEventKind.REWARD_UNKNOWN
        turn_until(opened, lambda: not board.pending())
        assert kinds(events, 2)[-1] is BoardEventKind.REWARD_DONE
        board.reward(RewardRequest(3, 400.0, trial=3))
        turn_until(opened, lambda: device.level == 1)
        board.close(settle_s=0.0)
        until(lambda: device.level == 0)
        assert device.widths_ms()[-1] < 3_000


def test_harp_valve_that_stays_open_is_shut_by_the_host(begin: Callable[..., Opened]) -> None:
    with HarpPeer() as device:
        device.stuck = True
        board, events = opened = begin("harp", device)
        board.reward(RewardRequest(1, 4.0, trial=1))
        turn_until(opened, lambda: not board.pending())
        assert kinds(events, 1)[-1] is BoardEventKind.REWARD_UNKNOWN
        turn_until(opened, lambda: device.level == 0)


@pytest.mark.parametrize("kind", ["harp", "bpod", "arduino"])
def test_pulled_cable_in_a_pulse_is_unknown_and_never_repeated(
    begin: Callable[..., Opened], kind: str
) -> None:
    with PEERS[kind]() as device:
        board, events = opened = begin(kind, device, arduino={"open_ms": 4_000.0}, valve=LONG_VALVE)
        board.reward(RewardRequest(1, 400.0, trial=1))
        # seen once is seen: the sketch, which times its own pulse, may have shut it by now
        turn_until(opened, lambda: device.openings == 1)
        device.vanish()
        turn_until(opened, lambda: BoardEventKind.LOST in kinds(events))
        assert kinds(events, 1)[-1] is BoardEventKind.REWARD_UNKNOWN
        assert not board.pending()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_line_whose_thread_breaks_is_no_board_any_more_and_leaves_no_reward_open(
    begin: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HarpPeer() as device:
        board, _ = opened = begin("harp", device, valve=LONG_VALVE)
        board.reward(RewardRequest(1, 400.0, trial=1))
        turn_until(opened, lambda: device.level == 1)

        def broken(*_: object) -> bytes:
            raise ZeroDivisionError("a fault of this program")

        monkeypatch.setattr(HarpDialect, "ask_shut", broken)
        monkeypatch.setattr(HarpDialect, "received", broken)
        turn_until(opened, lambda: not board.connected and not board.pending())
        assert kinds(opened[1], 1)[-1] is BoardEventKind.REWARD_UNKNOWN


def test_limits_that_the_device_lacks_are_held_by_the_host(begin: Callable[..., Opened]) -> None:
    with HarpPeer() as device:
        settings = {"valve": {"max_open_ms": 100.0, "max_duty": 0.01}}
        board, events = opened = begin("harp", device, **settings)
        board.reward(RewardRequest(1, 11.0, trial=1))
        board.reward(RewardRequest(2, 10.0, trial=2))
        board.reward(RewardRequest(3, 1.0, trial=3))
        board.light(LightCommand(on=True, gate=False))
        turn_until(opened, lambda: not board.pending())
        ends = {i: [e.detail for e in events if e.request_id == i][-1] for i in (1, 3)}
        assert "max_open_ms" in ends[1]
        assert "max_duty" in ends[3]
        assert device.openings == 1
        assert any("no light" in event.detail for event in events)


@pytest.mark.parametrize(
    ("kind", "peer", "why"),
    [
        ("harp", lambda: HarpPeer(who_am_i=1280), "no Behavior board: it is 1280"),
        ("bpod", lambda: BpodPeer(firmware=9), "firmware 9 and machine type 2"),
        ("bpod", lambda: BpodPeer(machine=4), "machine type 4"),
        ("bpod", lambda: BpodPeer(outputs=b"UUXBBP"), "no valve 1"),
    ],
)
def test_device_that_cannot_serve_is_refused_at_the_start_and_left_alone(
    begin: Callable[..., Opened], kind: str, peer: Callable[[], Peer], why: str
) -> None:
    with peer() as device:
        with pytest.raises(BoardError, match=why):
            begin(kind, device)
        if isinstance(device, HarpPeer):
            assert all(
                byte == 1 for byte in (device.heard[at] for at in range(0, len(device.heard), 6))
            ), "it was written to"


def test_damaged_answers_are_told_and_end_as_unknown(begin: Callable[..., Opened]) -> None:
    with HarpPeer() as device:
        board, events = opened = begin("harp", device)
        device.broken_checksum = True
        board.reward(RewardRequest(1, 4.0, trial=1))
        turn_until(opened, lambda: not board.pending())
        assert kinds(events, 1)[-1] is BoardEventKind.REWARD_UNKNOWN
        assert BoardEventKind.PROTOCOL in kinds(events)
        device.broken_checksum = False
        board.reward(RewardRequest(2, 4.0, trial=2))
        turn_until(opened, lambda: not board.pending())
        assert kinds(events, 2)[-1] is BoardEventKind.REWARD_DONE
