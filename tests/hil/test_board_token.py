"""The line to a board that is a process of the session asks for the session's token first."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from waiting import WAIT_S, until
from whole_lines import whole_lines

from bci.config.rig import Board
from bci.core.board_types import BoardEventKind, RewardRequest
from bci.hardware.board import protocol
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import PROCESSES, open_board
from bci.stream.access import new_token
from bci.stream.supervision import LocalLink

DROP = 3 * b"\0".join(
    message.frame(i)
    for i, message in enumerate(
        (
            protocol.Hello(protocol.PROTOCOL_VERSION, 1, 500_000, 500, 60_000),
            protocol.Reward(77, 100_000, 1, 0),
        ),
        1,
    )
)


@contextmanager
def running(settings: Board, edges: Path) -> Iterator[LocalLink]:
    link = LocalLink("board")
    thread = threading.Thread(target=PROCESSES[settings.kind], args=(settings, link, edges, 0))
    thread.start()
    try:
        link.wait_announced("board", WAIT_S)
        yield link
    finally:
        link.stop()
        thread.join(WAIT_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("kind", ["simulated", "chip"])
def test_board_obeys_nobody_without_the_token_and_is_not_held_up(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "chip":
        request.getfixturevalue("chip")
    settings = Board.model_validate({"kind": kind, "watchdog_ms": 20_000})
    edges = tmp_path / "edges.jsonl"
    with running(settings, edges) as link, ExitStack() as strangers:
        peers = link.announced

        def knock(first: bytes) -> socket.socket:
            host, _, port = peers["board"].removeprefix("socket://").rpartition(":")
            line = strangers.enter_context(socket.create_connection((host, int(port))))
            line.sendall(first)
            return line

        wrong = [knock(DROP), knock(new_token().encode() + b"\n" + DROP), knock(b"\n" + DROP)]
        for line in wrong:
            line.settimeout(WAIT_S)
            # a peer that has sent more than was read is reset
            with suppress(ConnectionResetError):
                assert line.recv(1) == b""
        # more of them than the board remembers, all of them silent
        for _ in range(30):
            knock(b"")
        with pytest.raises(BoardError):
            open_board(settings, lambda: peers, timeout_s=1.0, token=new_token())
        board = open_board(settings, lambda: peers, timeout_s=WAIT_S, token=link.token)
        try:
            board.reward(RewardRequest(1, 4.0, 1))
            done: list[int] = []

            def given() -> bool:
                board.turn()
                done.extend(
                    event.request_id or 0
                    for event in board.events()
                    if event.kind is BoardEventKind.REWARD_DONE
                )
                return bool(done)

            until(given)
        finally:
            board.close()
    opened = [edge for edge in whole_lines(edges) if edge["pin"] == "valve" and edge["level"]]
    assert [edge["request_id"] for edge in opened] == done == [1]
