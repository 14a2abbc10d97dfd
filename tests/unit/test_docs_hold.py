"""What the pages for users name is there: files, headings, commands, options, settings, targets."""

import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup

from bci.cli.verbs import app
from bci.config import load_session
from bci.config.outline import Table, outline
from bci.session.run import all_faults

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```.*?^\1```", re.S | re.M)
TOML = re.compile(r"^ *```toml\n(.*?)^ *```", re.S | re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`\n]+)`")
SHELL = re.compile(r"^(?: {3,}|(?=bci |make ))((?:\.venv/bin/)?(?:bci|make)(?: .*)?)$", re.M)
KEY = re.compile(r"\b(?:rig|experiment|animal|lab)(?:\.[a-z0-9_]+)+\b")
ENDINGS = {"py", "toml", "json", "png"}
MISSPELT = {"rig.screen.widht_px"}  # on purpose, in the tutorial
# what stands behind a command in a list of them
REMARK = re.compile(r"\s{3,}.*$|\s+#.*$|\s+in lockstep, none lost$")


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text_of(page)), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return set(plain)


def wrong_links(page: Path) -> Iterator[str]:
    for link in LINK.findall(BLOCK.sub("", text_of(page))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: no such heading"


def commands(page: Path) -> Iterator[str]:
    """Every command of `bci` and `make` on a page, in blocks and within a line."""
    text = re.sub(r"\\\n\s*", " ", text_of(page))
    for line in SHELL.findall(text):
        yield REMARK.sub("", line)
    for code in INLINE.findall(BLOCK.sub("", text)):
        if re.match(r"(bci|make) [a-z]", code):
            yield code


def wrong_commands(page: Path) -> Iterator[str]:
    """Commands that `bci` or `make` would not take as they stand."""
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.M))
    for command in commands(page):
        program, *words = shlex.split(command)
        if program.endswith("bci"):
            # a verb within a line of text may stand without what it is given
            whole = f"`{command}`" not in text_of(page)
            yield from (f"{command}: {fault}" for fault in faults_of(words, whole=whole))
        elif words and words[0] != "-C" and words[0] not in targets:
            yield f"{command}: no such target"


def faults_of(words: list[str], *, whole: bool) -> Iterator[str]:
    """What the command line has against a verb, its options and the number of its arguments."""
    verb = typer.main.get_command(app)
    while isinstance(verb, TyperGroup) and words and not words[0].startswith("-"):
        if words[0] not in verb.commands:
            yield f"no verb {words[0]}"
            return
        verb, words = verb.commands[words[0]], words[1:]
    options = {name: option for option in verb.params for name in option.opts} | {"--help": None}
    given, following = [], iter(words)
    for word in following:
        name, _, value = word.partition("=")
        if not name.startswith("-"):
            given.append(word)
        elif name not in options:
            yield f"no option {name}"
        elif options[name] is None or options[name].is_flag or value:
            continue
        elif next(following, None) is None and whole:
            yield f"{name} without a value"
    arguments = [one for one in verb.params if isinstance(one, TyperArgument)]
    needed = sum(one.required for one in arguments) if whole else 0
    if not needed <= len(given) <= len(arguments) and isinstance(verb, TyperCommand):
        yield f"{len(given)} arguments"


def settings_named(page: Path) -> Iterator[str]:
    """Dotted keys of settings, in text and in commands."""
    for key in KEY.findall(text_of(page)):
        if key.rpartition(".")[2] not in ENDINGS:
            yield key


def settings_in_toml(page: Path) -> Iterator[str]:
    """Dotted keys of every piece of a settings file, as they stand there."""
    for piece in TOML.findall(textwrap.dedent(text_of(page))):
        yield from flat(tomllib.loads(textwrap.dedent(piece)))


def flat(table: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in table.items():
        key = f"{above}{name}"
        if isinstance(value, dict):
            yield from flat(value, f"{key}.")
        else:
            yield key


def known(table: Table) -> Iterator[str]:
    for kind, rows in table.variants.items():
        if kind:
            yield f"{table.key}.kind"
        for row in rows:
            yield row.key
            if isinstance(row, Table):
                yield from known(row)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    keys = {*known(outline()), *MISSPELT}
    unknown = [key for key in settings_named(page) if key not in keys]
    # a piece of a file does not say of which file it is
    unknown += [
        key
        for key in settings_in_toml(page)
        if not keys & {key, f"rig.{key}", f"experiment.{key}", f"rig.source.{key}"}
    ]
    faults = [f"{key}: no such setting" for key in unknown]
    assert not [*wrong_links(page), *wrong_commands(page), *faults]


def test_files_of_the_tutorial_run_as_they_are(tmp_path: Path) -> None:
    for piece in TOML.findall(text_of(ROOT / "docs/tutorial.md")):
        path = tmp_path / piece.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(piece, "utf-8")
    assert all_faults(load_session(tmp_path / "mouse1.toml")) == []
