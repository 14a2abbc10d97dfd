"""Waiting for a frame with loop and lines kept warm, so that the frame finds them so.

Between two frames the processor sleeps or draws, and everything falls out of its caches: the same
step then takes three times as long. docs/decisions/0004 has the figures.
"""

import time

import msgspec
import numpy as np
import zmq

from bci.config.day import Day
from bci.config.experiment import Experiment, Threshold
from bci.config.session import Session
from bci.config.session_type import ClosedLoopType
from bci.core.frame_header import TOPIC
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Start
from bci.core.stimulus_types import ScreenKind, StimulusCommand
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.session.frame_line import FrameLine
from bci.stream.access import Access, Guard
from bci.stream.commands import CommandPublisher, CommandReceiver
from bci.stream.sockets import bind, open_socket
from bci.stream.subscriber import FrameSubscriber, Received

MS = 1_000_000
LEAD_NS = 400_000
"""How long before the frame is expected the rehearsal begins."""
LATE_NS = 400_000
"""How long after it was expected the rehearsal gives up."""
FASTEST_HZ = 120.0
"""Above this rate the loop does not grow cold, and rehearsals would take the core."""
NEVER = 1e9
_ARRIVES_MS = 2
"""Longest wait for a frame that was sent to ourselves."""
_QUEUE = 4


class Rehearsal:
    """Sends the last frame to itself in the moments before the next is due, and steps it.

    Once a millisecond, and it sleeps in the receiving in between, so that a frame that comes is
    taken at once. The frame goes through a socket to ourselves and through a loop of our own to a
    screen that nobody looks at: what the operating system and ZeroMQ do for a frame is kept warm
    as well. It shares nothing with the loop that counts.

    Parameters
    ----------
    session
        As of the session; the rehearsal is always in RUN.
    info
        The stream.
    frames
        Where frames come from.
    real
        Where commands go: the newest is sent once more before each frame, and so the way to the
        screen is warm, too. The screen drops what it has had.
    access, guard
        Of this session.
    """

    def __init__(
        self,
        session: Session,
        info: StreamInfo,
        frames: FrameLine,
        real: CommandPublisher,
        access: Access,
        guard: Guard,
    ) -> None:
        self._session = session
        self._info = info
        self._experiment = session.experiment
        self._loop = self._always_run()
        self._frames = frames
        self._real = real
        self._epoch = info.epoch
        self._sender = open_socket(zmq.PUB, queue=_QUEUE)
        own = bind(self._sender, "127.0.0.1", 0, guard=guard)
        self._receiver = FrameSubscriber(own, queue_frames=_QUEUE, access=access)
        self._commands = CommandPublisher(guard=guard)
        self._screen = CommandReceiver(self._commands.endpoint, access)
        self._period_ns = int(1e9 / info.rate_hz)
        live = session.rig.stream.delivery == "live"
        self._is_worth_it = live and info.rate_hz <= FASTEST_HZ
        self._frame_id = 0

    def follow(self, experiment: Experiment) -> None:
        """Rehearse with the ensembles that stand now."""
        if experiment is not self._experiment:
            self._experiment = experiment
            self._loop = self._always_run()
            self._frame_id = 0

    def _always_run(self) -> ClosedLoop:
        experiment = self._experiment
        endless = {"trial_s": NEVER, "session_s": NEVER, "grey_s": 0.0}
        changes = {
            "session_type": ClosedLoopType(kind="closed_loop"),
            "baseline": None,
            "blocks": (),
            "hold": False,
            "threshold": Threshold(t=NEVER, lo=-NEVER),
            "task": experiment.task.model_copy(update=endless),
        }
        always_run = experiment.model_copy(update=changes)
        session = self._session.model_copy(update={"experiment": always_run, "day": Day()})
        loop = ClosedLoop(session, self._info)
        loop.apply(Start())
        return loop

    def wait(self, timeout_ms: int, last: Received | None) -> Received | None:
        """Next message, waited for at most this long and a millisecond.

        Parameters
        ----------
        timeout_ms
            Longest wait.
        last
            The frame that came before, which is rehearsed; None: plain waiting.
        """
        frames = self._frames
        if last is None or not self._is_worth_it:
            return frames.wait(timeout_ms)
        due_ns = frames.t_stepped_ns + self._period_ns
        left_ms = (due_ns - LEAD_NS - time.perf_counter_ns()) // MS
        received = frames.wait(int(max(1, min(timeout_ms, left_ms))))
        now_ns = time.perf_counter_ns()
        if received is not None or not due_ns - LEAD_NS - MS < now_ns < due_ns + LATE_NS:
            return received
        self._real.resend()
        while received is None and time.perf_counter_ns() < due_ns + LATE_NS:
            self._rehearse(last)
            received = frames.wait(1)
        return received

    def close(self) -> None:
        """Give all sockets back; a second call does nothing."""
        self._sender.close(0)
        for end in (self._receiver, self._commands, self._screen):
            end.close()

    def _rehearse(self, last: Received) -> None:
        """Everything between a frame's arrival and its command's sending."""
        self._sender.send(TOPIC, zmq.SNDMORE)
        self._sender.send(last.header, zmq.SNDMORE)
        self._sender.send(last.buffer)
        received = self._receiver.wait(_ARRIVES_MS)
        if received is None or not isinstance(received.frame, RoiFrame):
            return
        self._frames.is_behind(received)
        self._frame_id += 1
        # else the image would be taken for a stale one
        values = received.frame.fluorescence + np.float32(self._frame_id & 1)
        decision = self._loop.step(
            msgspec.structs.replace(
                received.frame, epoch=self._epoch, frame_id=self._frame_id, fluorescence=values
            )
        )
        self._commands.send(
            decision.command
            or StimulusCommand(0, self._frame_id, ScreenKind.GRATING, decision.s3, 1.0, 0.0)
        )
