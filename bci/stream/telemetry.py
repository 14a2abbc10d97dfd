"""What control tells everybody who looks on: a snapshot, the newest alone."""

from typing import Annotated

import msgspec
import zmq

from bci.core.messages import MOST_LABEL, Label, Text, TimeNs
from bci.core.performance import Performance
from bci.stream.access import Access, Guard, connect
from bci.stream.inbox import Inbox
from bci.stream.sockets import CONTROL_MESSAGE_BYTES, bind, open_socket, wait_readable

_QUEUE = 16
NO_CHANCE = (float("nan"),) * 3
Latencies = Annotated[dict[Label, tuple[float, float]], msgspec.Meta(max_length=MOST_LABEL)]


class Telemetry(msgspec.Struct, frozen=True):
    """The session at one moment.

    Parameters
    ----------
    t_ns
        `time.perf_counter_ns` of control.
    state, trial, n_trials
        Task state by name; number of the present trial (0: none yet); trials that are over.
    hits, misses
        Outcomes so far.
    hit_rate
        Hits over hits and misses; NaN before the first outcome.
    performance
        How the animal does, with intervals.
    rewards_done, volume_ul
        Rewards that the board has finished, and their volume.
    today_ul, cap_ul
        What the subject had today, in all sessions; the most it may have, NaN: no cap.
    s3, t, lo
        Read-out, threshold and zero, in the unit of the decoder's signal; NaN where unknown.
    chance, chance_t
        Chance predicted for the trials so far, each with its own T, and its interval, 0-1, all NaN
        where there is none; T of the newest calibration.
    chance_words
        The same for people, or why there is none; empty without a baseline.
    angle_deg
        Of the read-out, whatever the screen shows; NaN while T and lo are unknown.
    latency_ms
        Stage -> (p50, p99), ms.
    lost_frames
        Ids that never came.
    ledger_count, last_ledger
        Entries, and the last one in words.
    progress
        Of the present block, 0-1.
    block, block_number
        The block that runs, baseline or the session type of its trials, empty between two; how many
        were begun.
    next_block
        What the plan has next; empty: nothing.
    waits_for
        What keeps the next block or trial from beginning: ensembles, threshold, operator, F0
        window; empty: nothing does.
    session_s
        Frame time since the first stepped frame, s.
    screen, board, acquisition
        Lights: ok, waiting, lost, or a few words.
    """

    t_ns: TimeNs
    state: Label
    trial: int = 0
    n_trials: int = 0
    hits: int = 0
    misses: int = 0
    hit_rate: float = float("nan")
    performance: Performance = Performance()
    rewards_done: int = 0
    volume_ul: float = 0.0
    today_ul: float = 0.0
    cap_ul: float = float("nan")
    s3: float = float("nan")
    t: float = float("nan")
    lo: float = float("nan")
    chance: tuple[float, float, float] = NO_CHANCE
    chance_t: float = float("nan")
    chance_words: Text = ""
    angle_deg: float = float("nan")
    latency_ms: Latencies = {}
    lost_frames: int = 0
    ledger_count: int = 0
    last_ledger: Text = ""
    progress: float = 0.0
    block: Label = ""
    block_number: int = 0
    next_block: Label = ""
    waits_for: Text = ""
    session_s: float = 0.0
    screen: Text = "waiting"
    board: Text = "waiting"
    acquisition: Text = "waiting"


class TelemetryPublisher:
    """Control's end; for one thread. Never waits.

    Parameters
    ----------
    host, port, exposed, guard
        As in `bind`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        exposed: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self._socket = open_socket(zmq.PUB, queue=_QUEUE)
        self.endpoint = bind(self._socket, host, port, exposed=exposed, guard=guard)
        self._encoder = msgspec.msgpack.Encoder()

    def send(self, telemetry: Telemetry) -> None:
        """Tell everybody who looks on."""
        self._socket.send(self._encoder.encode(telemetry))

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self._socket.close(100)


class TelemetrySubscriber:
    """The end of a window or terminal: holds the newest snapshot alone; for one thread.

    Parameters
    ----------
    endpoint
        Of the `TelemetryPublisher`.
    access
        As the publisher's guard asks for.
    """

    def __init__(self, endpoint: str, access: Access | None = None) -> None:
        self._socket = open_socket(zmq.SUB, queue=1)
        self._socket.set(zmq.CONFLATE, 1)
        self._socket.subscribe(b"")
        connect(self._socket, endpoint, access)
        self.inbox: Inbox[Telemetry] = Inbox(Telemetry, "telemetry", CONTROL_MESSAGE_BYTES)

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """To be polled."""
        return self._socket

    def receive(self, timeout_s: float = 0.0) -> Telemetry | None:
        """The newest snapshot, once; None if none came. What cannot be read is dropped."""
        if not wait_readable(self._socket, timeout_s):
            return None
        return self.inbox.read([self._socket.recv()])

    def close(self) -> None:
        """Give the socket back; a second call does nothing."""
        self.inbox.close()
        self._socket.close(0)
