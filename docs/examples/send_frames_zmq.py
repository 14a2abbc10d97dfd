"""Send ROI frames to the ZeroMQ door: python send_frames_zmq.py tcp://127.0.0.1:PORT [N]."""

import math
import struct
import sys
import time

import zmq

N_ROIS, RATE_HZ = 40, 30.0
endpoint, n_frames = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300
socket = zmq.Context.instance().socket(zmq.PUSH)
socket.connect(endpoint)
start_ns = time.perf_counter_ns()
for frame_id in range(n_frames):
    time.sleep(max(0.0, frame_id / RATE_HZ - (time.perf_counter_ns() - start_ns) / 1e9))
    values = [500.0 + 50.0 * math.sin(frame_id / 10.0 + roi) for roi in range(N_ROIS)]
    t_scope_ns = round(frame_id / RATE_HZ * 1e9)
    # magic, version, flags, session (0: not told), epoch, plane, -, frame id, ROIs, -, times, order
    times = (t_scope_ns, time.perf_counter_ns(), 0)
    header = struct.pack("<4sHHQIHHQIIqqQ", b"BCIF", 1, 0, 0, 0, 0, 0, frame_id, N_ROIS, 0, *times)
    socket.send_multipart([b"frame", header, struct.pack(f"<{N_ROIS}f", *values)])
socket.close(linger=1000)  # or it would wait for ever for a session that is over
zmq.Context.instance().term()
