"""The yardstick: a bare pyzmq echo of messages as large as ours, beside the same neighbours.

`python -m bci.bench.echo answer` binds, writes where to its standard output, and answers every
frame-sized message with a command-sized one; `ask` sends at a steady rate and writes every round
trip, in ns, to its own.
"""

import subprocess
import sys
import time

import numpy as np
import zmq
from numpy.typing import NDArray

from bci.program import check_parent, child_environment, python_command

COMMAND_BYTES = 100
ANYWHERE = "tcp://127.0.0.1:*"
SILENT_MS = 60_000


def answer() -> None:
    """Answer until the asker goes silent for a minute."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    frames, commands = context.socket(zmq.SUB), context.socket(zmq.PUB)
    frames.subscribe(b"")
    for socket in (frames, commands):
        socket.bind(ANYWHERE)
    endpoints = [socket.getsockopt_string(zmq.LAST_ENDPOINT) for socket in (frames, commands)]
    sys.stdout.write(" ".join(endpoints) + "\n")
    sys.stdout.flush()
    payload = bytes(COMMAND_BYTES)
    while frames.poll(SILENT_MS):
        frames.recv_multipart()
        commands.send(payload)


def ask(
    frame_endpoint: str, command_endpoint: str, n_bytes: int, rate_hz: float, duration_s: float
) -> NDArray[np.int64]:
    """Round trips of frame-sized messages, ns."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    frames, commands = context.socket(zmq.PUB), context.socket(zmq.SUB)
    commands.subscribe(b"")
    frames.connect(frame_endpoint)
    commands.connect(command_endpoint)
    message = [b"frame", bytes(64), bytes(n_bytes)]
    while True:
        frames.send_multipart(message)
        if commands.poll(100):
            break
    while commands.poll(200):
        commands.recv()
    round_trips = []
    due_s = time.perf_counter()
    end_s = due_s + duration_s
    while due_s < end_s:
        time.sleep(max(0.0, due_s - time.perf_counter()))
        due_s += 1 / rate_hz
        t_sent_ns = time.perf_counter_ns()
        frames.send_multipart(message)
        commands.recv()
        round_trips.append(time.perf_counter_ns() - t_sent_ns)
    return np.array(round_trips)


class Echo:
    """Asker and answerer in processes of their own, for as long as the block lasts.

    Parameters
    ----------
    n_bytes
        Of fluorescence in a message.
    rate_hz, duration_s
        How often and how long.
    """

    def __init__(self, n_bytes: int, rate_hz: float, duration_s: float) -> None:
        python = python_command("bci.bench.echo")
        self._answerer = subprocess.Popen(
            [*python, "answer"],
            env=child_environment(),
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._answerer.stdout is not None
        endpoints = self._answerer.stdout.readline().split()
        figures = map(str, (n_bytes, rate_hz, duration_s))
        self._asker = subprocess.Popen(
            [*python, "ask", *endpoints, *figures],
            env=child_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Echo":
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._asker, self._answerer):
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def round_trips_ns(self, timeout_s: float = 60.0) -> NDArray[np.int64]:
        """All round trips, waited for."""
        output, _ = self._asker.communicate(timeout=timeout_s)
        return np.array(output.split(), dtype=np.int64)


if __name__ == "__main__":
    check_parent()
    role, *arguments = sys.argv[1:]
    if role == "answer":
        answer()
    else:
        frame_endpoint, command_endpoint, n_bytes, rate_hz, duration_s = arguments
        trips = ask(
            frame_endpoint, command_endpoint, int(n_bytes), float(rate_hz), float(duration_s)
        )
        sys.stdout.write("\n".join(map(str, trips.tolist())))
