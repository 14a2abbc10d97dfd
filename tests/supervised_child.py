"""A child of the supervision tests: python supervised_child.py ENDPOINT NAME [hang | unhurried].

An unhurried one is never ended where it stands, so that it ends by itself or not at all.
"""

import sys
import time

from bci.stream.supervision import SupervisorLink

endpoint, name, *how = sys.argv[1:]
link = SupervisorLink(endpoint, name, **({"exit_after_s": 60.0} if "unhurried" in how else {}))
link.announce({f"{name}_data": "tcp://127.0.0.1:1"})
link.report("ready", "now")
if "hang" in how:
    time.sleep(1000)
peers: dict[str, str] = {}
while not link.stop_requested():
    link.turn()
    link.wait(0.05)
    if link.peers() != peers:
        peers = link.peers()
        link.report("peers", ",".join(sorted(peers)))
link.report("ended")
link.close()
