"""Each fault of the stream has its declared reaction, and no frame is an exception."""

from math import nan
from typing import Any

import msgspec
import numpy as np
import pytest
from core_session import Animal, animal_in, frame_of, info_of, kinds, session_of, started
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.core.ledger import REACTIONS
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Decision, EpochStarted, LedgerKind, Resume, TaskState, ThresholdSet
from bci.core.stimulus_types import ScreenKind
from bci.core.stream_types import StreamInfo

pytestmark = pytest.mark.slow

K = LedgerKind
RATE_HZ = 10
BEYOND = 5 * RATE_HZ


def running(**info: Any) -> Animal:
    """An animal in RUN, its stream with ROIs a, b, c, d."""
    return animal_in(TaskState.RUN, info=info_of(**info))


def good(animal: Animal, **changes: Any) -> Decision:
    """The next frame, as it should be but for `changes`."""
    frame_id = changes.pop("frame_id", animal.next_id)
    values = changes.pop("values", animal.values(frame_id, 0.0))
    return animal.take(frame_of(animal.info, frame_id, values, **changes))


def assert_discarded(animal: Animal, decision: Decision, kind: LedgerKind) -> None:
    """Nothing but a ledger entry came of it."""
    assert kinds(decision.ledger) == [kind]
    assert decision.ledger[0].reaction == REACTIONS[kind] == "discarded"
    assert not decision.decoded
    assert decision.command is None
    assert decision.s3 == animal.decisions[-2].s3


def assert_frozen(animal: Animal, decision: Decision, kind: LedgerKind) -> None:
    """The screen holds still at the last angle, and the read-out stays."""
    before = animal.decisions[-2]
    assert kinds(decision.ledger) == [kind]
    assert "feedback frozen" in decision.ledger[0].reaction
    assert not decision.decoded
    assert (decision.s, decision.s3) == (before.s, before.s3)
    assert decision.command is not None
    assert decision.command.screen is ScreenKind.FROZEN
    assert decision.command.orientation_deg == before.angle_deg


# -- order -----------------------------------------------------------------------------------------


def test_gap_is_counted_and_the_frame_after_it_is_decoded() -> None:
    animal = running()
    last_id = animal.loop.last_frame_id
    decision = good(animal, frame_id=last_id + 4)
    assert decision.decoded
    (gap,) = decision.ledger
    assert (gap.kind, gap.count, gap.reaction) == (K.GAP, 3, REACTIONS[K.GAP])
    assert animal.loop.last_frame_id == last_id + 4


def test_duplicate_is_discarded() -> None:
    animal = running()
    assert_discarded(animal, good(animal, frame_id=animal.loop.last_frame_id), K.DUPLICATE)
    assert good(animal).ledger == ()


def test_permuted_frames_are_a_gap_then_out_of_order() -> None:
    animal = running()
    first = animal.next_id
    decisions = [good(animal, frame_id=first + offset) for offset in (0, 2, 1, 3)]
    assert [kinds(d.ledger) for d in decisions] == [[], [K.GAP], [K.OUT_OF_ORDER], []]
    assert [d.decoded for d in decisions] == [True, True, False, True]
    assert animal.loop.last_frame_id == first + 3


def test_first_frames_permuted_are_told() -> None:
    info = info_of()
    animal = Animal(started(session_of(), info), info)
    decisions = [good(animal, frame_id=frame_id) for frame_id in (2, 0, 1, 2, 3)]
    assert [kinds(d.ledger) for d in decisions] == [
        [],
        [K.OUT_OF_ORDER],
        [K.OUT_OF_ORDER],
        [K.DUPLICATE],
        [],
    ]


def test_stream_that_begins_at_a_small_id_has_lost_nothing() -> None:
    info = info_of()
    animal = Animal(started(session_of(), info), info)
    assert good(animal, frame_id=7).ledger == ()
    assert good(animal, frame_id=8).decoded


def test_far_future_freezes_and_the_stream_goes_on_where_it_was() -> None:
    animal = running()
    last_id = animal.loop.last_frame_id
    assert_frozen(animal, good(animal, frame_id=last_id + BEYOND + 2), K.FAR_FUTURE)
    assert animal.loop.last_frame_id == last_id
    back = good(animal, frame_id=last_id + 1)
    assert back.decoded
    assert back.ledger == ()
    assert back.command is not None
    assert back.command.screen is ScreenKind.GRATING


