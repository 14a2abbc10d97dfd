"""One session, disturbed once at a random moment, and what it lost."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import zmq
from running_session import ROOT, RunningSession, bci, sets
from support.hostile_messages import hostile
from support.machine_time import machine_time
from waiting import until

from bci.core.board_types import BoardEvent
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.folder import read_endpoints, read_token
from bci.recording.history import HistoryRequest
from bci.recording.reward_log import read_reward_log
from bci.recording.verify import VerdictKind, verify
from bci.stream.access import connect
from bci.stream.handshake import Credit, Request
from bci.stream.operator import OperatorNote, _Asked
from bci.stream.wires import Level, _Driven

PROCESSES = ("acquisition", "control", "stimulus", "board", "window", "supervisor", "chip")
RUNS_S = (0.5, 9.0)
"""A session is disturbed at a moment between these after its control has started."""
STOPPED_S = (0.2, 6.0)
SHUT_WITHIN_S = 0.5
LOST_AT_MOST_S = 0.1
FREE_BYTES = (2_000, 200_000)
AROUND_S = 0.5
"""What the machine takes so long before and behind a kill explains what was late."""

SESSION = f"""
subject = "demo"
rig = "{ROOT}/configs/rigs/simulated.toml"
experiment = "experiment.toml"
"""
# every trial is hit at once, and drops take long, so that kills meet an open valve
EXPERIMENT = """
name = "hits alone"
[decoder]
p_plus = ["roi0000", "roi0002", "roi0004", "roi0006"]
p_minus = ["roi0008", "roi0010", "roi0012", "roi0014"]
f0_window_s = 1.0
[threshold]
t = -0.9
lo = -1.0
[task]
trial_s = 0.5
grey_s = 0.2
reward_delay_s = 0.1
hit_s = 0.6
black_s = 0.1
session_s = 9.0
"""
OVERRIDES = (
    "rig.files_at_end=false",
    "rig.screen.backend=null",
    "rig.board.valve.ms_per_ul=80",
    "rig.board.valve.max_open_ms=500",
)


def written_to(folder: Path) -> Path:
    """A session file in this folder."""
    (folder / "experiment.toml").write_text(EXPERIMENT, "utf-8")
    session = folder / "session.toml"
    session.write_text(SESSION, "utf-8")
    return session


def open_after(edges: list[dict[str, int]], t_ns: int, *, no_more: bool) -> float:
    """How long after a moment the valve that was open then was shut, s; 0 if none was.

    With `no_more` every later opening counts as well: a session whose supervisor is gone goes on
    for up to 2 s, one whose control is gone does not.
    """
    opened_before = [e for e in edges if e["t_perf_ns"] <= t_ns]
    after = [e for e in edges if e["t_perf_ns"] > t_ns]
    if not no_more:
        after = after[:1] if opened_before and opened_before[-1]["level"] else []
    return max(((e["t_perf_ns"] - t_ns) / 1e9 for e in after), default=0.0)


@dataclass(frozen=True)
class Outcome:
    """What one disturbed session lost.

    Parameters
    ----------
    action, target
        What was done, and to what.
    after_s
        When, since control had started.
    exit_code
        Of `bci run`; -9 if it was killed itself.
    lost_s
        Journal that is missing before the moment of a kill of control, less a frame's period and
        what the machine took.
    drops, unrecorded
        Openings of the valve, and those of them in neither journal nor reward log.
    shut_s
        When the valve that was open then was shut, by the board's own log, s after what opened it
        was killed or stood still, less what the machine took.
    identical
        Result of `bci verify`; None if there was nothing to verify.
    faults
        What is not as promised; empty if all is well.
    last_line
        What `bci run` printed last.
    """

    action: str
    target: str
    after_s: float
    exit_code: int
    lost_s: float
    drops: int
    unrecorded: int
    shut_s: float
    identical: bool | None
    faults: tuple[str, ...]
    last_line: str


@dataclass(frozen=True)
class Trial:
    """A session that runs, and what is to be done to it.

    Parameters
    ----------
    session
        The session.
    target
        Process, socket or device.
    rng
        Chooses how.
    window
        A window that looks on; None if there is none.
    """

    session: RunningSession
    target: str
    rng: random.Random
    window: "subprocess.Popen[bytes] | None"

    def process(self) -> psutil.Process:
        """The target; raises `psutil.NoSuchProcess` if it has ended."""
        if self.target == "supervisor":
            return psutil.Process(self.session.process.pid)
        if self.target == "window":
            assert self.window is not None
            return psutil.Process(self.window.pid)
        if self.target == "chip":
            board = psutil.Process(self.session.pid_of("board"))
            return next((p for p in board.children() if "chip_bench" in p.name()), board)
        return psutil.Process(self.session.pid_of(self.target))


def kill(trial: Trial) -> None:
    """End a process where it stands."""
    # it may have ended by itself while files are written
    with suppress(psutil.NoSuchProcess):
        trial.process().kill()


def stop(trial: Trial) -> None:
    """Let a process stand still for a while."""
    with suppress(psutil.NoSuchProcess):
        process = trial.process()
        process.suspend()
        try:
            time.sleep(trial.rng.uniform(*STOPPED_S))
        finally:
            process.resume()


def hog(trial: Trial) -> None:
    """Keep every core busy, twice over, for a while."""
    n_hogs = 2 * (os.cpu_count() or 1)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_hogs)]
    try:
        time.sleep(trial.rng.uniform(*STOPPED_S))
    finally:
        for process in hogs:
            process.kill()
            process.wait()


def fill_disk(trial: Trial) -> None:
    """Let control's files grow by a little more, as on a disk that is nearly full."""
    journal = trial.session.folder / "journal.mcap"
    size = journal.stat().st_size + trial.rng.randint(*FREE_BYTES)
    with suppress(psutil.NoSuchProcess):
        trial.process().rlimit(psutil.RLIMIT_FSIZE, (size, size))


