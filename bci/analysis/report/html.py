"""Pieces of a page: one file that needs no network."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from bci.analysis.report.style import STYLE

Rows = list[tuple[str, ...]]


def document(title: str, body: str) -> str:
    """A whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def section(title: str, content: str) -> str:
    """A part of the page under its own heading."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def optional(title: str, head: tuple[str, ...], rows: Rows) -> str:
    """A section with a table; nothing where the table is empty."""
    return section(title, table(head, rows)) if rows else ""


def table(head: tuple[str, ...], rows: Rows) -> str:
    """A table with a heading a column; nothing where it is empty."""
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    content = f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="wide">{content}</div>'


def facts(rows: Rows) -> str:
    """A table of names and values; nothing where it is empty."""
    if not rows:
        return ""
    lines = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows)
    return f'<table class="facts"><tbody>{lines}</tbody></table>'


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """The few numbers to see first, each with what it is."""
    items = "".join(
        f"<div><strong>{escape(value)}</strong><span>{escape(name)}</span></div>"
        for value, name in values
    )
    return f'<div class="tiles">{items}</div>'


def figure_html(figure: go.Figure, *, first: bool = False) -> str:
    """A picture; the first one brings plotly's script along."""
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=first,
        config={
            "displaylogo": False,
            "responsive": True,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        },
    )
    return html
