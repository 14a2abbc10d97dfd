"""Which board a settings file means: the one place where kinds are listed."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from serial.tools import list_ports

from bci.config.fault import Fault
from bci.config.rig import ON_A_PORT
from bci.config.rig import Board as BoardSettings
from bci.core.process import ProcessLink
from bci.hardware.board import ports
from bci.hardware.board.arduino import ArduinoDialect
from bci.hardware.board.bpod import BpodDialect
from bci.hardware.board.chip import chip_faults, run_chip_board
from bci.hardware.board.dialect import Dialect
from bci.hardware.board.drop_log import DropLog
from bci.hardware.board.harp import HarpDialect
from bci.hardware.board.interface import Board, BoardError
from bci.hardware.board.link import SerialLink
from bci.hardware.board.simulated import run_simulated_board

_LOG = logging.getLogger("bci.board")
Wake = Callable[[], None] | None
Peers = Callable[[], Mapping[str, str]]
_ANNOUNCED_S = 30.0
"""A chip may have to be compiled first."""


def open_board(
    settings: BoardSettings,
    peers: Peers,
    wake: Wake = None,
    timeout_s: float = 5.0,
    token: str = "",
    log: DropLog | None = None,
) -> Board:
    """The board of the settings, open and greeted.

    Parameters
    ----------
    settings
        Of the board.
    peers
        Endpoints announced by the other processes (`ProcessLink.peers`); that of a board
        that is a process of ours stands at `board`.
    wake
        Called from another thread after board events came; must return at once.
    timeout_s
        How long the board may take to answer.
    token
        Of the session, which a board that is a process of ours asks for.
    log
        Takes every reward before it is sent; None: rewards go on no record, for trials of a board.

    Raises
    ------
    BoardError
        Where there is none, or it does not answer; says what to do.
    """
    faults = port_faults(settings)
    if faults:
        raise BoardError("\n".join(map(str, faults)))
    board = KINDS[settings.kind](settings, peers, wake, token, log)
    board.open(timeout_s)
    return board


def port_faults(settings: BoardSettings) -> list[Fault]:
    """What keeps the board of these settings from being opened, before anything is started."""
    if settings.kind == "chip":
        return chip_faults(settings)
    if settings.kind == "serial" and ports.is_auto(settings):
        return [] if ports.candidates() else [_no_port(settings)]
    port = settings.port
    # a URL names a host, not a device: only opening it tells
    if settings.kind not in ON_A_PORT or port is None or "://" in port or _exists(port):
        return []
    found = ", ".join(ports_found()) or "none"
    return [
        Fault(
            "rig.board.port",
            port,
            f"no such device. Found: {found}",
            'set rig.board.port, or rig.board.kind = "simulated"',
        )
    ]


def _no_port(settings: BoardSettings) -> Fault:
    return Fault(
        "rig.board.port",
        settings.port,
        "no serial port on USB that a board could be at",
        'plug it in, set rig.board.port, or set rig.board.kind = "simulated"',
    )


def ports_found() -> list[str]:
    """Serial ports that the system knows, by name."""
    return sorted(port.device for port in list_ports.comports())


def _exists(port: str) -> bool:
    return Path(port).exists() or port.upper() in {found.upper() for found in ports_found()}


def _serial(
    settings: BoardSettings, _peers: Peers, wake: Wake, _token: str, drops: DropLog | None
) -> Board:
    dialect = DIALECTS[settings.kind](settings) if settings.kind in DIALECTS else None
    if dialect is not None:
        _LOG.warning("a %s board lacks: %s", settings.kind, "; ".join(dialect.LACKS))
    return SerialLink(settings, settings.port or ports.AUTO, wake, dialect, log=drops)


def _own_process(
    settings: BoardSettings, peers: Peers, wake: Wake, token: str, drops: DropLog | None
) -> Board:
    t_end = time.monotonic() + _ANNOUNCED_S
    while "board" not in peers():
        if time.monotonic() > t_end:
            raise BoardError(
                f"the board's process announced no endpoint within {_ANNOUNCED_S:g} s: "
                "see the log of the process `board`"
            )
        time.sleep(0.01)
    return SerialLink(settings, peers()["board"], wake, token=token, log=drops)


DIALECTS: dict[str, Callable[[BoardSettings], Dialect]] = {
    "harp": lambda settings: HarpDialect(settings.harp),
    "bpod": lambda settings: BpodDialect(settings.bpod),
    "arduino": lambda settings: ArduinoDialect(settings.arduino),
}
"""Boards that do not speak this program's own protocol: the words of each."""

KINDS: dict[str, Callable[[BoardSettings, Peers, Wake, str, DropLog | None], Board]] = {
    **dict.fromkeys(ON_A_PORT, _serial),
    "chip": _own_process,
    "simulated": _own_process,
}

PROCESSES: dict[str, Callable[[BoardSettings, ProcessLink, Path, int], None]] = {
    "chip": run_chip_board,
    "simulated": run_simulated_board,
}
"""Kinds of board that are a process of ours: what it runs."""
