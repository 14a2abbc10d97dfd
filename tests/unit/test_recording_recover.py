import os
import random
import resource
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_session import NAME, record_session

from bci.recording import recover as recover_module
from bci.recording.folder import DAMAGED_JOURNAL, JOURNAL, MANIFEST
from bci.recording.integrity import check_journal
from bci.recording.manifest import mend_manifest
from bci.recording.records import MendedRecord, Topic
from bci.recording.recover import StillRecording, recover
from bci.recording.scan import JournalBytes, Message
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    record_session(folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return copy_of(original, tmp_path / "s", None)


def copy_of(original, folder, content: bytes | None):
    folder.mkdir()
    (folder / MANIFEST).write_bytes((original / MANIFEST).read_bytes())
    data = (original / JOURNAL).read_bytes() if content is None else content
    (folder / JOURNAL).write_bytes(data)
    return folder


def records(path) -> list[tuple[Message, bytes]]:
    with JournalBytes(path) as journal:
        found = [item for item in journal.scan() if isinstance(item, Message)]
        return [(m, bytes(journal.data[m.offset : m.offset + m.size])) for m in found]


def damage(path, message: Message) -> None:
    """Change two bytes of a record: no single byte explains it."""
    data = bytearray(path.read_bytes())
    data[message.payload.stop - 3] ^= 0x10
    data[message.payload.stop - 9] ^= 0x10
    path.write_bytes(data)


def cut_within_messages(path) -> bytes:
    """The journal without its last records and all behind them."""
    with JournalBytes(path) as journal:
        list(journal.scan())
        return path.read_bytes()[: journal.data_end - 2000]


def is_whole(path) -> bool:
    with JournalBytes(path) as journal:
        found = check_journal(journal)
    return not found.defects and found.unclosed is None


def test_whole_journal_is_left_alone(folder):
    before = (folder / JOURNAL).read_bytes()
    report = recover(folder)
    assert report.damaged is None
    assert "nothing to do" in str(report)
    assert (folder / JOURNAL).read_bytes() == before
    assert sorted(os.listdir(folder)) == [JOURNAL, MANIFEST]


def test_journal_cut_short_is_closed_with_every_whole_record(folder):
    path = folder / JOURNAL
    cut = cut_within_messages(path)
    path.write_bytes(cut)
    kept = records(path)
    report = recover(folder)
    assert (folder / DAMAGED_JOURNAL).read_bytes() == cut
    assert [r for _, r in records(path)[: len(kept)]] == [r for _, r in kept]
    assert report.n_kept == len(kept)
    assert report.last_frame_id == max(
        int.from_bytes(r[31 + 16 + 24 : 31 + 16 + 32], "little")
        for m, r in kept
        if m.topic is Topic.FRAME
    )
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.IDENTICAL, verdict
    assert "recovered" in verdict.notes[0]


def test_second_run_does_nothing(folder):
    path = folder / JOURNAL
    path.write_bytes(cut_within_messages(path))
    recover(folder)
    before = path.read_bytes()
    assert recover(folder).damaged is None
    assert path.read_bytes() == before


def test_earlier_damaged_journal_is_never_overwritten(folder):
    path = folder / JOURNAL
    path.write_bytes(cut_within_messages(path))
    recover(folder)
    first = (folder / DAMAGED_JOURNAL).read_bytes()
    path.write_bytes(path.read_bytes()[:-100])
    report = recover(folder)
    assert report.damaged.name == "journal.damaged-2.mcap"
    assert (folder / DAMAGED_JOURNAL).read_bytes() == first
    assert is_whole(path)
    assert verify(folder).ok


def test_run_that_died_between_its_renames_is_ended_by_the_next(folder):
    path = folder / JOURNAL
    path.write_bytes(cut_within_messages(path))
    os.rename(path, folder / DAMAGED_JOURNAL)
    report = recover(folder)
    assert report.damaged == folder / DAMAGED_JOURNAL
    assert is_whole(path)
    assert verify(folder).ok


def test_run_that_died_while_writing_leaves_the_journal_as_it_was(folder, monkeypatch):
    path = folder / JOURNAL
    cut = cut_within_messages(path)
    path.write_bytes(cut)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recover_module.os, "fsync", die)
        with pytest.raises(KeyboardInterrupt):
            recover(folder)
    assert path.read_bytes() == cut
    recover(folder)
    assert verify(folder).ok


