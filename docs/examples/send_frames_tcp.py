"""Send ROI frames to the plain-TCP door: python send_frames_tcp.py tcp://127.0.0.1:PORT [N]."""

import math
import socket
import struct
import sys
import time

N_ROIS, RATE_HZ = 40, 30.0
host, port = sys.argv[1].removeprefix("tcp://").split(":")
n_frames = int(sys.argv[2]) if len(sys.argv) > 2 else 300
connection = socket.create_connection((host, int(port)))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
start_ns = time.perf_counter_ns()
for frame_id in range(n_frames):
    time.sleep(max(0.0, frame_id / RATE_HZ - (time.perf_counter_ns() - start_ns) / 1e9))
    values = [500.0 + 50.0 * math.sin(frame_id / 10.0 + roi) for roi in range(N_ROIS)]
    t_scope_ns = round(frame_id / RATE_HZ * 1e9)
    # magic, version, flags, session (0: not told), epoch, plane, -, frame id, ROIs, -, times, order
    times = (t_scope_ns, time.perf_counter_ns(), 0)
    header = struct.pack("<4sHHQIHHQIIqqQ", b"BCIF", 1, 0, 0, 0, 0, 0, frame_id, N_ROIS, 0, *times)
    message = header + struct.pack(f"<{N_ROIS}f", *values)
    try:
        connection.sendall(struct.pack("<I", len(message)) + message)
    except ConnectionError:
        sys.exit("the session is over, or takes frames from another sender")
connection.close()