def test_gap_of_the_longest_allowed_length_is_stepped() -> None:
    animal = running()
    decision = good(animal, frame_id=animal.loop.last_frame_id + BEYOND + 1)
    assert decision.decoded
    assert kinds(decision.ledger) == [K.GAP]


def test_far_future_is_accepted_when_the_next_three_ids_go_on_and_f0_refills() -> None:
    animal = running()
    last_id = animal.loop.last_frame_id
    far = last_id + 1000
    decisions = [good(animal, frame_id=far + k) for k in range(4)]
    assert [kinds(d.ledger) for d in decisions] == [[K.FAR_FUTURE]] * 3 + [[K.GAP]]
    assert [d.decoded for d in decisions] == [False, False, False, True]
    assert decisions[3].ledger[0].count == far + 3 - last_id - 1
    assert animal.loop.last_frame_id == far + 3
    assert animal.loop.decoder.frames_since_reset == 1
    assert decisions[3].state is TaskState.WAITING
    assert decisions[3].trial_end is not None
    assert good(animal, frame_id=far + 4).ledger == ()


def test_gap_to_an_id_from_nowhere_is_no_more_than_a_journal_holds() -> None:
    animal = running()
    decision = [good(animal, frame_id=2**60 + k) for k in range(4)][-1]
    assert kinds(decision.ledger) == [K.GAP]
    stored = msgspec.msgpack.encode(decision)
    # NaN is not equal to itself, its bytes are
    assert msgspec.msgpack.encode(msgspec.msgpack.decode(stored, type=Decision)) == stored


@pytest.mark.parametrize(
    "ids", [(0, 1, 2, 5, 6, 7), (0, 1, 2, 2, 3), (0, 2, 4, 6, 8), (5, 4, 3, 2)]
)
def test_far_future_that_does_not_go_on_is_never_accepted(ids: tuple[int, ...]) -> None:
    animal = running()
    last_id = animal.loop.last_frame_id
    for offset in ids:
        decision = good(animal, frame_id=last_id + 1000 + offset)
        assert kinds(decision.ledger) == [K.FAR_FUTURE]
    assert animal.loop.last_frame_id == last_id
    assert good(animal, frame_id=last_id + 1).decoded


def test_far_future_interrupted_by_the_present_begins_anew() -> None:
    animal = running()
    last_id = animal.loop.last_frame_id
    for k in range(3):
        good(animal, frame_id=last_id + 1000 + k)
    good(animal, frame_id=last_id + 1)
    assert kinds(good(animal, frame_id=last_id + 1003).ledger) == [K.FAR_FUTURE]
    assert animal.loop.last_frame_id == last_id + 1


def test_garbage_id_of_the_first_frame_does_not_shut_the_stream_out() -> None:
    info = info_of()
    animal = Animal(started(session_of(), info), info)
    assert kinds(good(animal, frame_id=2**63).ledger) == [K.FAR_FUTURE]
    assert good(animal, frame_id=0).decoded


def test_long_gap_that_ends_on_a_bad_frame_still_refills_f0() -> None:
    animal = running()
    far = animal.loop.last_frame_id + 1000
    for k in range(3):
        good(animal, frame_id=far + k)
    bad = good(animal, frame_id=far + 3, values=[nan, 1, 2, 3])
    assert kinds(bad.ledger) == [K.GAP, K.NOT_FINITE]
    assert bad.state is TaskState.WAITING
    good(animal, frame_id=far + 4)
    assert animal.loop.decoder.frames_since_reset == 1


