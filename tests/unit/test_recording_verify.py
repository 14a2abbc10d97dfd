import math
from datetime import datetime

import msgspec
import numpy as np
import played_session
import pytest
import recorded_session
from hypothesis import given
from hypothesis import strategies as st
from played_session import Played, made_session
from recorded_session import record_session, small_session

from bci.core.loop_types import (
    BlockBegun,
    BlockKind,
    CalibrationRefused,
    Decision,
    EnsemblesSet,
    LedgerKind,
    Pause,
    Resume,
    TaskState,
)
from bci.recording import manifest as manifest_module
from bci.recording import verify as verify_module
from bci.recording.folder import JOURNAL, MANIFEST
from bci.recording.journal import Journal
from bci.recording.layout import PAYLOADS
from bci.recording.manifest import NoManifest, read_manifest, seal_holds, write_manifest
from bci.recording.records import Topic
from bci.recording.scan import JournalBytes
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, ulp_distance, verify


@pytest.fixture
def folder(tmp_path):
    record_session(tmp_path / "s")
    return tmp_path / "s"


def rewrite(folder, change) -> None:
    """Record the same session again with records changed, so that every CRC holds."""
    path = folder / JOURNAL
    with JournalBytes(path) as journal:
        found = [(m, bytes(journal.data[m.payload])) for m in journal.scan()]
    path.unlink()
    start = msgspec.msgpack.decode(found[0][1], type=PAYLOADS[Topic.START])
    with Journal(path, start) as again:
        for message, payload in found[1:-1]:
            changed = change(message.topic, payload)
            if changed is not None:
                again.append(message.topic, changed, message.wall_ns, message.perf_ns)


def change_decision(sequence: int, **fields):
    def change(topic, payload):
        if topic is Topic.DECISION:
            decision = msgspec.msgpack.decode(payload, type=Decision)
            if decision.sequence == sequence:
                return msgspec.structs.replace(decision, **fields)
        return payload

    return change


def decision_of(folder, sequence: int) -> Decision:
    with JournalBytes(folder / JOURNAL) as journal:
        for message in journal.scan():
            if message.topic is Topic.DECISION:
                found = msgspec.msgpack.decode(journal.data[message.payload], type=Decision)
                if found.sequence == sequence:
                    return found
    raise AssertionError(sequence)


def test_recorded_session_is_identical(folder):
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.IDENTICAL, verdict
    assert verdict.ok
    assert verdict.n_compared == verdict.n_inputs == 43
    assert verdict.notes == ()


def test_changed_byte_is_damaged_and_names_the_record(folder):
    with JournalBytes(folder / JOURNAL) as journal:
        frame = [m for m in journal.scan() if m.topic is Topic.FRAME][9]
    content = bytearray((folder / JOURNAL).read_bytes())
    content[frame.payload.stop - 1] ^= 1
    (folder / JOURNAL).write_bytes(content)
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DAMAGED
    assert verdict.defects[0].record == frame.number
    assert "frame id 9" in verdict.text


def test_one_bit_of_s_is_different_and_names_sequence_and_field(folder):
    s = decision_of(folder, 30).s
    rewrite(folder, change_decision(30, s=math.nextafter(s, 1.0)))
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DIFFERENT
    assert (verdict.difference.sequence, verdict.difference.field) == (30, "s")


def test_last_bits_on_another_computer_are_a_verdict_of_their_own(folder, monkeypatch):
    s = decision_of(folder, 30).s
    rewrite(folder, change_decision(30, s=math.nextafter(s, 1.0)))
    monkeypatch.setattr(verify_module, "numerics_here", lambda: ("another",))
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.WITHIN_ULP
    assert verdict.ok
    assert verdict.max_ulp == 1
    assert "within 1 ulp" in verdict.text


@pytest.mark.parametrize("fields", [{"s": 0.5}, {"trial": 7}, {"frame_id": 0}, {"command": None}])
def test_another_decision_is_different_on_any_computer(folder, monkeypatch, fields):
    with_command = next(n for n in range(15, 40) if decision_of(folder, n).command is not None)
    rewrite(folder, change_decision(with_command, **fields))
    monkeypatch.setattr(verify_module, "numerics_here", lambda: ("another",))
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DIFFERENT
    assert verdict.difference.sequence == with_command


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"reaction": "as it was put", "detail": "before"}, VerdictKind.IDENTICAL),
        ({"count": 7}, VerdictKind.DIFFERENT),
        ({"frame_id": 3}, VerdictKind.DIFFERENT),
        ({"kind": LedgerKind.DARK}, VerdictKind.DIFFERENT),
    ],
)
def test_a_fault_is_compared_and_the_words_for_it_are_not(tmp_path, change, kind):
    session = Played(tmp_path).start()
    session.frames(0, 20)
    after_gap = session.frame(25)
    session.close()
    [entry] = after_gap.ledger
    changed = msgspec.structs.replace(entry, **change)
    rewrite(tmp_path, change_decision(after_gap.sequence, ledger=(changed,)))
    verdict = verify(tmp_path)
    assert verdict.kind is kind, verdict
    if kind is VerdictKind.DIFFERENT:
        assert verdict.difference.field == "ledger"


