"""A discarded frame changes nothing: its id and its times are not the session's."""

from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from core_session import Animal, frame_of, info_of, session_of, started
from hypothesis import given, settings
from hypothesis import strategies as st
from played_session import RATE_HZ, Played, made_session
from pynwb import NWBHDF5IO

from bci.analysis.report.latency import stage_times
from bci.config.rig import Board as BoardSettings
from bci.core.loop_types import Pause, Resume
from bci.core.performance import PerformanceMeter, TaskTime
from bci.gui.model import SessionModel
from bci.hardware.board.virtual import VirtualBoard
from bci.recording.block_times import block_spans
from bci.recording.folder import JOURNAL
from bci.recording.history import HistoryReader, HistoryRequest
from bci.recording.journal import Journal
from bci.recording.nwb import export_nwb
from bci.recording.performance import time_of
from bci.recording.playback import read_playback
from bci.recording.records import JournalStart
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import step_again
from bci.recording.tail import JournalTail
from bci.recording.time_axis import TimeAxis
from bci.session.effects import Effects
from bci.session.latency import LatencyBudget, Stage
from bci.session.screen_line import ScreenLine

pytestmark = pytest.mark.slow

HUGE = 2**64 - 1
FOREIGN: dict[str, Callable[[int], dict[str, Any]]] = {
    "another session, first id": lambda _: {"session_hash": 7, "frame_id": 0},
    "another session, huge id": lambda _: {"session_hash": 7, "frame_id": HUGE},
    "another session, next id": lambda last: {"session_hash": 7, "frame_id": last + 1},
    "another session, last id": lambda last: {"session_hash": 7, "frame_id": last},
    "another epoch": lambda _: {"epoch": 5, "frame_id": 10**12},
    "other ROIs": lambda _: {"roi_hash": 5, "frame_id": 10**9},
    "a plane that is not there": lambda _: {"plane": 9, "frame_id": 10**9},
    "another size": lambda _: {"fluorescence": np.ones(3, np.float32), "frame_id": 10**9},
    "a duplicate": lambda last: {"frame_id": last},
    "an old one": lambda last: {"frame_id": max(0, last - 30)},
    "far ahead": lambda last: {"frame_id": last + 10**6},
    "further than any clock": lambda _: {"frame_id": HUGE},
}
"""What came between two frames of the session, as fields of its header."""
ODD_NS = 3_600_000_000_000
FIRST_ID = 1003
"""A first id that is not a small one is believed once three more have followed."""


def plays(folder: Path, foreign: Iterator[dict[str, Any]] | None = None) -> SessionRecord:
    """A session from frame 1,000 on with a pause in it; a foreign frame after every third."""
    session = Played(folder).start()
    for frame_id in range(1000, 1400):
        session.frame(frame_id)
        if frame_id == 1150:
            session.apply(Pause(), session.time_s(frame_id) + 0.001)
        if frame_id == 1200:
            session.apply(Resume(), session.time_s(frame_id) + 0.001)
        if foreign is not None and frame_id % 3 == 0 and frame_id > FIRST_ID:
            values = np.full(4, 90.0 if frame_id % 2 else np.nan, np.float32)
            t_s = session.time_s(frame_id) + 0.01
            # sent an hour before or after, by another clock
            t_sent_ns = session.perf_ns(t_s) + (ODD_NS if frame_id % 2 else -ODD_NS)
            changes = {"t_sent_ns": t_sent_ns} | next(foreign)
            session.frame(changes.pop("frame_id", 0), values, t_s=t_s, **changes)
    session.close()
    return SessionRecord.read(folder)


