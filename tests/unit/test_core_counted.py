import pytest

from bci.core.counted import counted


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (1_234_567, "1234567 trials")],
)
def test_one_is_singular_and_nothing_is_rounded(number: int, told: str) -> None:
    assert counted(number, "trial") == told


def test_a_plural_of_its_own_is_taken() -> None:
    assert [counted(n, "miss", "misses") for n in (1, 2)] == ["1 miss", "2 misses"]