# -- identity --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"session_hash": 7}, K.WRONG_SESSION, "session 0000000000000007"),
        ({"epoch": 3}, K.WRONG_EPOCH, "epoch 3, not 0"),
        ({"roi_hash": 9}, K.WRONG_ROIS, "ROI order 0000000000000009"),
        ({"plane": 1}, K.WRONG_PLANE, "plane 1 of 1"),
        ({"values": [1, 2, 3]}, K.WRONG_SIZE, "3 ROIs in plane 0, not 4"),
        ({"values": []}, K.WRONG_SIZE, "0 ROIs in plane 0, not 4"),
        ({"values": [1] * 5}, K.WRONG_SIZE, "5 ROIs in plane 0, not 4"),
    ],
)
def test_frame_of_another_stream_is_discarded(
    changes: dict[str, Any], kind: LedgerKind, told: str
) -> None:
    animal = running()
    next_id = animal.next_id
    decision = good(animal, **changes)
    assert_discarded(animal, decision, kind)
    assert told in decision.ledger[0].detail
    assert good(animal, frame_id=next_id).decoded


def test_sender_that_tells_neither_session_nor_rois_is_believed() -> None:
    decision = good(running(), session_hash=0, roi_hash=0)
    assert decision.decoded
    assert decision.ledger == ()


def test_new_epoch_shuts_the_old_one_out() -> None:
    animal = running()
    animal.hears(EpochStarted(1))
    assert kinds(good(animal, epoch=0).ledger) == [K.WRONG_EPOCH]
    assert good(animal, frame_id=animal.loop.last_frame_id + 1, epoch=1).decoded


# -- content ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [nan, np.inf, -np.inf])
def test_not_finite_in_an_ensemble_is_not_decoded(value: float) -> None:
    animal = running()
    assert_frozen(animal, good(animal, values=[100, value, 100, 100]), K.NOT_FINITE)


@pytest.mark.parametrize("value", [nan, np.inf, -np.inf])
def test_not_finite_elsewhere_is_decoded_and_flagged(value: float) -> None:
    animal = running()
    decision = good(animal, values=[100, 100.3, 100, value])
    assert kinds(decision.ledger) == [K.NOT_FINITE_ELSEWHERE]
    assert decision.ledger[0].count == 1
    assert decision.decoded
    assert good(animal).decoded


def test_not_finite_in_the_other_plane_is_flagged_and_nothing_freezes() -> None:
    info = info_of("abcdef", planes=(0, 0, 0, 0, 1, 1))
    loop = started(session_of(), info)
    assert loop.step(frame_of(info, 0, [100, 101, 102, 103])).decoded
    other = loop.step(frame_of(info, 1, [nan, 1.0], plane=1))
    assert kinds(other.ledger) == [K.NOT_FINITE_ELSEWHERE]
    assert not other.decoded
    assert other.command is None
    assert loop.step(frame_of(info, 2, [101, 101, 102, 103])).decoded


def test_dark_image_freezes_once_a_baseline_is_known() -> None:
    animal = running()
    values = [20.0, 21.0, 22.0, 23.0]
    assert_frozen(animal, good(animal, values=values), K.DARK)
    assert "22" in animal.decisions[-1].ledger[0].detail


def test_dark_is_measured_against_the_baseline_that_calibration_tells() -> None:
    animal = running()
    animal.hears(ThresholdSet(0.3, -0.3, 1000.0, "operator"))
    assert kinds(good(animal, values=[290, 291, 292, 293]).ledger) == [K.DARK]
    assert good(animal, values=[310, 311, 312, 313]).decoded


def test_first_window_stands_for_the_baseline_where_none_is_told() -> None:
    info = info_of()
    loop = started(session_of(), info)
    animal = Animal(loop, info)
    assert good(animal, values=[1, 2, 3, 4]).decoded
    animal.rests(loop.decoder.window_frames)
    assert kinds(good(animal, values=[1, 2, 3, 4]).ledger) == [K.DARK]


def test_baseline_without_light_leaves_nothing_to_be_darker() -> None:
    info = info_of(dark_counts=100.0)
    animal = Animal(started(session_of(), info), info, rest=50.0)
    for _ in range(50):
        assert K.DARK not in kinds(animal.rests().ledger)


def test_unchanged_image_freezes() -> None:
    animal = running()
    good(animal, values=[100, 101, 102, 103])
    assert_frozen(animal, good(animal, values=[100, 101, 102, 103]), K.UNCHANGED)
    assert good(animal, values=[100, 101, 102, 104]).decoded