def send_garbage(trial: Trial) -> None:
    """Send hostile messages and random bytes to one socket, with the session's token and without.

    Nobody gets as far without it; with it each message reaches what decodes it.
    """
    rng = trial.rng
    endpoint = endpoints_of(trial.session)[trial.target]
    sent = [payload for valid in NEAR.get(trial.target, ()) for _, payload in hostile(valid)]
    if trial.target == "wires":
        driven = _Driven(read_token(trial.session.folder), Level("frame_ttl", 1, 1))
        sent += [payload for _, payload in hostile(driven)]
    sent += [rng.randbytes(rng.randint(0, 2000)) for _ in range(200)]
    host, _, port = endpoint.rpartition("://")[2].rpartition(":")
    if endpoint.startswith("udp://"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            for payload in sent:
                line.sendto(payload[:60_000], (host, int(port)))
        return
    # as one stream: a peer that speaks no ZeroMQ, or a second client of the board's line
    with suppress(OSError), socket.create_connection((host, int(port)), 5.0) as line:
        line.settimeout(1.0)
        line.sendall(b"".join(rng.sample(sent, 20)))
    if endpoint.startswith("socket://"):
        return
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    for access in (trial.session.access, None):
        for kind in (zmq.DEALER, zmq.PUSH, zmq.SUB, zmq.PUB):
            peer = context.socket(kind)
            peer.set(zmq.SNDTIMEO, 200)
            connect(peer, endpoint, access)
            # a socket that nobody lets in takes nothing: one wait is enough
            with suppress(zmq.Again, zmq.ZMQError):
                for payload in sent:
                    peer.send_multipart([payload] if rng.random() < 0.9 else [b"", payload, b""])
            peer.close(linger=500)
    context.term()


FLIP = FlipReport(1, FlipKind.SHOWN, 1, 2, 3, 0, True)
NEAR: dict[str, tuple[msgspec.Struct, ...]] = {
    "operator": (_Asked(b"garbage", 1, OperatorNote("garbage")),),
    "flips": (FLIP,),
    "commands": (FLIP,),
    "telemetry": (FLIP,),
    "frames": (FLIP,),
    "channel": (Request(1, Credit(1)),),
    "history": (HistoryRequest(1),),
}
"""Socket -> messages that are changed a little."""


@dataclass(frozen=True)
class Action:
    """One kind of disturbance.

    Parameters
    ----------
    disturb
        What is done to a running session.
    targets
        What it is done to.
    ends_session
        Whether the session may fail by it; else it must end in order.
    """

    disturb: Callable[[Trial], None]
    targets: tuple[str, ...]
    ends_session: tuple[str, ...] = ()


ACTIONS = {
    "kill": Action(kill, PROCESSES, ("control", "supervisor")),
    "stop": Action(stop, PROCESSES, ("control", "supervisor")),
    "hog": Action(hog, ("every core",)),
    "full disk": Action(fill_disk, ("control",), ("control",)),
    "garbage": Action(send_garbage, (*NEAR, "board", "wires")),
}


def disturbed(folder: Path, action: str, target: str, rng: random.Random) -> Outcome:
    """Run a session, disturb it once, and see what it lost.

    Parameters
    ----------
    folder
        Empty; the session's files go there.
    action, target
        Of `ACTIONS`.
    """
    after_s = rng.uniform(*RUNS_S)
    overrides = OVERRIDES if target != "chip" else (*OVERRIDES, "rig.board.kind=chip")
    with ExitStack() as stack:
        session = stack.enter_context(
            RunningSession("run", written_to(folder), *sets(overrides), out=folder / "sessions")
        )
        control = session.pid_of("control")
        until(lambda: "operator" in endpoints_of(session) or session.process.poll() is not None)
        window = stack.enter_context(window_on(session)) if target == "window" else None
        wait(session, after_s)
        with machine_time(control) as before:
            wait(session, AROUND_S)
            lost_to_machine_s = before.taken_s()
        shutting = [control, *with_children(session.pid_of("board"))]
        taken_s: list[float] = []
        with machine_time(*shutting) as behind:
            look = threading.Timer(AROUND_S, lambda: taken_s.append(behind.taken_s()))
            t_disturbed_ns = time.perf_counter_ns()
            look.start()
            ACTIONS[action].disturb(Trial(session, target, rng, window))
            look.join()
        code, output = session.end()
        until(lambda: not session.left_running())
        ended = Ended(
            action,
            target,
            after_s,
            t_disturbed_ns,
            code,
            output,
            lost_to_machine_s,
            taken_s[0],
        )
        return judged(session, ended)


@dataclass(frozen=True)
class Ended:
    """What was done to a session that is over, when, and how it ended.

    `before_s` and `behind_s` are what the machine took from control for `AROUND_S` before that
    moment, and from control and board for as long behind it.
    """

    action: str
    target: str
    after_s: float
    t_ns: int
    code: int
    output: str
    before_s: float
    behind_s: float


def judged(session: RunningSession, ended: Ended) -> Outcome:
    """What a session that is over has lost."""
    faults = []
    action, target, code = ended.action, ended.target, ended.code
    last = (ended.output.splitlines() or [""])[-1]
    killed_control = action == "kill" and target == "control"
    edges = session.valve_edges()
    gone = action in ("kill", "stop") and target in ("control", "supervisor")
    shut_s = 0.0
    if gone:
        shut_s = open_after(edges, ended.t_ns, no_more=killed_control) - ended.behind_s
    identical, lost_s, recorded = None, 0.0, set[int]()
    if (session.folder / "journal.mcap").exists():
        recovered = bci("recover", session.folder)
        if recovered.returncode:
            faults.append(f"bci recover: exit code {recovered.returncode}")
        record = session.record()
        recorded |= {timed.request_id for timed in record.board if isinstance(timed, BoardEvent)}
        if record.infos and len(record.frames):
            try:
                identical = verify(session.folder).kind is VerdictKind.IDENTICAL
            except (OSError, ValueError) as error:
                identical = False
                faults.append(f"bci verify: {type(error).__name__}: {error}")
            if killed_control and code == 1:
                last_ns = int(record.frames["t_received_ns"][-1])
                period_s = 1 / record.info.rate_hz
                lost_s = (ended.t_ns - last_ns) / 1e9 - period_s - ended.before_s
    recorded |= {line.request_id for line in read_reward_log(session.folder.parent / "rewards.csv")}
    opened = [edge["request_id"] for edge in edges if edge["level"]]
    unrecorded = sum(request_id not in recorded for request_id in opened)
    # on a busy computer a process may not have begun yet: the session says so and ends
    not_begun = f"{target} did not start" in last or (target == "chip" and "board did not" in last)
    allowed = {0, 1} if target in ACTIONS[action].ends_session or not_begun else {0}
    if action == "kill" and target == "supervisor":
        allowed.add(-signal.SIGKILL)
    promises = {
        f"exit code {code}": code in allowed,
        "a traceback was printed": "Traceback" not in ended.output,
        f"{lost_s:.3f} s of journal lost": lost_s <= LOST_AT_MOST_S,
        f"{unrecorded} drops without a record": unrecorded == 0,
        f"valve shut after {shut_s:.3f} s": shut_s < SHUT_WITHIN_S,
        "valve left open": target in ("board", "chip") or not edges or edges[-1]["level"] == 0,
        "verify: not identical": identical is not False,
    }
    faults += [fault for fault, is_kept in promises.items() if not is_kept]
    return Outcome(
        action,
        target,
        round(ended.after_s, 3),
        code,
        round(max(lost_s, 0.0), 4),
        len(opened),
        unrecorded,
        round(max(shut_s, 0.0), 4),
        identical,
        tuple(faults),
        last[:200],
    )


def wait(session: RunningSession, seconds: float) -> None:
    """Let a session run; its processes are noted meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and session.process.poll() is None:
        session.family()
        time.sleep(0.02)


def with_children(pid: int) -> list[int]:
    """A process and what it started; nothing if it has ended."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children())]
    except psutil.NoSuchProcess:
        return []


def endpoints_of(session: RunningSession) -> dict[str, str]:
    """Where its processes listen; nothing yet is an answer, too."""
    try:
        return read_endpoints(session.folder)
    except FileNotFoundError:
        return {}


@contextmanager
def window_on(session: RunningSession) -> "Iterator[subprocess.Popen[bytes]]":
    """Open a window on a session; it is ended with the block, whatever was done to it."""
    window = subprocess.Popen(
        [sys.executable, "-m", "bci.cli", "attach", str(session.folder)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    try:
        yield window
    finally:
        window.kill()
        window.wait()
