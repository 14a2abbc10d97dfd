"""Hostile files end in an error that names them: never in a traceback, a hang or a crash."""

import warnings
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_session import record_session
from support.hostile_files import (
    KINDS,
    SOUND_TOML,
    damaged,
    forged,
    hostile_file,
    make_special,
    sound_nwb,
)

from bci.config import Override, SettingsError, load_session
from bci.config.input_file import InputRefused
from bci.recording.contents import DamagedJournal
from bci.recording.folder import ENDPOINTS, JOURNAL, read_endpoints
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RecordingError
from bci.recording.records import Topic
from bci.recording.reward_log import REWARDS, read_reward_log
from bci.recording.scan import JournalBytes, Message
from bci.recording.session_record import SessionRecord
from bci.recording.subject import StoredEnsembles, SubjectDamaged, SubjectFolder, now_iso
from bci.recording.tail import JournalTail


def read(kind: str, path: Path) -> str:
    """Read a file as the program does; what it says against it, empty if it reads it."""
    with warnings.catch_warnings():
        # NumPy, hdmf and pynwb warn of what they repair
        warnings.simplefilter("ignore")
        try:
            if kind == "toml":
                load_session(path)
            else:
                read_traces(path, rate_hz=10.0)
        except (SettingsError, RecordingError) as error:
            return str(error)
    return ""


@pytest.mark.parametrize("kind", ["toml", "npy", "npz"])
def test_files_made_by_hand_are_refused_or_read(kind: str, tmp_path: Path) -> None:
    for number in range(30):
        assert len(read(kind, hostile_file(kind, number, tmp_path))) < 50_000


@pytest.mark.parametrize("kind", ["nwb", "suite2p"])
@pytest.mark.parametrize("number", [0, 3, 60, 100])
def test_some_of_the_others_are(kind: str, number: int, tmp_path: Path) -> None:
    read(kind, hostile_file(kind, number, tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_of_each_kind_are(kind: str, tmp_path: Path) -> None:
    for number in range(150):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        read(kind, hostile_file(kind, number, folder))


@given(st.randoms(use_true_random=False))
def test_settings_changed_anywhere_are_refused_or_read(random: Random) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "session.toml"
        path.write_bytes(SOUND_TOML)
        assert read("toml", path) == ""
        path.write_bytes(damaged(SOUND_TOML, random))
        read("toml", path)


@pytest.mark.parametrize("name", ["session.toml", "t.npy", "t.npz", "t.nwb"])
@pytest.mark.parametrize("special", ["pipe", "device", "folder", "loop"])
def test_what_is_no_file_is_refused_without_waiting(
    tmp_path: Path, name: str, special: str
) -> None:
    path = tmp_path / name
    if not make_special(special, path):
        pytest.skip(f"no {special} on this system")
    assert path.name in read("toml" if name.endswith(".toml") else "npy", path)


def test_a_pipe_in_a_suite2p_folder_is_refused_without_waiting(tmp_path: Path) -> None:
    for name in ("stat.npy", "iscell.npy", "ops.npy"):
        folder = tmp_path / name
        folder.mkdir()
        plane = hostile_file("suite2p", 10_000, folder)
        (plane / name).unlink()
        if not make_special("pipe", plane / name):
            pytest.skip("no pipes on this system")
        assert read("suite2p", plane)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rig.source.n_rois", 10**20),
        ("rig.source.n_rois", 1_000_001),
        ("rig.source.seed", 2**63),
        ("rig.stream.queue_frames", 2**31),
        ("experiment.decoder.decode_plane", 10**30),
        (".".join("a" * 5000), 1),
    ],
)
def test_numbers_beyond_all_measure_are_refused(key: str, value: int, tmp_path: Path) -> None:
    path = tmp_path / "session.toml"
    path.write_bytes(SOUND_TOML)
    with pytest.raises(SettingsError) as raised:
        load_session(path, [Override(key, value)])
    assert raised.value.faults[0].key in (key, "--set")


@pytest.mark.parametrize("topic", [Topic.INFO, Topic.DECISION, Topic.EVENT, Topic.START])
@pytest.mark.parametrize("content", [b"\xc1", b"\x91" * 5000, b"\x83\xa1\xff", b"\x80"])
def test_a_record_with_a_right_crc_and_wrong_content_is_named(
    tmp_path: Path, topic: Topic, content: bytes
) -> None:
    record_session(tmp_path)
    path = tmp_path / JOURNAL
    with JournalBytes(path) as journal:
        found = next(
            one for one in journal.scan() if isinstance(one, Message) and one.topic is topic
        )
    forged(path, found.offset, found.size, found.payload, content)
    with pytest.raises(DamagedJournal) as raised:
        SessionRecord.read(tmp_path)
    assert f"record {found.number} " in str(raised.value)
    with pytest.raises(RecordingError):
        read_traces(tmp_path)


def linked_nwb(path: Path, how: str, other: Path) -> None:
    """Let the fluorescence of a sound NWB file lie in another file."""
    path.write_bytes(sound_nwb())
    with h5py.File(other, "w") as file:
        file["data"] = np.ones((10, 4), np.float32)
    with h5py.File(path, "r+") as file:
        match how:
            case "a link":
                file["acquisition/secret"] = h5py.ExternalLink(other, "/data")
            case "raw data":
                file.create_dataset(
                    "acquisition/secret", (4,), np.float32, external=[(str(other), 0, 16)]
                )
            case _:
                layout = h5py.VirtualLayout((10, 4), np.float32)
                layout[:] = h5py.VirtualSource(other, "data", (10, 4))
                file.create_virtual_dataset("acquisition/secret", layout)


@pytest.mark.parametrize("how", ["a link", "raw data", "a virtual data set"])
def test_an_nwb_file_opens_no_other_file(how: str, tmp_path: Path) -> None:
    path, other = tmp_path / "recording.nwb", tmp_path / "other.h5"
    linked_nwb(path, how, other)
    with pytest.raises(RecordingError) as raised:
        read_traces(path, rate_hz=10.0)
    assert str(other) in str(raised.value)


@pytest.mark.parametrize("special", ["pipe", "device", "loop"])
def test_files_of_a_session_and_a_subject_are_no_pipes_or_devices(
    special: str, tmp_path: Path
) -> None:
    folder = tmp_path / "mouse"
    folder.mkdir()
    for name in (ENDPOINTS, REWARDS, "ensembles-20261130T120000.json", JOURNAL):
        if not make_special(special, folder / name):
            pytest.skip(f"no {special} on this system")
    with pytest.raises(InputRefused if special != "loop" else OSError):
        read_endpoints(folder)
    with pytest.raises(InputRefused if special != "loop" else OSError):
        read_reward_log(folder / REWARDS)
    stored = SubjectFolder(tmp_path, folder.name)
    stored.path.mkdir(exist_ok=True)
    make_special(special, stored.path / "ensembles-20261130T120001.json")
    with pytest.raises(SubjectDamaged):
        stored.ensembles()
    with pytest.raises(InputRefused if special != "loop" else OSError):
        JournalTail(folder / JOURNAL)


@pytest.mark.parametrize("at", ["", "2026-13-01T00:00:00", "x" * 9])
def test_a_time_that_is_none_is_refused(at: str, tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    stored = StoredEnsembles(at=now_iso(), p_plus=("a",), p_minus=("b",))
    path = folder.add(stored)
    path.write_bytes(path.read_bytes().replace(stored.at.encode(), at.encode()))
    with pytest.raises(SubjectDamaged, match=path.name):
        folder.ensembles()