def test_unchanged_image_is_seen_where_an_roi_is_never_finite() -> None:
    animal = running()
    assert good(animal, values=[100, 101, 102, nan]).decoded
    decision = good(animal, values=[100, 101, 102, nan])
    assert kinds(decision.ledger) == [K.NOT_FINITE_ELSEWHERE, K.UNCHANGED]
    assert not decision.decoded


def test_unchanged_image_is_seen_across_the_frames_of_another_plane() -> None:
    info = info_of("abcdef", planes=(0, 0, 0, 0, 1, 1))
    loop = started(session_of(), info)
    loop.step(frame_of(info, 0, [100, 101, 102, 103]))
    loop.step(frame_of(info, 1, [50, 51], plane=1))
    assert kinds(loop.step(frame_of(info, 2, [100, 101, 102, 103])).ledger) == [K.UNCHANGED]


def test_other_plane_is_not_asked_for_change_or_light() -> None:
    info = info_of("abcdef", planes=(0, 0, 0, 0, 1, 1))
    loop = started(session_of(), info)
    for frame_id in range(0, 100, 2):
        assert loop.step(frame_of(info, frame_id, [100 + frame_id % 4, 101, 102, 103])).decoded
        assert loop.step(frame_of(info, frame_id + 1, [0, 0], plane=1)).ledger == ()


@pytest.mark.parametrize("middle", [980.0, 1000.0, 5000.0])
def test_saturated_image_freezes(middle: float) -> None:
    animal = running(saturation_counts=1000.0)
    values = [100, middle, middle, middle + 1]
    assert_frozen(animal, good(animal, values=values), K.SATURATED)


def inverted() -> StreamInfo:
    return info_of(polarity=-1, dark_counts=1000.0, saturation_counts=1000.0)


def test_inverted_digitiser_is_saturated_at_its_low_end_and_dark_at_its_high() -> None:
    loop = started(session_of(), inverted())
    animal = Animal(loop, inverted())
    for frame_id in range(15):
        decision = good(animal, values=[800 + frame_id % 2, 800, 801, 802])
        assert decision.decoded
        assert decision.ledger == ()
    assert kinds(good(animal, values=[970, 971, 972, 973]).ledger) == [K.DARK]
    assert kinds(good(animal, values=[10, 11, 12, 13]).ledger) == [K.SATURATED]
    assert good(animal, values=[700, 701, 702, 703]).decoded


def test_dim_image_of_an_inverted_digitiser_is_not_saturated() -> None:
    animal = Animal(started(session_of(), inverted()), inverted())
    assert good(animal, values=[985, 986, 987, 988]).ledger == ()


def bad_values(kind: LedgerKind) -> list[float]:
    return {
        K.DARK: [1.0, 1, 1, 1],
        K.SATURATED: [990.0, 990, 990, 990],
        K.UNCHANGED: [100.0, 101, 102, 103],
    }[kind]


CONTENT = [K.DARK, K.SATURATED, K.UNCHANGED]


def spoil(animal: Animal, kind: LedgerKind, n_frames: int) -> list[Decision]:
    """Frames with one fault of content, told apart where the fault is not that they are alike."""
    values = np.array(bad_values(kind))
    if kind is K.UNCHANGED:
        good(animal, values=values)
        return [good(animal, values=values) for _ in range(n_frames)]
    return [good(animal, values=values + k % 2) for k in range(n_frames)]


@pytest.mark.parametrize("kind", CONTENT)
def test_fault_of_content_pauses_after_a_second_with_an_alarm(kind: LedgerKind) -> None:
    animal = running(saturation_counts=1000.0)
    decisions = spoil(animal, kind, RATE_HZ + 4)
    assert kinds(decisions[0].ledger) == [kind]
    assert [d.ledger for d in decisions[1:RATE_HZ]] == [()] * (RATE_HZ - 1)
    assert {d.state for d in decisions[:RATE_HZ]} == {TaskState.RUN}
    alarm = decisions[RATE_HZ]
    assert kinds(alarm.ledger) == [K.FAULT_PAUSE]
    assert alarm.state is TaskState.PAUSED
    assert alarm.light is not None
    assert not alarm.light.on
    assert alarm.trial_end is not None
    assert [d.ledger for d in decisions[RATE_HZ + 1 :]] == [()] * 3


