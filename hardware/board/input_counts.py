"""How often each input of the simulated board changed."""

from bci.hardware.board.codes import InputKind
from bci.hardware.board.protocol import Counts


class InputCounts:
    """Counts since a reset; that of the frame clock since it was armed."""

    def __init__(self) -> None:
        self._frames = 0
        self._changes = dict.fromkeys(InputKind, 0)
        self._wheel = 0

    def arm(self) -> None:
        """The next frame TTL is number 0."""
        self._frames = 0

    def change(self, kind: InputKind, value: int) -> int:
        """Count one change; the value that is told of it."""
        self._changes[kind] += 1
        if kind is InputKind.WHEEL:
            self._wheel = value
        if kind is InputKind.FRAME_TTL:
            self._frames += 1
            return self._frames - 1
        return value

    def told(self, answered: int) -> Counts:
        """The answer to COUNT."""
        changes = self._changes
        return Counts(
            answered=answered,
            frames=self._frames,
            licks=changes[InputKind.LICK],
            photodiode=changes[InputKind.PHOTODIODE],
            aux_1=changes[InputKind.AUX_1],
            aux_2=changes[InputKind.AUX_2],
            wheel=self._wheel,
            unheard=0,
        )