def test_damaged_record_is_left_out_and_everything_else_kept(folder):
    path = folder / JOURNAL
    found = records(path)
    frame = [m for m, _ in found if m.topic is Topic.FRAME][20]
    damage(path, frame)
    report = recover(folder)
    assert [(s.first, s.last, s.offset) for s in report.lost] == [
        (frame.number, frame.number, frame.offset)
    ]
    assert "frame id 20" in str(report)
    assert is_whole(path)
    again = {m.number: r for m, r in records(path) if m.topic not in (Topic.END, Topic.RECOVERY)}
    expected = {m.number: r for m, r in found if m.topic is not Topic.END}
    del expected[frame.number]
    assert again == expected
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.INCOMPLETE
    assert "not in the journal" in verdict.text
    record = SessionRecord.read(folder)
    assert 20 not in record.frames["frame_id"]
    assert len(record.frames) == 39


def test_lost_decision_leaves_the_rest_verifiable(folder):
    path = folder / JOURNAL
    decision = [m for m, _ in records(path) if m.topic is Topic.DECISION][20]
    damage(path, decision)
    recover(folder)
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.IDENTICAL
    assert verdict.n_compared == verdict.n_inputs - 1


FIELDS = {"opcode": 0, "length": 1, "channel": 9, "number": 11, "wall": 15, "perf": 23}
"""Where each field of a record's head begins."""


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_changed_byte_of_the_journal_costs_nothing(original, tmp_path_factory, data):
    """Of every topic, at its head, in its payload and its CRC, and around the records."""
    content = bytearray((original / JOURNAL).read_bytes())
    found = [m for m, _ in records(original / JOURNAL)]
    end = found[-1].offset + found[-1].size
    topic = data.draw(st.sampled_from([None, *{m.topic for m in found}]))
    message = data.draw(st.sampled_from([m for m in found if m.topic is topic] or [None]))
    if message is None:
        before = st.integers(0, found[0].offset - 1)
        place = data.draw(before | st.integers(end, len(content) - 1))
    else:
        place = message.offset + data.draw(
            st.sampled_from([*FIELDS.values()])
            | st.integers(0, message.size - 1)
            | st.integers(message.size - 4, message.size - 1)
        )
    written = content[place]
    content[place] ^= data.draw(st.integers(1, 255))
    folder = copy_of(original, tmp_path_factory.mktemp("changed") / "s", bytes(content))
    report = recover(folder)
    assert report.n_lost == 0
    number = None if message is None else message.number
    expected = MendedRecord(number, topic, place, content[place], written)
    assert report.mended == (() if message is None else (expected,))
    assert is_whole(folder / JOURNAL)
    assert verify(folder).kind is VerdictKind.IDENTICAL
    whole, record = SessionRecord.read(original), SessionRecord.read(folder)
    assert list(map(repr, record.inputs)) == list(map(repr, whole.inputs))
    assert list(map(repr, record.decisions)) == list(map(repr, whole.decisions))
    assert repr(record.infos) == repr(whole.infos)
    assert all(str(one) in record.losses for one in report.mended)


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_changed_byte_in_each_of_two_neighbours_costs_nothing(original, tmp_path_factory, data):
    content = bytearray((original / JOURNAL).read_bytes())
    found = [m for m, _ in records(original / JOURNAL)]
    first = data.draw(st.integers(0, len(found) - 2))
    for message in found[first : first + 2]:
        content[message.offset + data.draw(st.integers(31, message.size - 1))] ^= data.draw(
            st.integers(1, 255)
        )
    folder = copy_of(original, tmp_path_factory.mktemp("changed") / "s", bytes(content))
    report = recover(folder)
    assert [one.number for one in report.mended] == [first, first + 1]
    assert report.n_lost == 0
    assert verify(folder).kind is VerdictKind.IDENTICAL


@pytest.mark.parametrize(("first", "n"), [(0, 2), (1, 1), (0, 5)])
def test_first_records_that_are_gone_leave_the_session_readable(folder, first, n):
    """The settings are in the manifest, the description of the stream is repeated."""
    path = folder / JOURNAL
    whole = SessionRecord.read(folder)
    found = [m for m, _ in records(path)]
    content = bytearray(path.read_bytes())
    start, stop = found[first].offset, found[first + n - 1].offset + found[first + n - 1].size
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)
    report = recover(folder)
    assert [(span.first, span.last) for span in report.lost] == [(max(first, 1), first + n - 1)]
    assert is_whole(path)
    record = SessionRecord.read(folder)
    assert record.start.session == NAME
    assert record.start.settings_hash == whole.start.settings_hash
    assert repr(record.info) == repr(whole.info)
    assert len(record.frames) == len(whole.frames) - (n == 5)
    assert len(record.losses) == 1
    assert verify(folder).kind in (VerdictKind.IDENTICAL, VerdictKind.INCOMPLETE)


