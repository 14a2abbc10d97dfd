"""Rules about what other computers can reach, and who may connect."""

from ipaddress import ip_address

from bci.config.fault import Fault
from bci.config.rig import DoorSource, Rig

_TWO_COMPUTERS = "docs/how-to/several-hosts.md"


def is_loopback(host: str) -> bool:
    """True if only this computer can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str:
    """The host of `socket://host:port` or `tcp://host:port`; empty if it names none."""
    _, found, rest = url.partition("://")
    return rest.partition("/")[0].rpartition(":")[0].strip("[]") if found else ""


def believed_without_keys(rig: Rig) -> list[str]:
    """What other computers take part in without token or keys, in words; empty: nothing."""
    told = []
    source, port = rig.source, rig.board.port or ""
    if isinstance(source, DoorSource) and not is_loopback(source.host):
        told.append(f"frames come in at {source.host} from {', '.join(rig.insecure_peers)}")
    if port.startswith("socket://") and not is_loopback(host_of(port)):
        told.append(f"the board is at {port}")
    return told


def network_faults(rig: Rig) -> list[Fault]:
    """Every rule about the network that the rig breaks.

    They are no rules of `faults_of`: a session that was recorded without them stays readable.
    """
    return [*_peers(rig), *_stream(rig), *_door(rig), *_board(rig)]


def _peers(rig: Rig) -> list[Fault]:
    wrong = [peer for peer in rig.insecure_peers if not _names_one_computer(peer)]
    if not wrong:
        return []
    allowed = "addresses of single computers, such as 10.0.0.5 or fd00::5"
    return [Fault("rig.insecure_peers", wrong, allowed, "write the address, not the name")]


def _names_one_computer(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast)


def _stream(rig: Rig) -> list[Fault]:
    faults = []
    for key, host in (
        ("rig.stream.host", rig.stream.host),
        ("rig.stream.operator_host", rig.stream.operator_host),
    ):
        if is_loopback(host):
            continue
        if not rig.stream.exposed:
            faults.append(_unasked(key, host, "rig.stream.exposed"))
        if rig.stream.keys is None:
            faults.append(
                Fault(
                    key,
                    host,
                    "needs rig.stream.keys, because other computers can reach it",
                    f"make a key file with `bci keygen` and name it ({_TWO_COMPUTERS}), or set "
                    f'{key} = "127.0.0.1"',
                    ("rig.stream.keys",),
                )
            )
    return faults


def _door(rig: Rig) -> list[Fault]:
    source = rig.source
    if not isinstance(source, DoorSource) or is_loopback(source.host):
        return []
    faults = []
    if not source.exposed:
        faults.append(_unasked("rig.source.host", source.host, "rig.source.exposed"))
    if not rig.insecure_peers:
        faults.append(
            Fault(
                "rig.source.host",
                source.host,
                "needs rig.insecure_peers, because other computers can reach it",
                "list the address of the computer that sends frames, insecure_peers = "
                '["10.0.0.5"], or set rig.source.host = "127.0.0.1"',
                ("rig.insecure_peers",),
            )
        )
    return faults


def _unasked(key: str, host: str, exposed: str) -> Fault:
    return Fault(
        key,
        host,
        "can be reached from other computers",
        f'set {key} = "127.0.0.1", or {exposed} = true if that is meant',
        (exposed,),
    )


def _board(rig: Rig) -> list[Fault]:
    port = rig.board.port or ""
    host = host_of(port)
    if not port.startswith("socket://") or is_loopback(host) or host in rig.insecure_peers:
        return []
    return [
        Fault(
            "rig.board.port",
            port,
            "must be at an address of rig.insecure_peers: what goes there is not encrypted",
            f'list the address of that computer, insecure_peers = ["{host}"]',
            ("rig.insecure_peers",),
        )
    ]
