"""A cable between two computers that can be slow, break and be pulled out: python relay.py MAP...

Each MAP is PORT=HOST:PORT: a port of ours, and where it leads. Lines on stdin: `delay S`, `break`
(every connection is cut, what is under way is lost), `pull` (nothing passes, in silence), `plug`.
"""

import socket
import sys
import threading
import time
from contextlib import suppress

delay_s = 0.0
plugged = threading.Event()
plugged.set()
connections: set[socket.socket] = set()


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            time.sleep(delay_s)
            plugged.wait()
            target.sendall(data)
    for end in (source, target):
        connections.discard(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def serve(own: int, host: str, port: int) -> None:
    listener = socket.create_server(("0.0.0.0", own))
    while True:
        near, _ = listener.accept()
        plugged.wait()
        try:
            far = socket.create_connection((host, port))
        except OSError:
            near.close()
            continue
        connections.update((near, far))
        for ends in ((near, far), (far, near)):
            threading.Thread(target=carry, args=ends, daemon=True).start()


for entry in sys.argv[1:]:
    own, _, place = entry.partition("=")
    host, _, port = place.partition(":")
    threading.Thread(target=serve, args=(int(own), host, int(port)), daemon=True).start()
for line in sys.stdin:
    match line.split():
        case ["delay", seconds]:
            delay_s = float(seconds)
        case ["break"]:
            for end in list(connections):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        case ["pull"]:
            plugged.clear()
        case ["plug"]:
            plugged.set()
