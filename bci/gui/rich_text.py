"""Plain text on its way into rich text."""

import re

ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def escaped(text: str) -> str:
    """The text as it is read, whatever stands in it."""
    for character, written in ESCAPES:
        text = text.replace(character, written)
    return text


def breakable(text: str) -> str:
    """The same, with places in names of settings and of files where a line may end."""
    return re.sub(r"(?<=\w[._/])(?=\w)", "\N{ZERO WIDTH SPACE}", escaped(text))