def test_ensemble_roi_that_stays_lost_pauses_instead_of_holding_the_trial_for_ever() -> None:
    animal = running()
    decisions = [good(animal, values=[np.nan, 101, 102, 103]) for _ in range(RATE_HZ + 1)]
    assert {d.state for d in decisions[:RATE_HZ]} == {TaskState.RUN}
    assert all(kinds(d.ledger) == [K.NOT_FINITE] for d in decisions[:RATE_HZ])
    assert kinds(decisions[RATE_HZ].ledger) == [K.NOT_FINITE, K.FAULT_PAUSE]
    assert decisions[RATE_HZ].state is TaskState.PAUSED


@pytest.mark.parametrize("kind", CONTENT)
def test_fault_pause_lasts_until_the_operator_resumes(kind: LedgerKind) -> None:
    animal = running(saturation_counts=1000.0)
    spoil(animal, kind, RATE_HZ + 1)
    animal.rests(30)
    assert animal.loop.state is TaskState.PAUSED
    assert animal.hears(Resume()).state is TaskState.WAITING
    assert animal.rests().state is TaskState.GREY


def test_resume_while_the_fault_lasts_pauses_again_at_once() -> None:
    animal = running()
    spoil(animal, K.DARK, RATE_HZ + 2)
    animal.hears(Resume())
    (again,) = spoil(animal, K.DARK, 1)
    assert kinds(again.ledger) == [K.FAULT_PAUSE]
    assert again.state is TaskState.PAUSED


def test_fault_of_content_pays_a_reward_already_earned() -> None:
    session = session_of(task={"hit_s": 5.0, "reward_delay_s": 4.0})
    animal = animal_in(TaskState.HIT, session)
    decisions = spoil(animal, K.DARK, RATE_HZ + 1)
    assert [d.reward is not None for d in decisions] == [False] * RATE_HZ + [True]


def test_faults_of_content_that_take_turns_last_together() -> None:
    animal = running(saturation_counts=1000.0)
    told = []
    for k in range(RATE_HZ + 1):
        kind = (K.DARK, K.SATURATED)[k % 2]
        told += good(animal, values=np.array(bad_values(kind)) + k).ledger
    assert kinds(told)[-1] is K.FAULT_PAUSE
    assert animal.loop.state is TaskState.PAUSED


def test_one_good_frame_ends_a_fault_of_content() -> None:
    animal = running()
    for _ in range(4):
        spoil(animal, K.DARK, RATE_HZ - 2)
        assert good(animal).decoded
    assert animal.loop.state is not TaskState.PAUSED
    entries = [entry for d in animal.decisions for entry in d.ledger]
    assert kinds(entries) == [K.DARK] * 4


@pytest.mark.parametrize("kind", [K.NOT_FINITE, *CONTENT])
def test_flagged_frames_do_not_enter_f0(kind: LedgerKind) -> None:
    clean, spoilt = (running(saturation_counts=1000.0) for _ in range(2))
    for animal in (clean, spoilt):
        good(animal, values=[100, 101, 102, 103])
    for _ in range(5):
        values = [nan] * 4 if kind is K.NOT_FINITE else bad_values(kind)
        good(spoilt, values=values)
    clean.loses(5)
    for _ in range(20):
        one, other = clean.rests(), spoilt.rests()
        assert (one.s, one.s3) == (other.s, other.s3)
        assert clean.loop.decoder.signal == spoilt.loop.decoder.signal


def test_roi_below_the_floor_is_flagged_once_until_it_recovers() -> None:
    info = info_of()
    session = session_of(decoder={"dff_floor_counts": 50.0})
    animal = Animal(started(session, info), info)
    dim = [100.0, 20.0, 100.0, 100.0]
    flags = []
    for k in range(12):
        decision = good(animal, values=[100 + k % 2, *dim[1:]])
        assert decision.decoded
        flags += decision.ledger
    assert kinds(flags) == [K.BELOW_FLOOR]
    assert flags[0].detail == "b"
    animal.rests(20)
    for k in range(12):
        flags += good(animal, values=[100 + k % 2, *dim[1:]]).ledger
    assert kinds(flags) == [K.BELOW_FLOOR] * 2


