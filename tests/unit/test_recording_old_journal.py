"""A session that version 0.1.0 recorded is recomputed bit for bit by this version."""

import gzip
from pathlib import Path

from bci.recording.folder import JOURNAL, MANIFEST
from bci.recording.verify import verify

OLD = Path(__file__).parents[1] / "data" / "session-0.1.0"
N_INPUTS = 2093
"""A baseline, 13 trials, and between them gaps, pauses, duplicates, NaN and a malformed frame."""


def test_session_of_version_0_1_0_verifies(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes((OLD / MANIFEST).read_bytes())
    (tmp_path / JOURNAL).write_bytes(gzip.decompress((OLD / f"{JOURNAL}.gz").read_bytes()))
    verdict = verify(tmp_path)
    assert verdict.ok, verdict
    assert verdict.n_compared == verdict.n_inputs == N_INPUTS
    # s and s3 are exact sums: they do not depend on the computer
    assert verdict.max_ulp == 0
