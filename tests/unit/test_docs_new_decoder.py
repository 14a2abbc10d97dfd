"""The page that adds a decoder, followed to the letter on a copy of the program."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import WAIT_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/how-to/new-decoder.md"
FILE = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
EDIT = re.compile(r"```diff\n(.*?)```", re.DOTALL)
NAMED = re.compile(r"`(bci/[\w/]+\.py)`")


def follow(page: str, root: Path) -> list[str]:
    """Write every file and make every edit of the page; the names of the files written."""
    files = FILE.findall(page)
    for name, content in files:
        (root / name).write_text(content)
    for edit in EDIT.finditer(page):
        # the last file that the text names before an edit is the one that is meant
        path = root / NAMED.findall(page[: edit.start()])[-1]
        lines = edit[1].splitlines()
        old = "\n".join(line[1:] for line in lines if line[0] in " -") + "\n"
        new = "\n".join(line[1:] for line in lines if line[0] in " +") + "\n"
        text = path.read_text()
        assert text.count(old) == 1, f"{path.name} does not hold, once:\n{old}"
        path.write_text(text.replace(old, new))
    return [name for name, _ in files]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    # what is compiled stays valid: files keep their times
    ignored = shutil.ignore_patterns("*.npy", "build")
    for name in ("bci", "configs", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("hardware", "stimuli"):
        # as they are installed
        shutil.copytree(ROOT / name, tmp_path / "bci" / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(copy: Path, *arguments: str) -> None:
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


TRY_IT = """
from pathlib import Path
from bci.bench.decoders import decoder_names, decoder_settings, step_times_ms
from bci.config.load import Override, load_session
load_session(Path("configs/demo.toml"), [Override("experiment.decoder.read_out", "together")])
named = decoder_names()["percentile/together"]
assert len(step_times_ms(decoder_settings(named, 4), 8, 30.0, 10)) == 10
"""


def test_page_adds_a_decoder_that_works(copy: Path) -> None:
    part, test = follow(PAGE.read_text("utf-8"), copy)
    assert part == "bci/core/decoding/together.py"
    tests = (test, "tests/unit/test_core_decoding_parts.py", "-k", "together or registered")
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *tests)
    run(copy, "-c", TRY_IT)
