"""Files that only their owner may read, and what a rig on a network must name."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import zmq
from running_session import DEMO
from support.command_line import run_here

from bci.cli.options import WrongInput
from bci.cli.processes import _token
from bci.config.load import Override, dump_session, load_session
from bci.config.network import network_faults
from bci.config.rig import Rig
from bci.recording.folder import ENDPOINTS, read_endpoints, read_token, write_endpoints
from bci.session.access import access_faults, access_to
from bci.session.check import Status
from bci.session.preflight import quick_checks
from bci.stream.access import Access, new_token
from bci.stream.keys import KeysError, make_keys, read_keys

pytestmark = pytest.mark.slow

POSIX = pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX here")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def careless_umask() -> Any:
    before = os.umask(0)
    yield
    os.umask(before)


@POSIX
def test_endpoints_with_the_token_are_never_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, careless_umask: None
) -> None:
    seen: list[int] = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        seen.extend(mode(path) for path in tmp_path.iterdir())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    # left behind by a process that was killed, and readable by all
    left = tmp_path / f".{ENDPOINTS}.{os.getpid()}"
    left.write_text("{}")
    for port in (1, 2):
        write_endpoints(tmp_path, {"operator": f"tcp://127.0.0.1:{port}"}, "secret")
    assert set(seen) == {0o600}
    assert read_endpoints(tmp_path) == {"operator": "tcp://127.0.0.1:2"}
    assert read_token(tmp_path) == "secret"
    assert access_to(tmp_path).token == "secret"


@POSIX
def test_keys_are_read_back_and_only_from_a_file_of_ones_own(
    tmp_path: Path, careless_umask: None
) -> None:
    path = tmp_path / "lab.keys"
    made = make_keys(path)
    assert mode(path) == 0o600
    assert read_keys(path) == made
    assert zmq.curve_public(made.secret) == made.public
    assert made.secret.decode() not in repr(made)
    with pytest.raises(FileExistsError):
        make_keys(path)
    path.chmod(0o640)
    with pytest.raises(KeysError, match="640"):
        read_keys(path)


@pytest.mark.parametrize(
    "content", [b"", b"public-key = x\nsecret-key = y\n", b"\xff\xfe", b"a" * 20_000]
)
def test_file_without_keys_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lab.keys"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeysError):
        read_keys(path)
    with pytest.raises(KeysError):
        read_keys(tmp_path / "missing")


def test_who_connects_must_have_keys_and_token(tmp_path: Path) -> None:
    ours, theirs = make_keys(tmp_path / "a"), make_keys(tmp_path / "b")
    token = new_token()
    server = Access(token, ours)

    def shown(access: Access) -> bool:
        return server.admits(b"CURVE", [zmq.utils.z85.decode(access._client_public)])

    assert shown(Access(token, ours))
    assert not shown(Access(new_token(), ours))
    assert not shown(Access(token, theirs))
    assert not server.admits(b"CURVE", [zmq.utils.z85.decode(ours.public)])
    assert not server.admits(b"NULL", [])
    assert server.admits(b"PLAIN", [b"bci", token.encode()])
    assert not server.admits(b"PLAIN", [token.encode(), b""])


def rig(**changed: Any) -> Rig:
    door = {"kind": "tcp", "n_rois": 2, "rate_hz": 30.0}
    data: dict[str, Any] = {"name": "r", "source": door, "board": {"kind": "simulated"}}
    return Rig.model_validate(data | changed)


OUTSIDE = {"kind": "tcp", "n_rois": 2, "rate_hz": 30.0, "host": "10.0.0.1", "exposed": True}
KEYS = {"keys": Path("lab.keys")}


@pytest.mark.parametrize(
    ("changed", "keys"),
    [
        ({}, set()),
        ({"stream": {"host": "10.0.0.1", "exposed": True}}, {"rig.stream.host"}),
        ({"stream": {"host": "10.0.0.1", **KEYS}}, {"rig.stream.host"}),
        ({"stream": {"host": "10.0.0.1", "exposed": True, **KEYS}}, set()),
        ({"stream": {"host": "0.0.0.0", "exposed": True}}, {"rig.stream.host"}),
        ({"stream": {"operator_host": "::", "exposed": True}}, {"rig.stream.operator_host"}),
        ({"stream": {"host": "::1"}}, set()),
        ({"source": OUTSIDE}, {"rig.source.host"}),
        ({"source": OUTSIDE, "insecure_peers": ["10.0.0.5"]}, set()),
        (
            {"source": OUTSIDE | {"exposed": False}, "insecure_peers": ["fd00::5"]},
            {"rig.source.host"},
        ),
        ({"insecure_peers": ["scope.lab", "0.0.0.0", "10.0.0.0/8"]}, {"rig.insecure_peers"}),
        ({"board": {"kind": "serial", "port": "socket://10.0.0.7:5505"}}, {"rig.board.port"}),
        ({"board": {"kind": "serial", "port": "socket://127.0.0.1:5505"}}, set()),
        ({"board": {"kind": "serial", "port": "/dev/ttyACM0"}}, set()),
        (
            {
                "board": {"kind": "serial", "port": "socket://10.0.0.7:5505"},
                "insecure_peers": ["10.0.0.7"],
            },
            set(),
        ),
    ],
)
def test_rig_on_a_network_must_name_keys_or_peers(changed: dict[str, Any], keys: set[str]) -> None:
    assert {fault.key for fault in network_faults(rig(**changed))} == keys


def test_board_without_keys_is_a_red_line_of_the_pre_flight_and_in_the_manifest() -> None:
    board = (
        Override("rig.board.kind", "serial"),
        Override("rig.board.port", "socket://10.0.0.7:1"),
    )
    listed = Override("rig.insecure_peers", ["10.0.0.7"])
    alone, insecure = (load_session(DEMO, overrides) for overrides in ((), (*board, listed)))
    status = {check.name: check.status for check in quick_checks(alone, Path())}
    assert status["network"] is Status.OK
    status = {check.name: check.status for check in quick_checks(insecure, Path())}
    assert status["network"] is Status.FAIL
    assert dump_session(insecure)["rig"]["insecure_peers"] == ["10.0.0.7"]
    assert not access_faults(insecure)
    assert [fault.key for fault in access_faults(load_session(DEMO, board))] == ["rig.board.port"]


@POSIX
def test_token_file_is_made_once_and_shared(tmp_path: Path, careless_umask: None) -> None:
    path = tmp_path / "session.token"
    first = _token(path)
    assert mode(path) == 0o600
    assert _token(path) == first
    assert len(first) > 40
    path.chmod(0o644)
    with pytest.raises(WrongInput):
        _token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(WrongInput):
        _token(path)
    with pytest.raises(WrongInput):
        _token(None)


def test_keygen_makes_a_file_once_and_exposed_settings_need_it(tmp_path: Path) -> None:
    path = tmp_path / "lab.keys"
    assert run_here("keygen", path).code == 0
    made = read_keys(path)
    again = run_here("keygen", path)
    assert (again.code, read_keys(path)) == (2, made)
    exposed = ("--set", "rig.stream.host=0.0.0.0", "--set", "rig.stream.exposed=true")
    without = run_here("check", DEMO, *exposed)
    assert without.code == 2
    assert "rig.stream.keys" in without.err + without.out
    assert run_here("check", DEMO, *exposed, "--set", f"rig.stream.keys={path}").code == 0
