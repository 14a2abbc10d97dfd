"""Numbers of things, in words."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 trial`, `2 trials`: a number and what it counts.

    Parameters
    ----------
    number
        How many.
    one, many
        Singular and plural; without the latter the singular and an s.
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
