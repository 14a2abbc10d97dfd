"""The simulated board as a process of its own, on a socket that pyserial opens."""

import hmac
import json
import logging
import selectors
import socket
import time
from pathlib import Path
from typing import IO

from bci.config.rig import Board as BoardSettings
from bci.core.process import ProcessLink
from bci.hardware.board.codes import InputKind, Pin
from bci.hardware.board.device import Device
from bci.hardware.board.line_faults import LineFaults
from bci.hardware.board.memory import Memory
from bci.stream.access import Refusals
from bci.stream.wires import WireEnd

_LOG = logging.getLogger("bci.board")
_POLL_S = 0.02
_PINS = {"frame_ttl": InputKind.FRAME_TTL, "photodiode": InputKind.PHOTODIODE}
_MOST_STRANGERS = 16
"""Connections that have not shown the token yet; a newer one takes the place of the oldest."""
RESET_US = 500
"""After the opening in which `rig.board.faults.reset_in_reward` resets."""
_SPIN_S = 0.0005
"""Sleeping ends late by less than this; the rest is waited for awake."""


def run_simulated_board(
    board: BoardSettings, link: ProcessLink, edges_path: Path, port: int = 0
) -> None:
    """Serve a simulated board until a stop is asked for; the valve is shut before it returns.

    Parameters
    ----------
    board
        Settings, of which only `faults` concerns the device: limits come over the line.
    link
        To the supervisor; the endpoint `board` is announced on it.
    edges_path
        Every output edge is written here at once, one JSON object a line: t_wall_ns, t_perf_ns
        (`time.perf_counter_ns` at which it was due), t_device_us (the same, since the process
        started, whatever resets the device met), pin, level, request_id.
        What the board remembers through a restart is kept beside it.
    port
        To listen on, so that a board that is started again is found again; 0: any free one.
    """
    with (
        edges_path.open("a", encoding="utf-8") as edges,
        socket.create_server(("127.0.0.1", port)) as server,
    ):
        server.setblocking(False)
        served = SimulatedBoard(
            board, edges, edges_path.with_name("board-memory.bin"), server, link.token
        )
        port = server.getsockname()[1]
        link.announce({"board": f"socket://127.0.0.1:{port}", "wires": served.wires.endpoint})
        link.report("ready", f"board on port {port}")
        try:
            while not link.stop_requested():
                link.turn()
                served.turn(_POLL_S)
        finally:
            served.close()