@settings(
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_changed_bit_of_the_manifest_is_put_right(original, tmp_path_factory, data):
    content = bytearray((original / MANIFEST).read_bytes())
    length = len(content)
    place = data.draw(st.integers(0, length - 1) | st.integers(length - 70, length - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    folder = copy_of(original, tmp_path_factory.mktemp("changed") / "s", None)
    (folder / MANIFEST).write_bytes(content)
    report = recover(folder)
    assert report.manifest is not None
    assert report.manifest.place == place
    assert (folder / MANIFEST).read_bytes() == (original / MANIFEST).read_bytes()
    assert (folder / "manifest.damaged.json").read_bytes() == content
    assert SessionRecord.read(folder).losses == []
    assert recover(folder).manifest is None


def test_changed_byte_of_the_manifest_is_put_right(folder):
    """Of which more than one bit was changed."""
    whole = (folder / MANIFEST).read_bytes()
    place = whole.index(b"rate_hz")
    (folder / MANIFEST).write_bytes(whole[:place] + b"~" + whole[place + 1 :])
    assert recover(folder).manifest == (place, ord("~"), ord("r"))
    assert (folder / MANIFEST).read_bytes() == whole


def test_manifest_that_somebody_edited_is_left_alone(tmp_path):
    edited = b'{\n  "a": 12345,\n  "seal": "%s"\n}\n' % (b"5e" * 32)
    (tmp_path / MANIFEST).write_bytes(edited)
    assert mend_manifest(tmp_path) is None
    assert (tmp_path / MANIFEST).read_bytes() == edited


def test_manifest_that_somebody_edited_is_named_where_the_session_is_read(folder):
    edited = (folder / MANIFEST).read_bytes().replace(b'"r"', b'"rig 7"')
    (folder / MANIFEST).write_bytes(edited)
    (loss,) = SessionRecord.read(folder).losses
    assert MANIFEST in loss


@pytest.mark.parametrize("part", ["magic", "schema", "start", "summary"])
def test_damage_outside_the_decisions_costs_none(folder, part):
    path = folder / JOURNAL
    start = records(path)[0][0]
    data = bytearray(path.read_bytes())
    place = {"magic": 1, "schema": 300, "start": start.offset + 40, "summary": len(data) - 60}
    data[place[part]] ^= 0x42
    path.write_bytes(data)
    recover(folder)
    assert is_whole(path)
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.IDENTICAL, verdict
    assert SessionRecord.read(folder).start.session == NAME


@pytest.mark.parametrize("size", [0, 5, 100, 13_000])
def test_journal_without_a_single_record_becomes_an_empty_one(folder, size):
    path = folder / JOURNAL
    path.write_bytes(path.read_bytes()[:size])
    report = recover(folder)
    assert report.last_frame_id == -1
    assert is_whole(path)
    record = SessionRecord.read(folder)
    assert len(record.inputs) == 0
    assert record.end.reason.startswith("recovered")


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_whatever_is_damaged_the_recovered_journal_is_whole(original, tmp_path_factory, data):
    content = bytearray((original / JOURNAL).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        n = data.draw(st.integers(1, 200))
        noise = random.Random(at).randbytes(n)
        kind = data.draw(st.sampled_from(["overwrite", "insert", "remove"]))
        if kind == "overwrite":
            content[at : at + n] = noise
        elif kind == "insert":
            content[at:at] = noise
        else:
            del content[at : at + n]
        if not content:
            content = bytearray(b"x")
    folder = copy_of(original, tmp_path_factory.mktemp("damaged") / "s", bytes(content))
    recover(folder)
    assert is_whole(folder / JOURNAL)
    assert verify(folder).kind in (VerdictKind.IDENTICAL, VerdictKind.INCOMPLETE)
    SessionRecord.read(folder)


def test_running_session_is_not_recovered(tmp_path):
    journal = record_session(tmp_path / "s", close=False)
    with pytest.raises(StillRecording, match="End the session first"):
        recover(tmp_path / "s")
    journal.close("done")
    assert recover(tmp_path / "s").damaged is None


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_disk_without_room_leaves_the_journal_as_it_was_and_nothing_else(folder):
    path = folder / JOURNAL
    content = path.read_bytes()[:-1500]
    path.write_bytes(content)
    before = sorted(folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, hard))
        with pytest.raises(OSError, match="too large") as failed:
            recover(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(folder) in failed.value.filename
    assert path.read_bytes() == content
    assert sorted(folder.iterdir()) == before
    recover(folder)
    assert verify(folder).ok
