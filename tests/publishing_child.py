"""Prints where it publishes, then sends large frames until killed: publishing_child.py EPOCH."""

import sys

import numpy as np

from bci.core.stream_types import Roi, RoiFrame, StreamInfo
from bci.stream.handshake import HandshakeServer
from bci.stream.publisher import FramePublisher

epoch = int(sys.argv[1])
info = StreamInfo("s", epoch, "test", 30.0, 1, (0, 0), 1, 0.0, None, (Roi(0, "roi0000", 0),))
publisher = FramePublisher(queue_frames=50)
server = HandshakeServer(info, publisher)
print(publisher.endpoint, server.endpoint, flush=True)  # noqa: T201
while not server.started:
    server.poll(1.0)
values = np.zeros(200_000, np.float32)
frame_id = 0
while True:
    publisher.publish(RoiFrame(0, 0, epoch, frame_id, 0, 0, 0, values))
    frame_id += 1
