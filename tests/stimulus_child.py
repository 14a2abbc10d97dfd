"""A stimulus process for tests: peers come in on stdin, reports go out on stdout.

    python stimulus_child.py SESSION_JSON

A line on stdin is the JSON of the peers; its end asks for a stop.
"""

import json
import logging
import os
import sys
import threading

from bci.config import validate_session
from bci.stimuli.backend import ScreenError
from bci.stimuli.process import run_stimulus


class StdioLink:
    name = "stimulus"
    token = os.environ["BCI_TOKEN"]

    def __init__(self) -> None:
        self._peers: dict[str, str] = {}
        self._stop = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def turn(self) -> None:
        pass

    def announce(self, endpoints: dict[str, str]) -> None:
        self.report("announce", json.dumps(endpoints))

    def peers(self) -> dict[str, str]:
        return self._peers

    def stop_requested(self) -> bool:
        return self._stop.is_set()

    def wait(self, timeout_s: float) -> None:
        self._stop.wait(timeout_s)

    def report(self, kind: str, detail: str = "") -> None:
        print(json.dumps({"kind": kind, "detail": detail}), flush=True)  # noqa: T201

    def _listen(self) -> None:
        for line in sys.stdin:
            self._peers = json.loads(line)
        self._stop.set()


def main() -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    session, faults = validate_session(json.loads(sys.argv[1]))
    if session is None or faults:
        sys.exit("\n".join(str(fault) for fault in faults))
    try:
        run_stimulus(session, StdioLink())
    except ScreenError:
        return 1
    return 0


if __name__ == "__main__":
    os.environ.pop("PYTHONWARNINGS", None)
    sys.exit(main())
