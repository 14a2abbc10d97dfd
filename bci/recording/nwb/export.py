"""From a session's folder to session.nwb."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from pynwb import NWBHDF5IO, NWBFile

from bci.recording.chosen import ensemble_labels
from bci.recording.folder import JOURNAL, NWB, sync_folder
from bci.recording.happenings import happenings
from bci.recording.nwb.behavior import add_behavior
from bci.recording.nwb.header import new_file
from bci.recording.nwb.ophys import add_ophys
from bci.recording.nwb.readout import add_readout
from bci.recording.nwb.scratch import add_scratch
from bci.recording.nwb.tables import add_blocks, add_events, add_trials
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import ReadOuts, step_again
from bci.recording.time_axis import TimeAxis

OWN_BYTES = 20_000_000
"""What the file may take beside what the journal holds: its schema, unfilled chunks."""


def export_nwb(folder: Path, tell: Callable[[str, float], None] = lambda *_: None) -> Path:
    """Write a session as NWB; an earlier file is replaced once the new one is whole.

    What there is of every frame goes to the file in blocks. Memory grows by what a `SessionRecord`
    keeps of a frame alone, whatever the number of ROIs.

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
    bci.recording.contents.DamagedJournal
        Where the journal is damaged, or the session ended before its stream began.
    OSError
        Where there is not enough room on the disk.
    RuntimeError
        Where the session holds what NWB does not take.
    """
    record = SessionRecord.read(folder, partial(tell, "reading the journal"))
    n_rois = len(ensemble_labels(record))
    _require_room(record, n_rois)
    axis = TimeAxis(record)
    path = folder / NWB
    beside = folder / f".{os.getpid()}.{NWB}"
    with TemporaryFile(dir=folder) as rows:
        read_outs = ReadOuts(rows, n_rois)
        stepped = step_again(record, partial(tell, "computing every decision"), read_outs)
        file = new_file(record, axis)
        add_ophys(file, record, axis, stepped, read_outs, partial(tell, "writing fluorescence"))
        add_readout(file, record, axis, stepped, read_outs)
        add_trials(file, record, axis)
        add_blocks(file, record, axis)
        add_events(file, happenings(record, axis), axis)
        add_behavior(file, record, axis)
        add_scratch(file, record, axis, stepped)
        _write(file, path, beside)
    sync_folder(folder)
    return path


def _write(file: NWBFile, path: Path, beside: Path) -> None:
    """Write the file under another name, and give it its own once it is whole."""
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


def _require_room(record: SessionRecord, n_rois: int) -> None:
    """Refuse a disk that may become full: HDF5 then takes the whole process down with it."""
    folder = record.folder
    # the signal of the ensembles, once in the file and once beside it
    of_signal = 2 * int(record.decision_table["decoded"].sum()) * ReadOuts.row_bytes(n_rois)
    most = (folder / JOURNAL).stat().st_size + OWN_BYTES + of_signal
    disk = shutil.disk_usage(folder)
    # some network drives tell neither size nor room
    if disk.total and disk.free < most:
        raise OSError(
            f"{folder / NWB} may take {most / 1e6:.0f} MB, and {disk.free / 1e6:.0f} MB are free. "
            f"Make room on the disk, then run bci export {folder}"
        )
