"""Control's line to the board in a process that a test kills: drop after drop for the operator.

One process imports everything and forks a control for each line that it reads.
"""

import os
import signal
import sys
import time
from pathlib import Path

from bci.config import settings_hash, validate_session
from bci.config.session import Session
from bci.core.board_types import RewardRequest
from bci.recording.journal import Journal
from bci.recording.records import JournalStart, Topic
from bci.session.board_line import BoardLine

DROP_UL = 2.0
LIVES_S = 600.0
"""Each is killed long before; on its own it ends by then."""
SUBJECT = "m1"


def session_at(port: str, ms_per_ul: float) -> Session:
    """A session whose board is at a port."""
    data = {
        "subject": SUBJECT,
        "rig": {
            "name": "r",
            "source": {"kind": "simulated", "n_rois": 4, "rate_hz": 10.0},
            "board": {
                "kind": "serial",
                "port": port,
                "valve": {"ms_per_ul": ms_per_ul, "max_duty": 1.0},
            },
        },
        "experiment": {
            "name": "e",
            "decoder": {"p_plus": ["a"], "p_minus": ["b"], "f0_window_s": 1.0},
            "threshold": {"t": 0.3, "lo": -0.3},
        },
    }
    session, faults = validate_session(data)
    assert session is not None, faults
    return session


def begun(session: Session, folder: Path, name: str) -> tuple[Journal, BoardLine]:
    """Journal and board of a session, as control opens them."""
    folder.mkdir(parents=True)
    start = JournalStart(name, settings_hash(session), time.time_ns(), time.perf_counter_ns())
    journal = Journal(folder / "journal.mcap", start)
    line = BoardLine(session, name, folder, journal)
    line.open(dict, "")
    return journal, line


def give_drops(folder: Path, port: str, ms_per_ul: float, first_id: int) -> None:
    """One drop after the other, until killed."""
    journal, line = begun(session_at(port, ms_per_ul), folder, folder.name)
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    number, t_end = first_id, time.monotonic() + LIVES_S
    while time.monotonic() < t_end:
        if not line.board.pending():
            request = RewardRequest(number, DROP_UL, 0, "operator")
            line.budget.ask(request)
            line.board.reward(request)
            number += 1
        line.turn(time.perf_counter_ns())
        for event in line.hear():
            journal.append(Topic.BOARD, event, t_perf_ns=event.t_host_ns)
        time.sleep(0.002)


def main() -> None:
    # whoever was killed is gone at once
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for asked in sys.stdin:
        folder, port, ms_per_ul, first_id = asked.split()
        if os.fork() == 0:
            give_drops(Path(folder), port, float(ms_per_ul), int(first_id))
            os._exit(1)


if __name__ == "__main__":
    main()