# -- anything at all -------------------------------------------------------------------------------

RESTING = np.array([100.0, 101.0, 102.0, 103.0], dtype=np.float32)
OFFSETS = [1] * 12 + [2, 3, 10, 50, 51, 52, 0, -1, -2, -30, 10**6, 10**6 + 1, 2**60]
CONTENTS = ["good"] * 8 + [
    "active", "stale", "dark", "saturated", "negative", "huge", "any",
    "nan in ensemble", "nan elsewhere", "inf in ensemble", "-inf elsewhere",
]  # fmt: skip

steps = st.fixed_dictionaries(
    {
        "from_far": st.booleans(),
        "offset": st.sampled_from(OFFSETS),
        "content": st.sampled_from(CONTENTS),
        "plane": st.sampled_from([0] * 6 + [1] * 5 + [2, 65535]),
        "size": st.sampled_from(["right"] * 15 + ["short", "long", "none"]),
        "session": st.sampled_from(["right"] * 15 + ["untold", "wrong"]),
        "rois": st.sampled_from(["right"] * 15 + ["untold", "wrong"]),
        "epoch": st.sampled_from([0] * 15 + [1, 2**32 - 1]),
        "any": st.lists(st.floats(width=32), min_size=4, max_size=4),
    }
)


class Fuzz:
    """Arbitrary frames at a two-plane loop, and a reading of the ledger beside it."""

    def __init__(self, polarity: int) -> None:
        dark = 0.0 if polarity > 0 else 5000.0
        self.info = info_of(
            "abcdefg",
            planes=(0, 0, 0, 0, 1, 1, 1),
            rate_hz=20.0,
            polarity=polarity,
            dark_counts=dark,
            saturation_counts=5000.0,
        )
        self.session = session_of(decoder={"dff_floor_counts": 1.0})
        self.loop: ClosedLoop = started(self.session, self.info)
        self.base = dark + polarity * RESTING
        self.polarity = polarity
        self.n = 0
        self.far_id = 0
        self.before = self.base
        self.window: list[list[float]] = []
        self.screen: tuple[ScreenKind, float] | None = None
        self.in_content: LedgerKind | None = None
        self.sequence = 1
        self.s3 = nan

    def values(self, content: str, any_values: list[float]) -> NDArray[np.float32]:
        values = self.base + np.float32(self.polarity * (self.n % 7) / 8)
        match content:
            case "active":
                values[0] += 400 * self.polarity
            case "stale":
                values = self.before.copy()
            case "dark":
                values -= 95 * self.polarity
            case "saturated":
                values += 4890 * self.polarity
            case "negative":
                values = -values
            case "huge":
                values[self.n % 4] = 3e38 * (-1) ** self.n
            case "any":
                values = np.array(any_values, dtype=np.float32)
            case "nan in ensemble":
                values[self.n % 2] = nan
            case "nan elsewhere":
                values[2 + self.n % 2] = nan
            case "inf in ensemble":
                values[1] = np.inf
            case "-inf elsewhere":
                values[3] = -np.inf
        return values.astype(np.float32)

    def take(self, step: dict[str, Any]) -> None:
        loop, info = self.loop, self.info
        self.n += 1
        last_id = loop.last_frame_id
        base_id = self.far_id if step["from_far"] and step["offset"] == 1 else last_id
        frame_id = max(0, base_id + step["offset"])
        if frame_id > last_id:
            self.far_id = frame_id
        values = self.values(step["content"], step["any"])
        if step["plane"] == 1:
            values = values[:3]
        values = {
            "right": values,
            "short": values[:2],
            "long": np.tile(values, 2),
            "none": values[:0],
        }[step["size"]]
        hashes = {"right": (info.session_hash, info.roi_hash), "untold": (0, 0), "wrong": (5, 5)}
        frame = frame_of(
            info,
            frame_id,
            values,
            step["plane"],
            epoch=step["epoch"],
            session_hash=hashes[step["session"]][0],
            roi_hash=hashes[step["rois"]][1],
        )
        decision = loop.step(frame)
        self.judge(frame.fluorescence, frame_id, step["plane"], last_id, decision)

    def judge(
        self,
        values: NDArray[np.float32],
        frame_id: int,
        plane: int,
        last_id: int,
        decision: Decision,
    ) -> None:
        loop, told = self.loop, kinds(decision.ledger)
        self.sequence += 1
        assert (decision.sequence, decision.frame_id) == (self.sequence, frame_id)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(decision), type=Decision)
        for entry in decision.ledger:
            assert entry.reaction == REACTIONS[entry.kind]
            assert entry.frame_id == frame_id
        reactions = [entry.reaction for entry in decision.ledger]
        discarded = "discarded" in reactions
        far = K.FAR_FUTURE in told
        stepped = not discarded and not far

        assert loop.last_frame_id == (frame_id if stepped else last_id)
        assert loop.last_frame_id >= last_id
        assert not discarded or len(told) == 1
        if stepped and frame_id != last_id + 1 and last_id >= 0:
            assert K.GAP in told
        assert stepped or frame_id != last_id + 1 or told[0].startswith("wrong")

        if K.GAP in told and frame_id - last_id - 1 > 5 * self.info.rate_hz:
            self.window.clear()
        frozen = far
        if stepped and plane == 0:
            content = [kind for kind in told if kind in CONTENT]
            bad = K.NOT_FINITE in told or bool(content)
            if not decision.decoded and not bad:
                assert self.in_content is not None, "each wrong frame is in the ledger"
            frozen = not decision.decoded
            assert frozen == any("not decoded, feedback frozen" in r for r in reactions) or (
                self.in_content is not None
            )
            if content:
                self.in_content = content[0]
            if decision.decoded:
                assert not bad
                self.in_content = None
                self.window.append(values[:2].tolist())
            self.before = values
        else:
            assert not decision.decoded
        self.check_read_out(decision)
        self.check_screen(decision, frozen=frozen)

    def check_read_out(self, decision: Decision) -> None:
        decoder = self.loop.decoder
        if not decision.decoded:
            assert decision.s3 == self.s3 or self.s3 != self.s3
            return
        self.s3 = decision.s3
        window = np.array(self.window[-decoder.window_frames :])
        f = self.polarity * (window - self.info.dark_counts)
        f0 = np.maximum(np.percentile(f, 10, axis=0), 1.0)
        assert decoder.signal == ((f[-1] - f0) / f0).tolist(), "F0 holds decoded frames alone"

    def check_screen(self, decision: Decision, *, frozen: bool) -> None:
        command = decision.command
        if command is not None:
            assert (command.screen, command.orientation_deg) != self.screen
            if command.screen is ScreenKind.FROZEN and self.screen is not None and frozen:
                assert command.orientation_deg == self.screen[1]
            self.screen = (command.screen, command.orientation_deg)
        if decision.state is TaskState.RUN and self.screen is not None:
            if frozen:
                assert self.screen[0] is ScreenKind.FROZEN
            elif decision.decoded:
                assert self.screen == (ScreenKind.GRATING, decision.angle_deg)


def check_any_frames(rows: list[dict[str, Any]], polarity: int) -> None:
    fuzz = Fuzz(polarity)
    calm = {"from_far": False, "offset": 1, "content": "good", "plane": 0, "size": "right",
            "session": "right", "rois": "right", "epoch": 0, "any": []}  # fmt: skip
    for k in range(26):
        fuzz.take(calm | {"plane": k % 2})
    assert fuzz.loop.state is not TaskState.WAITING
    for row in rows:
        fuzz.take(row)


@given(st.lists(steps, min_size=20, max_size=60), st.sampled_from([1, -1]))
@settings(max_examples=25)
def test_any_frames_are_judged_as_declared(rows: list[dict[str, Any]], polarity: int) -> None:
    check_any_frames(rows, polarity)


@pytest.mark.long
@pytest.mark.timeout(900)
@given(st.lists(steps, min_size=20, max_size=120), st.sampled_from([1, -1]))
@settings(max_examples=2000)
def test_any_frames_are_judged_as_declared_long(rows: list[dict[str, Any]], polarity: int) -> None:
    check_any_frames(rows, polarity)