def model_of(record: SessionRecord) -> SessionModel:
    model, position = SessionModel(record.session, record.folder), 0
    with JournalTail(record.folder / JOURNAL) as tail:
        reader = HistoryReader(tail)
        while True:
            # in the smallest stretches that there are
            chunk = reader.read(HistoryRequest(position))
            model.take(chunk)
            position = chunk.position
            if chunk.at_end:
                return model


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[SessionRecord, SessionRecord]:
    """The same session, with foreign frames of every kind in it and without."""
    whole = plays(tmp_path_factory.mktemp("whole"))

    def endless() -> Iterator[dict[str, Any]]:
        last, makers = 1000, list(FOREIGN.values())
        while True:
            yield makers[(last // 3) % len(makers)](last + 2)
            last += 3

    spoilt = plays(tmp_path_factory.mktemp("spoilt"), endless())
    kinds = {entry.value.kind for entry in spoilt.ledger}
    assert len(kinds) >= 8
    return whole, spoilt


def test_rates_times_and_blocks_are_those_without_them(
    both: tuple[SessionRecord, SessionRecord],
) -> None:
    whole, spoilt = both
    time = time_of(whole)
    assert time.rewards > 2
    assert (time.first_id, time.last_id) == (FIRST_ID, 1399)
    assert time.rewards_per_min(RATE_HZ) > time.rewards
    assert time_of(spoilt) == time
    found, told = step_again(spoilt), step_again(whole)
    assert found.performance == told.performance
    assert found.performance.rewards_per_min == time.rewards_per_min(RATE_HZ)
    assert found.frame_ids.tolist() == told.frame_ids.tolist()
    assert block_spans(spoilt, TimeAxis(spoilt)) == block_spans(whole, TimeAxis(whole))
    playback = read_playback(spoilt)
    assert playback.rewards_per_min == time.rewards_per_min(RATE_HZ)
    assert repr(playback.trials) == repr(read_playback(whole).trials)
    assert repr(spoilt.trials) == repr(whole.trials)


def test_latencies_are_those_without_them(both: tuple[SessionRecord, SessionRecord]) -> None:
    whole, spoilt = both
    for name in ("frame sent → received", "frame sent → flip"):
        for record in both:
            (stage,) = [one for one in stage_times(record) if one.name == name]
            assert 0 < stage.ms.min() <= stage.ms.max() < 20, name
    figures = model_of(spoilt).latencies.figures()
    assert figures["sent_to_received"] == model_of(whole).latencies.figures()["sent_to_received"]
    assert figures["sent_to_flip"].p99 < 20


@pytest.mark.parametrize("most", [3000, 1])
def test_window_shows_time_and_rates_of_the_stepped_frames(
    both: tuple[SessionRecord, SessionRecord], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bci.recording.history.MOST_RECORDS", most)
    for record in both:
        model, time = model_of(record), time_of(record)
        assert model.session_s == pytest.approx((1399 - FIRST_ID) / RATE_HZ)
        assert model.time == time
        assert model.rewards_per_min == (
            time.rewards_per_min(RATE_HZ), time.rewards_per_run_min(RATE_HZ)
        )  # fmt: skip
        assert len(model.latencies._values[Stage.SENT_TO_RECEIVED]) == 1400 - FIRST_ID


def test_nwb_is_that_without_them(both: tuple[SessionRecord, SessionRecord]) -> None:
    found = []
    for record in both:
        with NWBHDF5IO(export_nwb(record.folder), "r") as io:
            file = io.read()
            performance = msgspec.json.decode(file.scratch["performance"].data)
            trials, epochs = file.trials.to_dataframe(), file.epochs.to_dataframe()
            columns = ["start_time", "stop_time", "start_frame_id", "stop_frame_id", "outcome"]
            found.append(
                (
                    performance,
                    trials[columns].to_csv(),
                    epochs[["start_time", "stop_time"]].to_csv(),
                )
            )
    assert found[0] == found[1]
    per_min = found[0][0]["rewards_per_min"]
    assert per_min == pytest.approx(time_of(both[0]).rewards_per_min(RATE_HZ))


@given(st.lists(st.sampled_from(sorted(FOREIGN)), min_size=1, max_size=12), st.integers(0, 10**6))
def test_any_list_of_them_leaves_the_meter_as_it_was(kinds: list[str], first_id: int) -> None:
    info = info_of()
    animals = [Animal(started(session_of(), info), info) for _ in range(2)]
    meters = [PerformanceMeter(info.rate_hz) for _ in animals]
    for animal in animals:
        animal.next_id = first_id
    for k in range(60):
        for animal, meter in zip(animals, meters, strict=True):
            decision = animal.acts(3.0 if k % 20 > 15 else 0.0)
            meter.take(decision, animal.loop.decoder.signal, 1)
        animal, meter = animals[1], meters[1]
        if animal.loop.last_frame_id < 0:
            continue
        last, next_id = animal.loop.last_frame_id, animal.next_id
        fields = FOREIGN[kinds[k % len(kinds)]](last)
        # a frame that is good again, far ahead, is accepted when three follow: not in this list
        decision = animal.take(frame_of(info, **{"frame_id": 0, "values": [1.0] * 4} | fields))
        animal.next_id = next_id
        assert decision.discarded == (animal.loop.last_frame_id == last)
        meter.take(decision, animal.loop.decoder.signal, 1)
    assert repr(meters[0].now) == repr(meters[1].now)
    assert isfinite(meters[0].now.task_s)


@given(st.data())
@settings(max_examples=40)
def test_stretches_add_up_to_the_whole(data: st.DataObject) -> None:
    """However a session is cut, the accumulators of its stretches sum up to that of the whole."""
    info = info_of()
    animal = Animal(started(session_of(), info), info)
    animal.next_id = data.draw(st.integers(0, 1000))
    decisions = [animal.hears(Pause()), animal.hears(Resume())]
    for _ in range(40):
        animal.loses(data.draw(st.sampled_from([0, 0, 0, 1, 7])))
        decisions.append(animal.acts(data.draw(st.sampled_from([0.0, 3.0]))))
        if data.draw(st.integers(0, 12)) == 0:
            decisions += [animal.hears(Pause()), animal.hears(Resume())]
    whole, summed = TaskTime(), TaskTime()
    for decision in decisions:
        whole.take(decision)
    while decisions:
        n, stretch = data.draw(st.integers(0, 9)), TaskTime()
        for decision in decisions[: n + 1]:
            stretch.take(decision)
        del decisions[: n + 1]
        summed.add(TaskTime())
        summed.add(stretch)
    assert summed == whole


def test_the_virtual_boards_clock_is_the_time_since_the_first_stepped_frame(
    tmp_path: Path,
) -> None:
    session, info = made_session(), info_of()
    animal = Animal(started(session_of(), info), info)
    board = VirtualBoard(BoardSettings(kind="simulated"))
    board.open()
    latency = LatencyBudget()
    with Journal(tmp_path / JOURNAL, JournalStart("s", "h", 1, 1)) as journal:
        screen = ScreenLine(session.rig.stream, None, journal, latency)
        try:
            effects = Effects(screen, board, journal, latency, info.rate_hz)
            effects.carry_out(animal.hears(Pause()))
            # in virtual time from 0, 10**12 frames would take this computer years
            animal.next_id = 10**12
            for _ in range(3):
                effects.carry_out(animal.rests())
            for k in range(30):
                effects.carry_out(animal.rests())
                assert board._t_us == k * 100_000
                for fields in ({"session_hash": 7, "frame_id": HUGE}, {"epoch": 3}):
                    values = animal.values(0, 0.0)
                    foreign = frame_of(info, **{"frame_id": 0, "values": values} | fields)
                    effects.carry_out(animal.loop.step(foreign))
                assert board._t_us == k * 100_000
        finally:
            screen.close()
            board.close()
