"""The acquisition process: one source, its sockets, its thread."""

import logging
from time import monotonic

import msgspec

from bci.config import Session
from bci.core.frame_header import NotAFrame
from bci.core.process import ProcessLink
from bci.core.source import EndOfSource, FrameSource
from bci.hardware.imaging.acquisition import AcquisitionThread, Ending
from bci.hardware.imaging.door_source import DoorSource
from bci.hardware.imaging.open import open_source
from bci.stream.access import Access, Guard
from bci.stream.handshake import HandshakeServer
from bci.stream.publisher import FramePublisher
from bci.stream.wires import WIRED, Wire

log = logging.getLogger("bci.acquisition")

POLL_S = 0.02
DROP_S = 0.1
"""Requests are answered in between, however fast old frames come."""
JOIN_S = 1.0


class AcquisitionFailed(RuntimeError):
    """The source broke off; the process ends, so that it can be started again."""


def run_acquisition(
    session: Session,
    link: ProcessLink,
    session_name: str,
    epoch: int,
    t_first_frame_ns: int | None,
) -> None:
    """Open the source, wait to be started, send frames, answer until stopped.

    Announces `frames`, `channel` and, where the source is a door, `door`. Reports `ready`;
    `first_frame` with the time of frame 0 (`time.perf_counter_ns`) as its detail; `not_a_frame`;
    `ended` with the id of the last frame; `failed` with the reason.

    Parameters
    ----------
    session
        `rig.source` and `rig.stream` are read.
    link
        The line to the supervisor.
    session_name, epoch
        Stamped on every frame.
    t_first_frame_ns
        Detail of an earlier epoch's `first_frame`: ids go on by the time that has passed since.
        None: nothing was sent yet.

    Raises
    ------
    RecordingError, StreamError
        Where the source cannot be opened or an address not be bound.
    AcquisitionFailed
        Where the source breaks off, or where a lossless run would have to go on in a new epoch: it
        keeps no time, so nobody knows which frame is next.
    """
    stream = session.rig.stream
    if t_first_frame_ns is not None and stream.delivery == "lossless":
        raise AcquisitionFailed("a lossless run cannot be continued: start it again")
    access = Access.of_session(link.token, stream.keys)
    source = open_source(session.rig.source, session.rig.insecure_peers)
    try:
        publisher = FramePublisher(
            host=stream.host,
            port=stream.frames_port,
            queue_frames=stream.queue_frames,
            exposed=stream.exposed,
            access=access,
        )
        try:
            info = msgspec.structs.replace(source.info, session=session_name, epoch=epoch)
            with Guard(access) as guard:
                server = HandshakeServer(
                    info,
                    publisher,
                    host=stream.host,
                    port=stream.channel_port,
                    exposed=stream.exposed,
                    guard=guard,
                )
                try:
                    _announce(link, source, publisher, server)
                    _Serving(session, link, source, publisher, server).run(
                        session_name, epoch, t_first_frame_ns
                    )
                finally:
                    server.close()
        finally:
            publisher.close()
    finally:
        source.close()


def _announce(
    link: ProcessLink, source: FrameSource, publisher: FramePublisher, server: HandshakeServer
) -> None:
    endpoints = {"frames": publisher.endpoint, "channel": server.endpoint}
    if isinstance(source, DoorSource):
        endpoints["door"] = source.endpoint
    link.announce(endpoints)
    link.report("ready", source.info.source)


class _Serving:
    """Answers requests in this thread, while another one sends."""

    def __init__(
        self,
        session: Session,
        link: ProcessLink,
        source: FrameSource,
        publisher: FramePublisher,
        server: HandshakeServer,
    ) -> None:
        self._speed = session.rig.stream.speed
        board = session.rig.board
        wired = board.kind in WIRED and board.frame_ttl != "none"
        self._ttl = Wire(link.peers, "frame_ttl", link.token) if wired else None
        self._ttl_at_start = board.frame_ttl == "start"
        self._link = link
        self._source = source
        self._drops_old = source.paced and session.rig.stream.delivery == "live"
        self._publisher = publisher
        self._server = server
        self._thread: AcquisitionThread | None = None
        self._told_first = False
        self._told_not_frames = 0

    def run(self, session_name: str, epoch: int, t_origin_ns: int | None) -> None:
        server = self._server
        try:
            while not self._link.stop_requested():
                self._link.turn()
                server.poll(POLL_S)
                thread = self._thread
                if thread is None:
                    if server.started and not server.stopped:
                        self._thread = AcquisitionThread(
                            self._source,
                            self._publisher,
                            session_name,
                            epoch,
                            speed=self._speed,
                            t_origin_ns=t_origin_ns,
                            frame_ttl=self._ttl,
                            ttl_at_start=self._ttl_at_start,
                        )
                        self._thread.start()
                    else:
                        self._drop_old_frames()
                    continue
                self._tell(thread)
                if server.stopped:
                    thread.stop()
                if thread.running:
                    continue
                self._tell_end(thread)
                t_origin_ns = thread.t_origin_ns
                if thread.ending is Ending.STOPPED:
                    self._thread = None
                    continue
                self._answer_until_stopped()
        finally:
            if self._thread is not None:
                self._thread.stop()
                self._thread.join(JOIN_S)
            if self._ttl is not None:
                self._ttl.close()

    def _drop_old_frames(self) -> None:
        """Take and drop what a sender sent before the start: it is of no session.

        Else it would wait at the door, and be stepped in one burst.
        """
        if not self._drops_old:
            return
        t_end_s = monotonic() + DROP_S
        while monotonic() < t_end_s:
            try:
                if self._source.read(0.0) is None:
                    return
            except NotAFrame:
                continue
            except EndOfSource:
                log.info("a sender ended its stream before the session began: waiting for another")

    def _answer_until_stopped(self) -> None:
        while not self._link.stop_requested():
            self._link.turn()
            self._server.poll(POLL_S)

    def _tell(self, thread: AcquisitionThread) -> None:
        if not self._told_first and thread.last_frame_id >= 0:
            origin_ns = thread.t_origin_ns or self._publisher.t_first_sent_ns
            self._link.report("first_frame", str(origin_ns))
            self._told_first = True
        if thread.not_frames > self._told_not_frames:
            n_new = thread.not_frames - self._told_not_frames
            self._link.report("not_a_frame", f"{n_new}, the last: {thread.last_not_frame}")
            self._told_not_frames = thread.not_frames

    def _tell_end(self, thread: AcquisitionThread) -> None:
        self._tell(thread)
        if thread.ending is Ending.FAILED:
            self._link.report("failed", thread.reason)
            raise AcquisitionFailed(f"the source broke off: {thread.reason}")
        if thread.ending is Ending.SOURCE_ENDED:
            self._link.report("ended", str(thread.last_frame_id))
            log.info("the source ended after frame %d", thread.last_frame_id)
