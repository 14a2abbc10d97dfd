"""Access to a running session, and what keeps its settings from being safe on a network."""

from pathlib import Path

from bci.config.fault import Fault
from bci.config.network import host_of, is_loopback, network_faults
from bci.config.session import Session
from bci.recording.folder import read_endpoints, read_token
from bci.recording.manifest import read_manifest
from bci.stream.access import Access
from bci.stream.keys import KeysError, read_keys


def access_to(folder: Path) -> Access:
    """What a window or a terminal shows to the session that runs in a folder.

    Raises
    ------
    OSError, ValueError, KeyError
        If no session runs or ran there, or the keys it needs cannot be read.
    """
    token = read_token(folder)
    if all(is_loopback(host_of(endpoint)) for endpoint in read_endpoints(folder).values()):
        return Access(token)
    return Access.of_session(token, read_manifest(folder).session_settings().rig.stream.keys)


def access_faults(session: Session) -> list[Fault]:
    """What would let strangers in, or keep our own processes out."""
    keys = session.rig.stream.keys
    faults = network_faults(session.rig)
    if keys is not None:
        try:
            read_keys(keys)
        except KeysError as error:
            todo = "make it with `bci keygen`, or remove rig.stream.keys on a single computer"
            faults.append(Fault("rig.stream.keys", str(keys), str(error), todo))
    return faults
