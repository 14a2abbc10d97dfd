"""The thread between a source of frames and the socket they leave by."""

import logging
import threading
import time
from enum import StrEnum

import msgspec
import numpy as np

from bci.core.frame_header import FLAG_END, NotAFrame, pack_header
from bci.core.source import EndOfSource, FrameSource, SourceFrame
from bci.core.stream_types import RoiFrame, hash64
from bci.hardware.imaging.pacing import Schedule
from bci.stream.publisher import Delivery, FramePublisher
from bci.stream.wires import Wire

log = logging.getLogger("bci.acquisition")

WAIT_S = 0.05
MAX_FRAME_ID = 2**64 - 1


class Ending(StrEnum):
    """How a stream ended."""

    SOURCE_ENDED = "ended"
    STOPPED = "stopped"
    FAILED = "failed"


class AcquisitionThread:
    """Reads frames, waits until each is due, stamps and publishes it.

    Live, frames of a source that does not pace itself leave on an absolute schedule; one that is
    late leaves at once, and none is ever skipped. Lossless, they leave as fast as credits come. The
    next frame is read before its time, so that making it costs no delay. After the last frame of
    the source an empty one with `FLAG_END` follows.

    Parameters
    ----------
    source
        Read by this thread alone once it runs; not closed by it.
    publisher
        Its delivery has been chosen (`FramePublisher.begin`).
    session
        Name of the session.
    epoch
        Starts of acquisition before this one.
    speed
        Multiple of real time (live, sources that are not paced).
    t_origin_ns
        `time.perf_counter_ns` at which the session's frame 0 was due; None: nothing was sent yet.
        Where given, ids go on by the time that has passed since.
    frame_ttl
        Pulled for every frame of a source that does not pace itself (live).
    ttl_at_start
        Pulled where the frame begins, a period before it is sent, and not where it ends.

    Attributes
    ----------
    t_origin_ns
        The same, known once the first frame has been read; None for sources that pace themselves.
    ending
        How it ended; None while it runs.
    reason
        Why, in words, where it failed.
    last_frame_id
        Of the frame last sent; -1: none.
    not_frames, last_not_frame
        How often something came that was no frame, and why the last one was none.
    """

    def __init__(
        self,
        source: FrameSource,
        publisher: FramePublisher,
        session: str,
        epoch: int,
        *,
        speed: float = 1.0,
        t_origin_ns: int | None = None,
        frame_ttl: Wire | None = None,
        ttl_at_start: bool = False,
    ) -> None:
        self._ttl = frame_ttl
        self._ttl_at_start = ttl_at_start
        self._source = source
        self._publisher = publisher
        self._blank = RoiFrame(
            session_hash=hash64(session),
            roi_hash=source.info.roi_hash,
            epoch=epoch,
            frame_id=0,
            plane=0,
            t_scope_ns=0,
            t_sent_ns=0,
            fluorescence=np.zeros(0, np.float32),
        )
        self._live = publisher.delivery is Delivery.LIVE
        # Lossless frames have no time of their own: they are stamped as if the speed were 1.
        self._rate_hz = source.info.rate_hz * (speed if self._live else 1.0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="acquisition", daemon=True)
        self.t_origin_ns = t_origin_ns
        self.ending: Ending | None = None
        self.reason = ""
        self.last_frame_id = -1
        self.not_frames = 0
        self.last_not_frame = ""

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Let no further frame out; returns at once."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; True where it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """True from `start` to the end."""
        return self._thread.is_alive()

    def _run(self) -> None:
        ending = Ending.FAILED
        self.reason = "an error in the source that it does not declare; see the log"
        try:
            self._send_all()
        except EndOfSource:
            ending, self.reason = Ending.SOURCE_ENDED, ""
            self._send_end()
        except (OSError, ValueError, RuntimeError) as error:
            self.reason = f"{type(error).__name__}: {error}"
            log.exception("the source failed after frame %d", self.last_frame_id)
        else:
            ending, self.reason = Ending.STOPPED, ""
        finally:
            self.ending = ending

    def _send_all(self) -> None:
        schedule = self._resume()
        while not self._stopping.is_set():
            try:
                frame = self._source.read(WAIT_S)
            except NotAFrame as error:
                self._pass_on(error)
                continue
            if frame is None:
                continue
            t_due_ns = time.perf_counter_ns()
            if not self._source.paced:
                if schedule is None:
                    schedule = self._begin(frame.frame_id, t_due_ns)
                t_due_ns = schedule.due_ns(frame.frame_id)
                if self._live and not self._expose(t_due_ns):
                    return
            self._send(frame, t_due_ns)

    def _resume(self) -> Schedule | None:
        if self.t_origin_ns is None or self._source.paced:
            return None
        passed_s = (time.perf_counter_ns() - self.t_origin_ns) / 1e9
        first_id = round(passed_s * self._rate_hz)
        self._source.seek(first_id)
        return Schedule(self._rate_hz, first_id, self._due_from_origin_ns(first_id))

    def _begin(self, first_id: int, t_ns: int) -> Schedule:
        # the first frame takes its time, too, where its beginning is told
        t_ns += round(1e9 / self._rate_hz) if self._ttl is not None else 0
        self.t_origin_ns = t_ns - round(first_id * 1e9 / self._rate_hz)
        return Schedule(self._rate_hz, first_id, t_ns)

    def _due_from_origin_ns(self, frame_id: int) -> int:
        return (self.t_origin_ns or 0) + round(frame_id * 1e9 / self._rate_hz)

    def _expose(self, t_due_ns: int) -> bool:
        """Wait until a frame is due, pulling its TTL; False where the end was asked for."""
        if self._ttl is None:
            return self._wait_until(t_due_ns)
        begins_ns = t_due_ns - round(1e9 / self._rate_hz)
        if not self._wait_until(begins_ns if self._ttl_at_start else t_due_ns):
            return False
        self._ttl.drive(1)
        return self._wait_until(t_due_ns)

    def _wait_until(self, t_due_ns: int) -> bool:
        # Plain sleep: it wakes some 0.1 ms late, which no reader of the stream feels, and takes
        # 3 % of a core at 1 kHz; spinning the last 0.3 ms away would take 15 %.
        while (left_s := (t_due_ns - time.perf_counter_ns()) / 1e9) > 0:
            if self._stopping.is_set():
                return False
            time.sleep(min(left_s, WAIT_S))
        return True

    def _send(self, frame: SourceFrame, t_due_ns: int) -> None:
        stamped = msgspec.structs.replace(
            self._blank,
            frame_id=frame.frame_id,
            plane=frame.plane,
            t_scope_ns=t_due_ns if frame.t_scope_ns is None else frame.t_scope_ns,
            session_hash=frame.session_hash or self._blank.session_hash,
            roi_hash=frame.roi_hash or self._blank.roi_hash,
            fluorescence=frame.fluorescence,
        )
        while not self._publisher.publish(stamped, WAIT_S):
            if self._stopping.is_set():
                return
        self.last_frame_id = frame.frame_id

    def _pass_on(self, error: NotAFrame) -> None:
        # Sent on as the non-frame it is, so that it stands in the ledger in its place.
        self.not_frames += 1
        self.last_not_frame = str(error)
        self._publisher.publish_bytes(str(error).encode(), b"")

    def _send_end(self) -> None:
        end = msgspec.structs.replace(
            self._blank,
            frame_id=min(self.last_frame_id + 1, MAX_FRAME_ID),
            t_scope_ns=time.perf_counter_ns(),
            t_sent_ns=time.perf_counter_ns(),
            flags=FLAG_END,
        )
        # Costs no credit: the receiver, waiting for frames, must learn that there are none.
        while not self._publisher.publish_bytes(pack_header(end), b""):
            if self._stopping.is_set():
                return
        self._publisher.finish()