def test_changed_fluorescence_is_different(folder):
    def brighter(topic, payload):
        if topic is Topic.FRAME and int.from_bytes(payload[:8], "little") == 20:
            values = np.frombuffer(payload[80:], "<f4") * np.float32(1.5)
            return payload[:80] + values.tobytes()
        return payload

    rewrite(folder, brighter)
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DIFFERENT
    assert verdict.difference.sequence == 20


def test_missing_decision_is_different(folder):
    def without(topic, payload):
        if topic is not Topic.DECISION:
            return payload
        return None if msgspec.msgpack.decode(payload)["sequence"] == 12 else payload

    rewrite(folder, without)
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DIFFERENT
    assert (verdict.difference.sequence, verdict.difference.recorded) == (12, None)


def test_missing_input_is_not_called_identical(folder):
    def without(topic, payload):
        if topic is Topic.FRAME and int.from_bytes(payload[:8], "little") == 12:
            return None
        return payload

    rewrite(folder, without)
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.INCOMPLETE
    assert "input 12" in verdict.text


def test_session_that_was_not_closed_is_incomplete(tmp_path):
    record_session(tmp_path / "s")
    path = tmp_path / "s" / JOURNAL
    path.write_bytes(path.read_bytes()[:-1500])
    verdict = verify(tmp_path / "s")
    assert verdict.kind is VerdictKind.INCOMPLETE
    assert "bci recover" in verdict.text


def test_other_settings_in_the_manifest_are_damage(folder):
    path = folder / MANIFEST
    text = path.read_text("utf-8")
    assert '"grey_s": 0.2' in text
    path.write_text(text.replace('"grey_s": 0.2', '"grey_s": 0.3'), "utf-8")
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DAMAGED
    assert MANIFEST in verdict.text


def test_any_changed_byte_of_the_manifest_is_seen(folder):
    path = folder / MANIFEST
    whole = path.read_bytes()
    assert seal_holds(folder, read_manifest(folder))
    n = len(whole)
    for place in [*range(0, n, 13), *range(n - 90, n)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 7
        path.write_bytes(changed)
        try:
            manifest = read_manifest(folder)
        except NoManifest as error:
            assert MANIFEST in str(error)  # noqa: PT017
        else:
            assert not seal_holds(folder, manifest), place


def test_manifest_that_was_changed_is_damage(folder):
    path = folder / MANIFEST
    text = path.read_text("utf-8")
    path.write_text(text.replace('"python": "3', '"python": "4'), "utf-8")
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DAMAGED
    told = f"{path}: it was changed after it was written: its seal does not hold"
    assert verdict.text == f"damaged: {told}"


def test_manifest_of_another_session_is_damage(folder):
    manifest = read_manifest(folder)
    write_manifest(folder, msgspec.structs.replace(manifest, session="another"))
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DAMAGED
    assert "it is of session another" in verdict.text


def test_setting_added_by_a_later_version_is_no_damage(tmp_path, monkeypatch):
    # As recorded by a version that did not know of `experiment.stimulus`.
    dump = manifest_module.dump_session

    def without(session):
        settings = dump(session)
        del settings["experiment"]["stimulus"]
        return settings

    with monkeypatch.context() as older:
        older.setattr(manifest_module, "dump_session", without)
        stored = manifest_module.make_manifest("s", small_session(), datetime.now()).stored_hash
        older.setattr(recorded_session, "settings_hash", lambda _: stored)
        record_session(tmp_path / "s")
    assert verify(tmp_path / "s").kind is VerdictKind.IDENTICAL


def test_pauses_of_a_session_of_version_0_1_0_use_up_its_time(tmp_path, monkeypatch):
    """Its settings do not say so: the program knew no other rule, and its decisions follow it."""
    task = small_session().experiment.task.model_dump() | {"session_s": 12.0}
    dump = manifest_module.dump_session

    def without(session):
        settings = dump(session)
        del settings["experiment"]["task"]["pause_counts"]
        return settings

    def plays(folder, *, pause_counts: bool) -> Played:
        rule = {"task": task | {"pause_counts": pause_counts}}
        session = Played(folder, made_session(experiment=rule)).start()
        session.frames(0, 80)
        session.apply(Pause(), session.time_s(79) + 0.01)
        session.frames(80, 200)
        session.apply(Resume(), session.time_s(199) + 0.01)
        session.frames(200, 420)
        return session.close()

    plays(tmp_path / "new", pause_counts=False)
    with monkeypatch.context() as older:
        older.setattr(manifest_module, "dump_session", without)
        of_old = made_session(experiment={"task": task | {"pause_counts": True}})
        stored = manifest_module.make_manifest("s", of_old, datetime.now()).stored_hash
        older.setattr(played_session, "settings_hash", lambda _: stored)
        old = plays(tmp_path / "old", pause_counts=True)
    assert "pause_counts" not in read_manifest(tmp_path / "old").settings["experiment"]["task"]
    assert old.loop.state is TaskState.DONE
    assert verify(tmp_path / "old").kind is VerdictKind.IDENTICAL
    assert verify(tmp_path / "new").kind is VerdictKind.IDENTICAL
    trials = [len(SessionRecord.read(tmp_path / name).trials) for name in ("old", "new")]
    assert trials[0] < trials[1]


def test_folder_without_manifest_says_what_to_name(tmp_path):
    with pytest.raises(NoManifest, match="Name the folder"):
        verify(tmp_path)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 50))
