"""The host's side of other makers' boards, on a clock that the test turns."""

from bci.config.rig import Board, BpodBoard
from bci.core.board_types import BoardEvent, BoardEventKind, RewardRequest
from bci.hardware.board.bpod import BpodDialect
from bci.hardware.board.conversation import LineState
from bci.hardware.board.plain import PlainTalk

STEP_NS = 10_000_000
HARDWARE = bytes([0, 1, 100, 0, 60, 5, 5, 5, 2]) + b"UX" + bytes([3]) + b"UXS"
ANSWERS = {ord("6"): b"5", ord("F"): bytes([22, 0, 2, 0]), ord("H"): HARDWARE, ord("G"): b"\x01"}


class Bpod:
    """Answers single commands at once, and takes rewards without ever ending one."""

    def __init__(self) -> None:
        self.events: list[BoardEvent] = []
        settings = Board(kind="bpod", port="COM1")
        self.talk = PlainTalk(settings, BpodDialect(BpodBoard()), self.events.append)
        self.t_ns = 0
        self.said = b""
        self.talk.opened(0)

    def turn(self, seconds: float, *, answering: bool = True, turning: bool = True) -> None:
        for _ in range(round(seconds * 1e9 / STEP_NS)):
            self.t_ns += STEP_NS
            self.talk.advance(self.t_ns, self.t_ns if turning else 0)
            out = self.talk.take_output()
            self.said += out
            if answering and not out.startswith(b"C"):
                for byte in out:
                    self.talk.received(ANSWERS.get(byte, b""), self.t_ns)

    def kinds(self) -> list[BoardEventKind]:
        return [event.kind for event in self.events]


def test_idle_device_that_answers_stays_connected_and_a_silent_one_is_dead() -> None:
    bpod = Bpod()
    bpod.turn(60.0)
    assert bpod.talk.state is LineState.READY
    assert not bpod.talk.dead
    assert bpod.kinds() == [BoardEventKind.CONNECTED]
    bpod.turn(4.0, answering=False)
    assert bpod.talk.dead


def test_reward_whose_end_never_comes_is_unknown_sent_once_and_followed_by_a_greeting() -> None:
    bpod = Bpod()
    bpod.turn(1.0)
    bpod.said = b""
    bpod.talk.reward(RewardRequest(1, 4.0, trial=1), bpod.t_ns)
    bpod.turn(2.0)
    assert bpod.kinds()[-1] is BoardEventKind.CONNECTED
    assert BoardEventKind.REWARD_UNKNOWN in bpod.kinds()
    assert bpod.said.count(b"R") == 1
    assert bpod.said.index(b"X") < bpod.said.index(b"6")


def test_reward_of_a_loop_that_stands_still_is_not_sent_and_fails_when_it_is_late() -> None:
    bpod = Bpod()
    bpod.turn(1.0)
    bpod.turn(1.0, turning=False)
    bpod.said = b""
    bpod.talk.reward(RewardRequest(1, 4.0, trial=1), bpod.t_ns)
    bpod.turn(6.0, turning=False)
    assert b"R" not in bpod.said
    assert bpod.kinds()[-1] is BoardEventKind.REWARD_FAILED