class SimulatedBoard:
    """A device behind a listening socket, one client at a time.

    Parameters
    ----------
    board
        Settings, for their `faults`.
    edges
        Text file that takes the output edges.
    memory_path
        The simulated EEPROM.
    server
        Listening, non-blocking; stays the caller's.
    token
        Of the session: a client shows it first, on a line of its own. Empty: none is asked for.

    Attributes
    ----------
    wires
        To its inputs.
    """

    def __init__(
        self,
        board: BoardSettings,
        edges: IO[str],
        memory_path: Path,
        server: socket.socket,
        token: str,
    ) -> None:
        self._token = token.encode("ascii")
        self._strangers: dict[socket.socket, bytes] = {}
        self._refused = Refusals()
        self._edges = edges
        self._server = server
        self._faults = LineFaults(board.faults)
        self._client: socket.socket | None = None
        self._t_zero_ns = time.perf_counter_ns()
        self._us_per_ns = 1e-3 * (1 + board.faults.clock_drift_ppm * 1e-6)
        self._openings = 0
        self._t_reset_us: int | None = None
        self._unplugged = False
        image = memory_path.read_bytes() if memory_path.exists() else None
        memory = Memory() if image is None else Memory.from_bytes(image)
        self._memory = memory_path.open("r+b" if image is not None else "w+b", buffering=0)
        self._device = Device(memory, save=self._save)
        self._selector = selectors.SelectSelector()
        self._selector.register(server, selectors.EVENT_READ)
        self.wires = WireEnd(token)
        self._selector.register(self.wires, selectors.EVENT_READ)

    def turn(self, timeout_s: float) -> None:
        """Wait for bytes, a client or the device's next deadline, and do what is due."""
        due_us = self._device.next_deadline_us
        if due_us is not None:
            timeout_s = min(timeout_s, (due_us - self._now_us()) / 1e6)
        if timeout_s > _SPIN_S:
            ready = self._selector.select(timeout_s - _SPIN_S)
        else:
            while due_us is not None and self._now_us() < due_us:
                pass
            ready = self._selector.select(0)
        self._device.advance(self._sensed_until_us())
        self._put_out()
        for key, _ in ready:
            if key.fileobj is self._server:
                self._accept()
            elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._strangers:
                self._hear_stranger(key.fileobj)
            elif key.fileobj is self._client:
                self._read()
        self._misbehave()

    def close(self) -> None:
        """Power off: every output low, and on file so."""
        self._device.reset(self._now_us())
        self._put_out()
        self._hang_up()
        for stranger in list(self._strangers):
            self._refuse(stranger)
        self._refused.close()
        self._selector.close()
        self.wires.close()
        self._memory.close()

    def _now_us(self) -> int:
        return self._us_at(time.perf_counter_ns())

    def _us_at(self, t_ns: int) -> int:
        return int((t_ns - self._t_zero_ns) * self._us_per_ns)

    def _accept(self) -> None:
        client, _ = self._server.accept()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(client, selectors.EVENT_READ)
        if self._token:
            if len(self._strangers) == _MOST_STRANGERS:
                self._refuse(next(iter(self._strangers)))
            self._strangers[client] = b""
        else:
            self._take_client(client)

    def _hear_stranger(self, stranger: socket.socket) -> None:
        """Take in what somebody shows, until it is the token or cannot be."""
        shown = self._strangers[stranger]
        try:
            # not a byte more: what follows is for the device
            shown += stranger.recv(len(self._token) + 1 - len(shown))
        except OSError:
            shown = b""
        if len(shown) == len(self._token) + 1 and hmac.compare_digest(shown, self._token + b"\n"):
            del self._strangers[stranger]
            self._take_client(stranger)
        elif shown == self._strangers[stranger] or len(shown) > len(self._token):
            self._refuse(stranger)
        else:
            self._strangers[stranger] = shown

    def _refuse(self, stranger: socket.socket) -> None:
        del self._strangers[stranger]
        self._selector.unregister(stranger)
        stranger.close()
        self._refused.add("to the board, without this session's token")

    def _take_client(self, client: socket.socket) -> None:
        # further clients wait in the queue until this one has gone
        self._selector.unregister(self._server)
        for stranger in list(self._strangers):
            self._refuse(stranger)
        self._client = client
        self._device.take_output()
        _LOG.info("line opened")

    def _sensed_until_us(self) -> int:
        """Bring the pins to what was driven, each level at its own time; the time of now.

        The clock is read first: a level that comes after the look is never before this time.
        """
        now_us = self._now_us()
        for new in self.wires.receive():
            self._device.input(_PINS[new.pin], new.level, self._us_at(new.t_ns))
        return now_us

    def _read(self) -> None:
        if self._client is None:
            return
        try:
            data = self._client.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        self._device.receive(self._faults.inbound(data), self._sensed_until_us())
        self._put_out()

    def _put_out(self) -> None:
        """Edges on file before the bytes that tell of them are on the line."""
        wall_ns = time.time_ns() - time.perf_counter_ns()
        for edge in self._device.take_edges():
            # the device keeps its times; it is this process that may be late to tell of them
            t_perf_ns = self._t_zero_ns + round(edge.t_us / self._us_per_ns)
            if edge.pin is Pin.VALVE and edge.level:
                self._openings += 1
                if self._openings == self._faults.settings.reset_in_reward:
                    self._t_reset_us = edge.t_us + RESET_US
            record = {
                "t_wall_ns": wall_ns + t_perf_ns,
                "t_perf_ns": t_perf_ns,
                "t_device_us": edge.t_us,
                "pin": edge.pin.name.lower(),
                "level": edge.level,
                "request_id": edge.request_id,
            }
            self._edges.write(json.dumps(record) + "\n")
            self._edges.flush()
        out = self._faults.outbound(self._device.take_output())
        if out and self._client is not None:
            try:
                # a client that does not read loses bytes, as on a line without flow control
                self._client.send(out)
            except BlockingIOError:
                _LOG.warning("%d bytes lost: the host does not read", len(out))
            except OSError:
                self._hang_up()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client = None
            self._selector.register(self._server, selectors.EVENT_READ)
            _LOG.info("line closed")

    def _misbehave(self) -> None:
        if self._t_reset_us is not None:
            t_us, self._t_reset_us = self._t_reset_us, None
            _LOG.warning("reset, as told by rig.board.faults")
            self._device.reset(t_us)
            self._put_out()
        unplug_in = self._faults.settings.unplug_in_reward
        if not self._unplugged and 0 < unplug_in <= self._openings:
            self._unplugged = True
            _LOG.warning("unplugged, as told by rig.board.faults")
            self._hang_up()

    def _save(self, memory: Memory) -> None:
        # one write, which a kill does not tear; were it torn, its CRC would tell
        self._memory.seek(0)
        self._memory.write(memory.to_bytes())
        self._memory.truncate()
