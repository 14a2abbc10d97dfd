"""The receiving end of an acquisition under test, and the settings that it runs on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from waiting import WAIT_MS, WAIT_S

from bci.config import Session, validate_session
from bci.core.frame_header import FLAG_END
from bci.core.loop_types import Malformed
from bci.core.stream_types import RoiFrame
from bci.hardware.imaging.process import run_acquisition
from bci.stream.access import Access
from bci.stream.acquisition_client import AcquisitionClient
from bci.stream.publisher import Delivery
from bci.stream.subscriber import FrameSubscriber
from bci.stream.supervision import LocalLink


def session_of(source: dict[str, Any], **stream: Any) -> Session:
    """A session whose source and stream are these."""
    session, faults = validate_session(session_data(source, **stream))
    assert session is not None, faults
    return session


def session_data(source: dict[str, Any], **stream: Any) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "rig": {
            "name": "r",
            "source": source,
            "board": {"kind": "simulated"},
            "stream": stream,
        },
        "experiment": {
            "name": "e",
            "decoder": {"p_plus": ["roi0000"], "p_minus": ["roi0002"], "f0_window_s": 1.0},
            "threshold": {"t": 0.3, "lo": -0.3},
        },
    }


class Receiver:
    """Control's end of the stream."""

    def __init__(self, frames: str, channel: str, token: str) -> None:
        access = Access(token)
        self.client = AcquisitionClient(channel, timeout_s=WAIT_S, access=access)
        self.frames = FrameSubscriber(frames, access=access)
        self.info = self.client.describe()
        self.epoch = -1

    def start(self, delivery: Delivery, credits: int = 0) -> None:
        self.epoch = self.client.start(self.frames.token, delivery, credits, timeout_s=WAIT_S)

    def next(self) -> RoiFrame | Malformed:
        """The next message; fails where none comes."""
        while (received := self.frames.receive()) is None:
            assert self.frames.socket.poll(WAIT_MS), "no frame came"
        return received.frame

    def next_frame(self) -> RoiFrame:
        frame = self.next()
        assert isinstance(frame, RoiFrame)
        return frame

    def to_the_end(self, credits: int = 0) -> list[RoiFrame]:
        """All frames up to the mark of the end; credits are granted anew as they are used up."""
        frames: list[RoiFrame] = []
        while not (frame := self.next_frame()).flags & FLAG_END:
            frames.append(frame)
            if credits and len(frames) % credits == 0:
                self.client.credit(credits)
        assert not len(frame.fluorescence)
        assert frame.frame_id == frames[-1].frame_id + 1
        return frames

    def close(self) -> None:
        self.client.close()
        self.frames.close()


@contextmanager
def acquiring(
    session: Session, epoch: int = 0, t_first_frame_ns: int | None = None
) -> Iterator[tuple[LocalLink, Receiver]]:
    """`run_acquisition` in a thread of this process, and its receiver."""
    link = LocalLink("acquisition")
    process = threading.Thread(
        target=run_acquisition, args=(session, link, "a session", epoch, t_first_frame_ns)
    )
    process.start()
    try:
        receiver = Receiver(
            link.wait_announced("frames", WAIT_S),
            link.wait_announced("channel", WAIT_S),
            link.token,
        )
        try:
            yield link, receiver
        finally:
            receiver.close()
    finally:
        link.stop()
        process.join(WAIT_S)
        assert not process.is_alive()
