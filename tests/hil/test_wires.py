"""What a simulated rig does to a pin is sensed by its board, at the time at which it was done."""

import time
from pathlib import Path

import numpy as np
import pytest
from waiting import until

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.hardware.board.hosted import hosted
from bci.hardware.board.kinds import open_board
from bci.stream.wires import Wire

SENSED = (BoardEventKind.PHOTODIODE, BoardEventKind.FRAME_TTL)


@pytest.mark.parametrize("kind", ["simulated", "chip"])
def test_each_level_of_a_wire_is_sensed_and_in_its_order(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "chip":
        request.getfixturevalue("chip")
    settings = Board.model_validate({"kind": kind, "watchdog_ms": 20_000})
    with hosted(settings, tmp_path / "edges.jsonl") as peers:
        board = open_board(settings, lambda: peers, timeout_s=20.0)
        light, frames = Wire(lambda: peers, "photodiode", ""), Wire(lambda: peers, "frame_ttl", "")
        driven_ns: list[tuple[int, int]] = []
        events: list[BoardEvent] = []

        def sensed() -> bool:
            board.turn()
            events.extend(event for event in board.events() if event.kind in SENSED)
            return len(events) == 2 * len(driven_ns)

        try:
            for i in range(10):  # some before the board has had time to look
                light.drive(1 - i % 2)
                t_ns = time.perf_counter_ns()
                frames.drive(1)
                driven_ns.append((t_ns, time.perf_counter_ns()))
                if i % 3 == 2:
                    until(sensed)
            until(sensed)
        finally:
            for end in (light, frames, board):
                end.close()
    of_light = [event for event in events if event.kind is BoardEventKind.PHOTODIODE]
    assert [event.value for event in of_light] == [1.0, 0.0] * 5
    ttls = [event for event in events if event.kind is BoardEventKind.FRAME_TTL]
    assert [event.value for event in ttls] == list(range(10))
    if kind == "simulated":
        # however late its process looked, the times are those of the hand at the other end:
        # one difference of the clocks puts each between the two looks at the clock around it
        told_us = np.array([event.t_device_us or 0 for event in ttls])
        before_us, after_us = np.array(driven_ns).T / 1000
        assert max(before_us - told_us) <= min(after_us - told_us) + 1
