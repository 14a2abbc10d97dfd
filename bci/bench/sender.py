"""The sending end of `bci bench stream`: acquisition's own thread, in a process of its own.

`python -m bci.bench.sender` reads lines of `ROIS RATE_HZ SECONDS`; for each it prints the endpoints
of frames and channel, sends prepared frames once they are asked for, stops when asked to, at the
latest after so many seconds, and prints how many it has sent.
"""

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from bci.bench.sessions import BenchFailed
from bci.hardware.imaging.acquisition import AcquisitionThread
from bci.hardware.imaging.recording_source import RecordingSource
from bci.program import check_parent, child_environment, python_command
from bci.recording.readers.traces import deal, plain_labels
from bci.stream.handshake import HandshakeServer
from bci.stream.publisher import FramePublisher

N_COLUMNS = 64
POLL_S = 0.02
LINGER_S = 1.0
SESSION = "bench"
ENDED = "the sending process has ended"


def prepared_source(n_rois: int, rate_hz: float) -> RecordingSource:
    """Noise around 500 counts, a few frames of it in a loop."""
    noise = np.random.default_rng(1).normal(500.0, 20.0, (n_rois, N_COLUMNS)).astype(np.float32)
    traces = deal(Path("prepared"), noise, plain_labels(n_rois), rate_hz, 1)
    return RecordingSource(traces, loop=True)


def serve(n_rois: int, rate_hz: float, longest_s: float) -> None:
    """Offer one stream on standard output and send it until the receiver asks for its end."""
    source = prepared_source(n_rois, rate_hz)
    publisher = FramePublisher()
    server = HandshakeServer(msgspec.structs.replace(source.info, session=SESSION), publisher)
    try:
        sys.stdout.write(f"{publisher.endpoint} {server.endpoint}\n")
        sys.stdout.flush()
        deadline = time.monotonic() + longest_s
        thread: AcquisitionThread | None = None
        while not server.stopped and time.monotonic() < deadline:
            server.poll(POLL_S)
            if server.started and thread is None:
                thread = AcquisitionThread(source, publisher, SESSION, 0)
                thread.start()
        if thread is not None:
            thread.stop()
            thread.join(longest_s)
        sys.stdout.write(f"{publisher.frames_sent}\n")
        sys.stdout.flush()
    finally:
        server.close()
        publisher.close(LINGER_S)


class Sender:
    """The process, for as long as the block lasts."""

    def __enter__(self) -> "Sender":
        self._process = subprocess.Popen(
            python_command("bci.bench.sender"),
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def offer(self, n_rois: int, rate_hz: float, longest_s: float) -> tuple[str, str]:
        """Have a stream ready; endpoints of its frames and of its channel.

        Raises
        ------
        BenchFailed
            Where the process has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{n_rois} {rate_hz} {longest_s}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise BenchFailed(ENDED) from error
        frames, channel = self._words(2)
        return frames, channel

    def frames_sent(self) -> int:
        """Frames of the stream that has just been stopped."""
        return int(self._words(1)[0])

    def _words(self, n: int) -> list[str]:
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if len(words) != n:
            raise BenchFailed(ENDED)
        return words


if __name__ == "__main__":
    check_parent()
    for line in sys.stdin:
        rois, rate, seconds = line.split()
        serve(int(rois), float(rate), float(seconds))
