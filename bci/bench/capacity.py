"""The most that gets through: a real sender, this process stepping every frame, ever faster."""

import time
from collections.abc import Callable
from enum import StrEnum

import msgspec
import numpy as np

from bci.bench.sender import Sender
from bci.bench.sessions import BenchFailed, bench_session
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Malformed, Start
from bci.stream.acquisition_client import AcquisitionClient
from bci.stream.publisher import Delivery
from bci.stream.subscriber import FrameSubscriber

LADDERS = ((50_000, 2000.0), (10_000, 4000.0), (200, 4000.0))
"""ROIs, and the rate in Hz at which to begin; halved until one is carried."""
STEP_S = 1.0
SPARE_S = 1.0
LONGEST_S = 10.0
DRAIN_S = 1.0
F0_WINDOW_S = 0.25
LAG_MS = 50.0
RATE_KEPT = 0.97
CHUNK_MS = 5
FINEST = 1.2


class Broke(StrEnum):
    """Why a rate does not count as carried."""

    LOST = "frames lost"
    BEHIND = "receiver falls behind"
    SLOW = "sender falls behind"


class Step(msgspec.Struct, frozen=True):
    """One short run.

    Parameters
    ----------
    n_rois, rate_hz
        Asked of the sender.
    sent, lost
        Frames.
    sent_hz
        Rate that the sender kept.
    lag_ms
        Median time from sent to stepped in the last tenth of the run: what piles up.
    """

    n_rois: int
    rate_hz: float
    sent: int
    lost: int
    sent_hz: float
    lag_ms: float

    @property
    def broke(self) -> Broke | None:
        """None where every frame was stepped in time."""
        if self.lost:
            return Broke.LOST
        if self.lag_ms > LAG_MS:
            return Broke.BEHIND
        return Broke.SLOW if self.sent_hz < RATE_KEPT * self.rate_hz else None


class Limit(msgspec.Struct, frozen=True):
    """How far one number of ROIs got.

    Parameters
    ----------
    most
        Fastest run that lost nothing; None: not even the first.
    broke
        Slowest run that did not; None: the time was over before.
    """

    n_rois: int
    most: Step | None
    broke: Step | None


def find_limits(
    tell: Callable[[str], None],
    ends_at: float,
    ladders: tuple[tuple[int, float], ...] = LADDERS,
    step_s: float = STEP_S,
) -> list[Limit]:
    """For each number of ROIs double the rate until frames are lost, then close in on it.

    Parameters
    ----------
    tell
        Called with what runs now.
    ends_at
        `time.monotonic` at which to be done; the time is shared out evenly.
    ladders
        As `LADDERS`.
    step_s
        Length of one run.
    """
    limits = []
    with Sender() as sender:
        for left, (n_rois, rate_hz) in zip(range(len(ladders), 0, -1), ladders, strict=True):
            until = time.monotonic() + (ends_at - time.monotonic()) / left
            limits.append(_climb(sender, n_rois, rate_hz, step_s, until, tell))
    return limits


def _climb(
    sender: Sender,
    n_rois: int,
    rate_hz: float,
    step_s: float,
    until: float,
    tell: Callable[[str], None],
) -> Limit:
    most: Step | None = None
    broke: Step | None = None
    while True:
        tell(f"{n_rois:,} ROIs at {rate_hz:,.0f} Hz")
        step = run_step(sender, n_rois, rate_hz, step_s)
        if step.broke is None:
            most = step
        else:
            broke = step
        if time.monotonic() + step_s + SPARE_S > until:
            return Limit(n_rois, most, broke)
        if most is None:
            rate_hz = step.rate_hz / 2
        elif broke is None:
            rate_hz = 2 * most.rate_hz
        elif broke.rate_hz / most.rate_hz > FINEST:
            rate_hz = round((most.rate_hz * broke.rate_hz) ** 0.5)
        else:
            return Limit(n_rois, most, broke)


def run_step(sender: Sender, n_rois: int, rate_hz: float, step_s: float) -> Step:
    """One run: frames sent, received and stepped for so many seconds.

    Raises
    ------
    BenchFailed
        Where no frame arrives.
    """
    session = bench_session(n_rois, rate_hz, screen=False, f0_window_s=F0_WINDOW_S)
    frames, channel = sender.offer(n_rois, rate_hz, step_s + LONGEST_S)
    client, subscriber = AcquisitionClient(channel), FrameSubscriber(frames)
    try:
        loop = ClosedLoop(session, client.describe())
        loop.apply(Start())
        taken = _Taken(loop, subscriber)
        client.start(subscriber.token, Delivery.LIVE)
        taken.step_until(lambda: bool(taken.sent_ns), LONGEST_S)
        if not taken.sent_ns:
            raise BenchFailed("no frame arrived")
        taken.step_until(lambda: False, step_s)
        client.stop()
        n_sent = sender.frames_sent()
        taken.step_until(lambda: loop.last_frame_id >= n_sent - 1, DRAIN_S)
    finally:
        subscriber.close()
        client.close()
    sent_ns, lags_ns = np.array(taken.sent_ns), np.array(taken.lags_ns)
    passed_s = (sent_ns[-1] - sent_ns[0]) * 1e-9
    return Step(
        n_rois=n_rois,
        rate_hz=rate_hz,
        sent=n_sent,
        lost=n_sent - len(sent_ns),
        sent_hz=float(loop.last_frame_id / passed_s) if passed_s else 0.0,
        lag_ms=float(np.median(lags_ns[-max(1, len(lags_ns) // 10) :])) * 1e-6,
    )


class _Taken:
    """Frames stepped: when they were sent, and how long after that they were stepped, ns."""

    def __init__(self, loop: ClosedLoop, subscriber: FrameSubscriber) -> None:
        self.sent_ns: list[int] = []
        self.lags_ns: list[int] = []
        self._loop = loop
        self._subscriber = subscriber

    def step_until(self, done: Callable[[], bool], longest_s: float) -> None:
        """Step what arrives until done, or this long."""
        deadline = time.perf_counter_ns() + int(longest_s * 1e9)
        while not done() and time.perf_counter_ns() < deadline:
            received = self._subscriber.receive()
            if received is None:
                self._subscriber.socket.poll(CHUNK_MS)
                continue
            frame = received.frame
            assert not isinstance(frame, Malformed)
            self._loop.step(frame)
            self.sent_ns.append(frame.t_sent_ns)
            self.lags_ns.append(time.perf_counter_ns() - frame.t_sent_ns)
