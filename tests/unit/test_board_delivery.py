"""What the host makes of answers that come late, twice or from another time."""

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.core.rewards import RewardFate
from bci.hardware.board.codes import InputKind, Reason, RingState
from bci.hardware.board.conversation import Conversation
from bci.hardware.board.delivery import Delivery
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import Event, Identity, Nack, Reward, RingEntry
from bci.hardware.board.rewards import MemoryId, Transaction

SETTINGS = Board(kind="simulated", ack_timeout_ms=200.0, retries=3)
MS = 1_000_000


class Desk:
    """A delivery with one reward sent, and nothing heard yet."""

    def __init__(self) -> None:
        self.events: list[BoardEvent] = []
        self.outbox = Outbox()
        self.delivery = Delivery(SETTINGS, self.outbox, self.events.append)
        self.delivery.request(RewardRequest(1, 4.0, trial=1), 0)
        self.delivery.advance(0)
        assert self.reward.fate is RewardFate.SENT

    @property
    def reward(self) -> Transaction:
        transaction = self.delivery.rewards.get(1)
        assert transaction is not None
        return transaction

    def refuse(self, reason: Reason) -> None:
        self.delivery.hear_nack(Nack(self.reward.sequence, Reward.TYPE, reason, 1), 10 * MS)

    def question(self, memory: MemoryId = ("", 0)) -> int:
        self.delivery.begin_settling(memory, 0)
        self.delivery.advance_settling(0)
        return max(self.reward.questions)


def absent(answered: int, session: int = 1) -> RingEntry:
    return RingEntry(answered, 0, session, 1, RingState.ABSENT, 0, 0, 0)


def test_refused_reward_fails_with_the_reason() -> None:
    desk = Desk()
    desk.refuse(Reason.DUTY)
    assert desk.reward.fate is RewardFate.FAILED
    assert desk.events[-1].detail == "refused by the board: duty"


def test_refusal_of_one_copy_is_no_end_while_another_is_on_its_way() -> None:
    desk = Desk()
    desk.delivery.advance(201 * MS)
    desk.refuse(Reason.DUTY)
    assert desk.reward.fate is RewardFate.SENT
    assert desk.delivery.doubtful


def test_busy_board_is_asked_again_soon_and_not_for_ever() -> None:
    desk = Desk()
    desk.refuse(Reason.BUSY)
    assert desk.delivery.advance(11 * MS) == 30 * MS
    desk.delivery.hear_nack(Nack(1, Reward.TYPE, Reason.BUSY, 1), 5_001 * MS)
    assert desk.reward.fate is RewardFate.FAILED


def test_answer_of_the_ring_from_before_the_last_sending_decides_nothing() -> None:
    desk = Desk()
    question = desk.question()
    desk.delivery.forsake(1)
    desk.reward.t_again_ns = 0
    desk.delivery.advance(1)  # sent once more
    desk.delivery.hear_ring(absent(question), 2)
    assert desk.reward.fate is RewardFate.SENT


def test_any_answer_of_the_ring_since_the_last_sending_settles() -> None:
    desk = Desk()
    first = desk.question()
    desk.delivery.advance_settling(300 * MS)
    desk.delivery.hear_ring(absent(first), 301 * MS)
    assert desk.delivery.settled


def test_reward_that_never_arrived_is_not_sent_again_after_safe() -> None:
    desk = Desk()
    question = desk.question()
    desk.delivery.forsake(1)
    desk.delivery.hear_ring(absent(question), 2)
    assert desk.reward.fate is RewardFate.FAILED
    assert desk.events[-1].detail == "the board was made safe"


def greeted() -> tuple[Conversation, list[BoardEvent]]:
    events: list[BoardEvent] = []
    talk = Conversation(SETTINGS, 1, events.append)
    talk.opened(0)
    talk.advance(0, turns=0)
    identity = Identity(1, 1, 1, 1, 0, 256, 0, 10**6, 5 * 10**5, 500, 300, 16, bytes(12))
    talk.received(identity.frame(1), 0)
    talk.advance(1, turns=1)
    return talk, events


def test_frame_repeated_on_the_line_is_one_event() -> None:
    talk, events = greeted()
    lick = Event(InputKind.LICK, 5, 1).frame(2)
    talk.received(lick + lick, 10)
    talk.received(Event(InputKind.LICK, 9, 0).frame(3), 20)
    licks = [event for event in events if event.kind is BoardEventKind.LICK]
    assert [(event.t_device_us, event.value) for event in licks] == [(5, 1.0), (9, 0.0)]


def test_frames_of_the_board_that_went_missing_are_told() -> None:
    talk, events = greeted()
    talk.received(Event(InputKind.LICK, 5, 1).frame(6), 10)
    assert events[-2].kind is BoardEventKind.PROTOCOL
    assert events[-2].value == 4.0


def test_ring_entry_of_another_session_is_not_ours() -> None:
    talk, _ = greeted()
    talk.reward(RewardRequest(1, 4.0, trial=1), 2)
    talk.advance(2, turns=2)
    transaction = talk.rewards.get(1)
    assert transaction is not None
    transaction.questions.add(77)
    done = RingEntry(77, 0, 999, 1, RingState.DONE, 40_000, 5, 6)
    talk.received(done.frame(2), 3)
    assert transaction.fate is RewardFate.SENT


def test_another_board_on_the_line_makes_a_sent_reward_unknown() -> None:
    desk = Desk()
    desk.delivery.hear_ring(absent(desk.question(("the spare one", 0))), 2)
    assert desk.reward.fate is RewardFate.UNKNOWN
