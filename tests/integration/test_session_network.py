"""Two computers, as network namespaces with a bad cable between them, and a stranger on it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import valve
from running_session import ROOT
from test_session_hosts import EXPERIMENT, Alone
from waiting import WAIT_S, until

from bci.core.loop_types import LedgerKind
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, verify
from bci.stream.keys import make_keys

SCOPE, CONTROL = "10.77.9.1", "10.77.9.2"
FRAMES, CHANNEL, COMMANDS, FLIPS = 5501, 5502, 5503, 5504
RELAYED = {FRAMES: 6501, CHANNEL: 6502}
SESSION = f"""
subject = "demo"
rig = "{ROOT}/configs/rigs/simulated.toml"
experiment = "experiment.toml"
"""
STRANGER = """
import sys, time, zmq
from pathlib import Path
from bci.stream.access import Access, new_token
from bci.stream.keys import Keys, read_keys
ours = read_keys(Path("lab-keys"))
for access in (Access(new_token(), ours), Access(Path("session.token").read_text(),
                                                 Keys(*zmq.curve_keypair())), None):
    for port, kind in ((5501, zmq.SUB), (5502, zmq.DEALER), (5503, zmq.SUB), (5504, zmq.PUSH)):
        line = zmq.Context.instance().socket(kind)
        line.set(zmq.LINGER, 0)
        seen = line.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        host = "10.77.9.1" if port in (5501, 5502) else "10.77.9.2"
        if access is None:
            line.connect(f"tcp://{host}:{port}")
        else:
            access.connect(line, f"tcp://{host}:{port}")
        event = zmq.utils.monitor.recv_monitor_message(seen)["event"]
        print("refused" if event == zmq.EVENT_DISCONNECTED else "LET IN", flush=True)
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def computers() -> Iterator[tuple[str, str]]:
    """Two network namespaces joined by a cable: the microscope's computer, and control's."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None:
        pytest.skip("network namespaces need the program `ip`")
    names = (f"bci-a-{os.getpid()}", f"bci-b-{os.getpid()}")
    with ExitStack() as made:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
            made.callback(ip, "netns", "delete", name)
        ip(
            "link",
            "add",
            "cable",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "cable",
            "netns",
            names[1],
        )
        for name, address in zip(names, (SCOPE, CONTROL), strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        yield names


class Relay:
    """The cable, from control's end."""

    def __init__(self, namespace: str) -> None:
        self.process = subprocess.Popen(
            [
                *("ip", "netns", "exec", namespace, sys.executable, ROOT / "tests" / "relay.py"),
                *(f"{own}={SCOPE}:{port}" for port, own in RELAYED.items()),
            ],
            stdin=subprocess.PIPE,
            text=True,
        )

    def do(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(WAIT_S)


@pytest.mark.long
def test_session_on_two_computers_outlasts_a_bad_cable_and_lets_no_stranger_in(
    computers: tuple[str, str], tmp_path: Path
) -> None:
    scope, control_host = computers
    (tmp_path / "experiment.toml").write_text(
        EXPERIMENT.replace("stall_s = 60.0", "stall_s = 1.0"), "utf-8"
    )
    (tmp_path / "session.toml").write_text(SESSION, "utf-8")
    make_keys(tmp_path / "lab-keys")
    folder = tmp_path / "recorded"
    keys = f"--set=rig.stream.keys={tmp_path / 'lab-keys'}"

    def record() -> SessionRecord:
        return SessionRecord.read(folder)

    def noted(kind: LedgerKind) -> int:
        return sum(entry.value.kind is kind for entry in record().ledger)

    with ExitStack() as processes:

        def alone(namespace: str, address: str, verb: str, *arguments: str) -> Alone:
            one = Alone(
                tmp_path,
                verb,
                *arguments,
                "--set=rig.screen.backend=null",
                "--token-file=session.token",
                *(keys, "--set=rig.stream.exposed=true", f"--set=rig.stream.host={address}"),
                within=("ip", "netns", "exec", namespace),
            )
            processes.callback(one.end)
            return one

        relay = Relay(control_host)
        processes.callback(relay.end)
        acquisition = alone(
            scope,
            SCOPE,
            "acquire",
            f"--set=rig.stream.frames_port={FRAMES}",
            f"--set=rig.stream.channel_port={CHANNEL}",
        )
        board = alone(control_host, CONTROL, "board")
        acquisition.peer("channel")
        control = alone(
            control_host,
            CONTROL,
            "control",
            "--folder=recorded",
            f"--set=rig.stream.commands_port={COMMANDS}",
            f"--set=rig.stream.flips_port={FLIPS}",
            f"--peer=frames=tcp://{CONTROL}:{RELAYED[FRAMES]}",
            f"--peer=channel=tcp://{CONTROL}:{RELAYED[CHANNEL]}",
            board.peer("board"),
        )
        screen = alone(
            control_host, CONTROL, "stimulus", control.peer("commands"), control.peer("flips")
        )
        assert "operator at tcp://127.0.0.1:" in control.said(), "it stays on its computer"

        def trials() -> int:
            assert control.process.poll() is None, control.said()
            return len(record().trials) if (folder / "journal.mcap").exists() else 0

        until(lambda: trials() > 0, every_s=0.3)
        stranger = subprocess.run(
            ["ip", "netns", "exec", scope, sys.executable, "-c", STRANGER],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert stranger.stdout.split() == ["refused"] * 12, stranger.stdout + stranger.stderr

        relay.do("delay 0.05")
        seen = trials()
        until(lambda: trials() > seen, every_s=0.3)
        relay.do("delay 0")
        relay.do("break")
        until(lambda: noted(LedgerKind.GAP) > 0, every_s=0.3)
        relay.do("pull")
        until(lambda: noted(LedgerKind.STALL) > 0, every_s=0.3)
        opened = valve.openings(tmp_path)
        seen = trials()
        relay.do("plug")
        until(lambda: trials() > seen + 1, every_s=0.3)
        assert valve.openings(tmp_path) >= opened
        for one in (control, screen, acquisition, board):
            one.interrupt()
    assert "refused" in acquisition.said()
    assert valve.longest_open_s(tmp_path) < 1.0
    token = (tmp_path / "session.token").read_text()
    for file in (*folder.iterdir(), *tmp_path.glob("*.log")):
        assert token.encode() not in file.read_bytes(), file
    assert verify(folder).kind is VerdictKind.IDENTICAL
