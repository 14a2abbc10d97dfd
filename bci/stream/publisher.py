"""Frames to whoever has subscribed: live, never waiting, or lossless, on credit."""

import threading
from enum import StrEnum
from time import perf_counter_ns

import numpy as np
import zmq

from bci.core.frame_header import TOPIC, pack_header
from bci.core.stream_types import RoiFrame
from bci.stream.access import Access, Guard
from bci.stream.errors import StreamError
from bci.stream.priority import start_transport
from bci.stream.sockets import bind, open_socket

_SUBSCRIBE = 1
_FULL_QUEUE_RETRY_S = 0.001


class Delivery(StrEnum):
    """How frames are handed over."""

    LIVE = "live"
    LOSSLESS = "lossless"


class FramePublisher:
    """Sends frames; every method may be called from any thread.

    Live: `publish` never waits. A subscriber whose queue is full loses frames, which it sees as a
    gap in the ids (ZeroMQ drops whole messages and does not tell the sender). Lossless: each frame
    costs one credit, and credits come from the receiver.

    Parameters
    ----------
    host, port
        Where to bind; port 0 takes any free one.
    queue_frames
        Frames that wait for a slow subscriber on this side.
    exposed
        Allow an address that other computers can reach.
    access
        What subscribers must show; None: nothing, on this computer.

    Raises
    ------
    StreamError
        Where the address cannot be bound.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        queue_frames: int = 1000,
        exposed: bool = False,
        access: Access | None = None,
    ) -> None:
        # a context of its own: only its end waits until the last frames have left
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        start_transport(self._context)
        self._socket = open_socket(zmq.XPUB, queue=queue_frames, context=self._context)
        self._guard = None if access is None else Guard(access, self._context)
        try:
            self.endpoint = bind(self._socket, host, port, exposed=exposed, guard=self._guard)
        except StreamError:
            self._end_context()
            raise
        self._queue_frames = queue_frames
        self._lock = threading.Lock()
        self._credit_given = threading.Condition()
        self._subscriptions: set[bytes] = set()
        self._lossless = False
        self._credits = 0
        self._closed = False
        self.frames_sent = 0
        self.last_frame_id = -1
        self.t_first_sent_ns = 0
        self.ended = False

    @property
    def delivery(self) -> Delivery:
        """Live until `begin` says otherwise."""
        return Delivery.LOSSLESS if self._lossless else Delivery.LIVE

    @property
    def credits_left(self) -> int:
        """Frames that may still be sent; 0 in live mode, where nobody counts."""
        return self._credits

    def subscribed(self, token: bytes) -> bool:
        """True once the subscriber that named itself `token` will get what is published."""
        with self._lock:
            while not self._closed and self._socket.poll(0):
                message = self._socket.recv()
                if message[:1] == bytes([_SUBSCRIBE]):
                    self._subscriptions.add(message[1:])
                else:
                    self._subscriptions.discard(message[1:])
        return token in self._subscriptions

    def begin(self, delivery: Delivery, credits: int = 0) -> None:
        """Choose the mode of delivery; `credits` frames may be sent at once where lossless.

        Raises
        ------
        StreamError
            Where more credits are granted than the queue holds.
        """
        if delivery is Delivery.LOSSLESS and credits > self._queue_frames:
            raise StreamError(
                f"{credits} credits, but the queue holds {self._queue_frames} frames. Lower "
                "rig.stream.credit_frames or raise rig.stream.queue_frames."
            )
        with self._lock:
            self._lossless = delivery is Delivery.LOSSLESS
            self._socket.set(zmq.XPUB_NODROP, int(self._lossless))
        with self._credit_given:
            self._credits = credits
            self._credit_given.notify_all()

    def grant(self, credits: int) -> None:
        """Let this many more frames be sent."""
        with self._credit_given:
            self._credits += credits
            self._credit_given.notify_all()

    def publish(self, frame: RoiFrame, timeout_s: float = 0.1) -> bool:
        """Send one frame.

        Parameters
        ----------
        frame
            `t_sent_ns` = 0 is stamped here, just before sending.
        timeout_s
            Longest wait for a credit; live delivery never waits.

        Returns
        -------
        bool
            False: no credit came, the frame was not sent; try the same frame again.
        """
        if self._lossless and not self._take_credit(timeout_s):
            return False
        values = np.ascontiguousarray(frame.fluorescence, "<f4")
        t_sent_ns = frame.t_sent_ns or perf_counter_ns()
        if not self.publish_bytes(pack_header(frame, t_sent_ns), values.data):
            self.grant(1)
            return False
        self.last_frame_id = frame.frame_id
        if self.frames_sent == 1:
            self.t_first_sent_ns = t_sent_ns
        return True

    def publish_bytes(self, header: bytes, buffer: bytes | memoryview) -> bool:
        """Send header and values as they are, without asking for a credit.

        Returns
        -------
        bool
            False where the queue is full in lossless mode (more credits than the queue holds).
        """
        with self._lock:
            try:
                self._socket.send(TOPIC, zmq.SNDMORE | zmq.NOBLOCK)
            except zmq.Again:
                full = True
            else:
                full = False
                self._socket.send(header, zmq.SNDMORE)
                self._socket.send(buffer)
                self.frames_sent += 1
        if full:
            with self._credit_given:
                self._credit_given.wait(_FULL_QUEUE_RETRY_S)
        return not full

    def finish(self) -> None:
        """Tell, through `status`, that the frame last sent was the last one."""
        self.ended = True

    def close(self, linger_s: float = 1.0) -> None:
        """End; frames still queued have `linger_s` to leave. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._socket.close(int(linger_s * 1000))
        self._end_context()

    def _end_context(self) -> None:
        if self._guard is not None:
            self._guard.close()
        self._context.term()

    def _take_credit(self, timeout_s: float) -> bool:
        with self._credit_given:
            if not self._credit_given.wait_for(lambda: self._credits > 0, timeout_s):
                return False
            self._credits -= 1
            return True
