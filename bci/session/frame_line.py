"""Control's line to acquisition: frames, credits, how far behind, when it is silent."""

import time
from collections.abc import Mapping

from bci.config.rig import Stream
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.frame_header import FLAG_END
from bci.core.loop_types import LedgerEntry
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.recording.journal import Journal
from bci.recording.records import ClockTied, Peer, Topic
from bci.session.stream_pace import StreamLag, StreamRate
from bci.stream.access import Access
from bci.stream.acquisition_client import AcquisitionClient
from bci.stream.clock import PeerClock
from bci.stream.publisher import Delivery
from bci.stream.subscriber import FrameSubscriber, Received

ANSWER_TIMEOUT_S = 1.0
CLOCK_NS = 1_000_000_000
START_TIMEOUT_S = 2.0
MOST_REORDERED = 3
"""A loop that waits longer for an acquisition that died meanwhile would be taken to hang."""


class FrameLine:
    """Takes frames from acquisition, wherever it was started last.

    Parameters
    ----------
    settings
        `rig.stream`.
    peers
        Endpoints `frames` and `channel` of acquisition.
    access
        Of this session.
    journal
        Gets acquisition's clock against ours: at every start, and again and again where it runs on
        another computer.
    is_paced_outside
        True if a microscope program sends the frames in its own time: their rate is judged.

    Attributes
    ----------
    info
        The stream of the present epoch.
    t_stepped_ns
        `time.perf_counter_ns` at which the last frame that was stepped came; 0 before the first.
    first_id
        Of the first frame that was stepped; -1 before it.
    offset_ns
        Acquisition's clock minus ours.
    lag
        How far frames have fallen behind.
    stalled
        Set it where the loop was told of a stall; the next frame that is stepped unsets it.
    """

    def __init__(
        self,
        settings: Stream,
        peers: Mapping[str, str],
        access: Access,
        journal: Journal,
        *,
        is_paced_outside: bool = False,
    ) -> None:
        self._access = access
        self._settings = settings
        self._lossless = settings.delivery == "lossless"
        self._channel = peers["channel"]
        self._client = AcquisitionClient(self._channel, access=access)
        self._frames = FrameSubscriber(
            peers["frames"], queue_frames=settings.queue_frames, access=access
        )
        self._journal = journal
        self._clock = PeerClock()
        self._t_asked_ns = 0
        self.offset_ns = 0
        self._owed = 0
        self._t_empty_ns = 0
        self._t_started_ns = 0
        self.first_id = -1
        self.t_stepped_ns = 0
        self.stalled = False
        self._n_older, self._older_id = 0, 0
        self.info: StreamInfo = self._client.describe()
        self.lag = StreamLag(self.info.rate_hz * settings.speed)
        self._rate: StreamRate | None = None
        self._wrong_rate = ""
        if is_paced_outside and not self._lossless and settings.speed == 1.0:
            self._rate = StreamRate(self.info.rate_hz)

    def close(self) -> None:
        """Give both sockets back."""
        self._client.close()
        self._frames.close()

    def start(self) -> None:
        """Let frames come; returns once acquisition has seen the subscription."""
        self._clock = PeerClock()
        self._client.tie(self._clock)
        self._keep_clock()
        # a second round of credits is under way while the first is stepped
        credits = 2 * self._settings.credit_frames if self._lossless else 0
        self._owed = 0
        self._client.start(
            self._frames.token,
            Delivery(self._settings.delivery),
            credits,
            timeout_s=START_TIMEOUT_S,
        )
        self._t_started_ns = time.perf_counter_ns()
        self.lag.restart()
        if self._rate is not None:
            self._rate.restart()

    def wait(self, timeout_ms: int) -> Received | None:
        """Next message, waited for at most this long."""
        self._t_empty_ns = time.perf_counter_ns()
        return self._frames.wait(timeout_ms)

    def receive(self) -> Received | None:
        """Next message that is already there."""
        return self._frames.receive()

    def is_behind(self, received: Received) -> bool:
        """True where more newer frames wait than `late_frames`; never in lossless runs.

        Nobody is asked where so many cannot have come since the queue was last seen empty.
        """
        most = self._settings.late_frames
        since_empty_ns = received.t_received_ns - self._t_empty_ns
        if self._lossless or since_empty_ns * self.info.rate_hz < 1e9 * most:
            return False
        return self._frames.waiting(most + 1) > most

    def is_end(self, frame: RoiFrame) -> bool:
        """Whether this is the empty frame that follows the last one of this very stream."""
        return (
            bool(frame.flags & FLAG_END)
            and not len(frame.fluorescence)
            and frame.session_hash == self.info.session_hash
            and frame.epoch == self.info.epoch
        )

    def follow_clock(self, now_ns: int) -> None:
        """Ask another computer for its time once a second, and take its answers; never waits."""
        if not self.offset_ns:
            return
        if self._client.hear_time(self._clock):
            self._keep_clock()
        if now_ns - self._t_asked_ns >= CLOCK_NS:
            self._t_asked_ns = now_ns
            self._client.ask_time()

    def _keep_clock(self) -> None:
        offset = self._clock.offset
        assert offset is not None
        self.offset_ns = offset.offset_ns
        tied = ClockTied(Peer.ACQUISITION, offset.offset_ns, offset.error_ns)
        self._journal.append(Topic.CLOCK, tied)

    def stepped(self, received: Received, frame: RoiFrame) -> LedgerEntry | None:
        """Note a frame that the loop took as the next one; what the fault log must hold."""
        frame_id = frame.frame_id
        if self.offset_ns and frame.t_sent_ns:
            self._clock.came(frame.t_sent_ns, received.t_received_ns)
        self.t_stepped_ns = received.t_received_ns
        self._n_older = 0
        if self.first_id < 0:
            self.first_id = frame_id
        was_stalled, self.stalled = self.stalled, False
        if self._rate is not None:
            if was_stalled:
                self._rate.restart()
            self._rate.frame(frame_id, frame.t_sent_ns, frame.t_scope_ns)
        if self._lossless:
            return None
        return self.lag.frame(frame_id, frame.t_sent_ns - self.offset_ns, received.t_received_ns)

    def hear(self, event: BoardEvent) -> None:
        """Note a frame TTL, for the rate of the stream."""
        is_ttl = event.kind is BoardEventKind.FRAME_TTL and event.t_device_us is not None
        if self._rate is not None and is_ttl:
            assert event.t_device_us is not None
            self._rate.ttl(int(event.value), event.t_device_us)

    def wrong_rate(self) -> str:
        """What is wrong with the rate, told when it was measured; empty: nothing, or not yet."""
        found = self._rate.judge() if self._rate is not None else None
        if found is None:
            return ""
        self._wrong_rate = ""
        if found.is_wrong:
            self._wrong_rate = f"{found.rate_hz:.2f} Hz"
            return (
                f"frames come at {found.rate_hz:.2f} Hz by the clock of the {found.clock}, and "
                f"rig.source.rate_hz is {self.info.rate_hz:g}"
            )
        return ""

    def discarded(self, frame: RoiFrame, last_id: int) -> None:
        """Note a frame that the loop did not take; `last_id` is the last that it took."""
        info = self.info
        ours = frame.session_hash in (0, info.session_hash) and frame.epoch == info.epoch
        if ours and frame.frame_id < last_id:
            self._n_older, self._older_id = self._n_older + 1, frame.frame_id

    @property
    def older_id(self) -> int | None:
        """Newest id since the last stepped frame if ids went backwards; None if they did not.

        A few frames that came in another order are no such thing.
        """
        return self._older_id if self._n_older > MOST_REORDERED else None

    def spent_frames(self, last_id: int) -> int:
        """Frames of time from the first id to this one, those lost included; 0 before the first."""
        return last_id - self.first_id if self.first_id >= 0 else 0

    def owe(self) -> None:
        """Note a frame that was taken in and cost a credit."""
        self._owed += 1

    def grant(self) -> None:
        """Ask for as many frames as were taken in, a round at a time (lossless)."""
        if self._owed >= self._settings.credit_frames:
            self._client.credit(self._owed)
            self._owed = 0

    def silent_s(self, now_ns: int) -> float:
        """Since the last frame that was stepped, s; 0 before the first, and in lossless runs."""
        if self._lossless or not self.t_stepped_ns:
            return 0.0
        return (now_ns - self.t_stepped_ns) * 1e-9

    def waited_s(self, now_ns: int) -> float:
        """Since the last frame that was stepped, or since frames were asked for, s; 0 in lossless.

        Unlike `silent_s` it grows from the start on: who waits for the first frame is not stalled.
        """
        if self._lossless:
            return 0.0
        return (now_ns - max(self.t_stepped_ns, self._t_started_ns)) * 1e-9

    @property
    def light(self) -> str:
        """How it goes, for people to see."""
        if self.first_id < 0:
            return "waiting for the first frame"
        if self.stalled:
            return "stalled"
        if self._wrong_rate:
            return f"at a wrong rate, {self._wrong_rate}"
        return f"late by {self.lag.lag_s:.2f} s" if self.lag.is_behind else "ok"

    def has_moved(self, peers: Mapping[str, str]) -> bool:
        """True where acquisition was started again; call it every turn.

        Its endpoints are gone for a while in between, so that one that comes back to the ports it
        had is noticed as well.
        """
        if "channel" not in peers or "frames" not in peers:
            self._channel = ""
            return False
        return peers["channel"] != self._channel

    def follow(self, peers: Mapping[str, str]) -> bool:
        """Go to where acquisition listens now, and let frames come; False: it has other ROIs.

        What has arrived is to be received before.

        Raises
        ------
        StreamError
            Where acquisition does not answer; `has_moved` stays true.
        """
        self._client.close()
        self._client = AcquisitionClient(
            peers["channel"], timeout_s=ANSWER_TIMEOUT_S, access=self._access
        )
        info = self._client.describe()
        if info.roi_hash != self.info.roi_hash:
            return False
        self._frames.connect(peers["frames"])
        self.start()
        self.info, self._channel = info, peers["channel"]
        return True
