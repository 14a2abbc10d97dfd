"""Another user of this computer knocks at every port of a session that runs, and moves nothing."""

import json
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
import zmq
from running_session import DEMO, ENDLESS, SHORT, RunningSession, sets
from waiting import WAIT_S, until
from whole_lines import whole_lines

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import (
    BlockBegun,
    BlockEnded,
    BlockKind,
    EnsemblesSet,
    Finish,
    LightSet,
    Pause,
    Resume,
    Stop,
)
from bci.core.process import ProcessEvent
from bci.core.stimulus_types import MissedFlips
from bci.hardware.board import protocol
from bci.recording.folder import ENDPOINTS, read_endpoints, read_token
from bci.recording.history import HistoryRequest
from bci.recording.verify import VerdictKind, verify
from bci.stream import operator, wires
from bci.stream.access import Access, connect, new_token
from bci.stream.handshake import Request, StopStream
from bci.stream.operator import (
    OperatorClient,
    OperatorNote,
    OperatorReward,
    OperatorStatus,
)
from bci.stream.supervision import Hello

STRANGER = "a stranger"
ASKED = (
    OperatorReward(4.0),
    LightSet(True),
    OperatorNote(STRANGER),
    OperatorStatus(),
    Pause(),
    BlockEnded(),
    BlockBegun(BlockKind.BASELINE),
    EnsemblesSet(("roi0001",), ("roi0002",), STRANGER),
    ProcessEvent("stimulus", "died", 1, STRANGER),
    Finish(STRANGER),
    Stop(STRANGER),
    Resume(),
)
MESSAGES: dict[str, tuple[int, list[Any]]] = {
    "operator": (zmq.DEALER, [operator._Asked(b"x", i, one) for i, one in enumerate(ASKED, 1)]),
    "history": (zmq.DEALER, [HistoryRequest()]),
    "channel": (zmq.DEALER, [Request(1, StopStream())]),
    "hub": (zmq.DEALER, [Hello("control", 1)]),
    "flips": (zmq.PUSH, [MissedFlips(count=1000, t_flip_ns=1)] * 100),
    "frames": (zmq.SUB, []),
    "commands": (zmq.SUB, []),
    "telemetry": (zmq.SUB, []),
}
DROP = b"\0" + b"".join(
    message.frame(i)
    for i, message in enumerate(
        (
            protocol.Hello(protocol.PROTOCOL_VERSION, 1, 500_000, 500, 60_000),
            protocol.Gate(1),
            protocol.Light(1),
            protocol.Reward(1, 100_000, 1, 0),
        ),
        1,
    )
)


def knock(endpoints: dict[str, str], shown: Access | None, open_: ExitStack) -> list[Any]:
    """Connect to everything and ask for everything; the sockets that an answer could come to."""
    lines = []
    for name, (kind, messages) in MESSAGES.items():
        line: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
        line.set(zmq.LINGER, 0)
        if kind == zmq.SUB:
            line.subscribe(b"")
        connect(line, endpoints[name], shown)
        open_.callback(line.close)
        # whoever is refused has nobody to send to
        with suppress(zmq.Again):
            for message in messages:
                line.send(msgspec.msgpack.encode(message), zmq.NOBLOCK)
        if kind != zmq.PUSH:
            lines.append(line)
    board = socket.create_connection(_place(endpoints["board"]))
    open_.callback(board.close)
    board.sendall((b"" if shown is None else shown.token.encode() + b"\n") + DROP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        driven = wires._Driven("" if shown is None else shown.token, wires.Level("frame_ttl", 1, 1))
        wire.sendto(msgspec.msgpack.encode(driven), _place(endpoints["wires"]))
    return lines


def _place(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.partition("://")[2].rpartition(":")
    return host, int(port)


def hub_of(session: RunningSession) -> str:
    """Anybody can read a command line."""
    *_, task = psutil.Process(session.pid_of("control")).cmdline()
    return str(json.loads(task)["supervisor"])


def test_stranger_moves_nothing_and_the_session_goes_on(tmp_path: Path) -> None:
    options = (*SHORT, ENDLESS, "rig.screen.backend=null")
    with RunningSession("run", DEMO, *sets(options), out=tmp_path) as session, ExitStack() as open_:
        before = session.wait_for_state("RUN")
        folder, token = session.folder, read_token(session.folder)
        endpoints = read_endpoints(folder) | {"hub": hub_of(session)}
        assert not stat.S_IMODE((folder / ENDPOINTS).stat().st_mode) & 0o077
        lines = [
            line for shown in (None, Access(new_token())) for line in knock(endpoints, shown, open_)
        ]
        refused = {"control", "acquisition"}
        until(
            lambda: (
                {one["process"] for one in session.log() if "refused" in str(one.get("message"))}
                >= refused
            ),
            every_s=0.1,
        )
        until(lambda: (session.telemetry() or before).n_trials > before.n_trials + 1)
        assert not any(line.poll(0) for line in lines)
        # who has the token is obeyed
        client = OperatorClient(endpoints["operator"], session.access)
        open_.callback(client.close)
        assert client.ask(Finish("enough"), WAIT_S).accepted
        code, output = session.end()
        assert code == 0, output
    record = session.record()
    assert record.end is not None
    assert STRANGER not in str([*record.notes, *record.ledger, record.end])
    edges = whole_lines(folder / "board-edges.jsonl")
    assert not [edge for edge in edges if edge["pin"] in ("light", "gate") and edge["level"]]
    opened = [edge for edge in edges if edge["pin"] == "valve" and edge["level"]]
    assert len(opened) == sum(event.kind is BoardEventKind.REWARD_DONE for event in record.board)
    assert token not in output
    for file in folder.iterdir():
        assert (token.encode() in file.read_bytes()) == (file.name == ENDPOINTS), file
    assert verify(folder).kind is VerdictKind.IDENTICAL