def test_ulp_distance_counts_floats(value, n):
    other = value
    for _ in range(n):
        other = math.nextafter(other, math.inf)
    if math.isfinite(other):
        assert ulp_distance(value, other) == n
        assert ulp_distance(other, value) == n


def test_blocks_and_ensembles_of_the_operator_are_computed_again(tmp_path) -> None:
    tables = {
        "decoder": {"p_plus": [], "p_minus": [], "f0_window_s": 1.0},
        "threshold": None,
        "baseline": {"duration_s": 4.0},
        "hold": True,
    }
    day = Played(tmp_path, made_session(experiment=tables)).start()
    day.apply(BlockBegun(BlockKind.BASELINE), 2.5)
    day.frames(0, 90)
    day.apply(EnsemblesSet(("a", "b"), ("c", "d")), 8.0)
    result = day.loop.calibrate()
    day.journal.append(Topic.CALIBRATION, result)
    day.apply(result.threshold, 8.1)
    day.apply(BlockBegun(BlockKind.CLOSED_LOOP), 8.2)
    day.frames(90, 200)
    day.close()
    assert verify(tmp_path).kind is VerdictKind.IDENTICAL


def test_a_baseline_that_was_refused_and_gives_a_threshold_is_different(tmp_path) -> None:
    tables = {"threshold": None, "baseline": {"duration_s": 4.0}, "hold": True}
    day = Played(tmp_path, made_session(experiment=tables)).start()
    day.apply(BlockBegun(BlockKind.BASELINE), 2.5)
    day.frames(0, 90)
    day.apply(CalibrationRefused("flat"), 8.0)
    day.close()
    verdict = verify(tmp_path)
    assert verdict.kind is VerdictKind.DIFFERENT
    assert verdict.difference.field == "calibration"


def test_verify_reads_the_journal_once(folder, monkeypatch) -> None:
    n_scans = 0
    scan = JournalBytes.scan

    def counted_scan(self, tell=None):
        nonlocal n_scans
        n_scans += 1
        return scan(self, tell)

    monkeypatch.setattr(JournalBytes, "scan", counted_scan)
    assert verify(folder).kind is VerdictKind.IDENTICAL
    assert n_scans == 1


def test_damage_behind_a_record_that_makes_no_sense_is_named(folder) -> None:
    rewrite(folder, lambda topic, payload: b"\xc1" if topic is Topic.DECISION else payload)
    content = bytearray((folder / JOURNAL).read_bytes())
    content[content.index(b"the animal sits")] ^= 0xFF
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DAMAGED
    assert not verdict.defects
    (folder / JOURNAL).write_bytes(content)
    verdict = verify(folder)
    assert verdict.kind is VerdictKind.DAMAGED
    assert [defect.topic for defect in verdict.defects] == [Topic.NOTE]
