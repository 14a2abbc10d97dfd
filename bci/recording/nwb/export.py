"""From a session's folder to session.nwb."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pynwb import NWBHDF5IO

from bci.recording.folder import JOURNAL, NWB, sync_folder
from bci.recording.happenings import happenings
from bci.recording.nwb.behavior import add_behavior
from bci.recording.nwb.header import new_file
from bci.recording.nwb.ophys import add_ophys
from bci.recording.nwb.readout import add_readout
from bci.recording.nwb.scratch import add_scratch
from bci.recording.nwb.tables import add_blocks, add_events, add_trials
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import step_again
from bci.recording.time_axis import TimeAxis

OWN_BYTES = 20_000_000
"""What the file may take beside what the journal holds: its schema, unfilled chunks."""


def export_nwb(folder: Path, tell: Callable[[str, float], None] = lambda *_: None) -> Path:
    """Write a session as NWB; an earlier file is replaced once the new one is whole.

    Fluorescence goes from the journal to the file in blocks, so memory does not grow with the
    number of ROIs times frames.

    Parameters
    ----------
    folder
        Folder of a session that is over.
    tell
        Called now and then with what is done and how far it is, 0–1.

    Returns
    -------
    Path
        `folder/session.nwb`.

    Raises
    ------
    bci.recording.manifest.NoManifest
        Where manifest.json is missing or unreadable.
    FileNotFoundError
        Where there is no journal.
    bci.recording.session_record.DamagedJournal
        Where the journal is damaged, or the session ended before its stream began.
    OSError
        Where there is not enough room on the disk.
    RuntimeError
        Where the session holds what NWB does not take.
    """
    record = SessionRecord.read(folder, partial(tell, "reading the journal"))
    _require_room(folder)
    axis = TimeAxis(record)
    stepped = step_again(record, partial(tell, "computing every decision"))
    file = new_file(record, axis)
    add_ophys(file, record, axis, stepped, partial(tell, "writing fluorescence"))
    add_readout(file, record, axis, stepped)
    add_trials(file, record, axis)
    add_blocks(file, record, axis)
    add_events(file, happenings(record, axis), axis)
    add_behavior(file, record, axis)
    add_scratch(file, record, axis, stepped)
    path = folder / NWB
    beside = folder / f".{os.getpid()}.{NWB}"
    try:
        with NWBHDF5IO(beside, mode="w") as io:
            io.write(file)
        with beside.open("rb+") as whole:
            os.fsync(whole.fileno())
        os.replace(beside, path)
    except Exception as error:
        if type(error) is not Exception:
            raise
        # hdmf raises bare ones, which nobody could tell from a fault of the program
        raise RuntimeError(f"{path}: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(folder)
    return path


def _require_room(folder: Path) -> None:
    """Refuse a disk that may become full: HDF5 then takes the whole process down with it."""
    most = (folder / JOURNAL).stat().st_size + OWN_BYTES
    disk = shutil.disk_usage(folder)
    # some network drives tell neither size nor room
    if disk.total and disk.free < most:
        raise OSError(
            f"{folder / NWB} may take {most / 1e6:.0f} MB, and {disk.free / 1e6:.0f} MB are free. "
            f"Make room on the disk, then run bci export {folder}"
        )
