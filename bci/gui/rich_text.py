"""Plain text on its way into rich text."""

ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def escaped(text: str) -> str:
    """The text as it is read, whatever stands in it."""
    for character, written in ESCAPES:
        text = text.replace(character, written)
    return text
