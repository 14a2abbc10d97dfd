import contextlib
import copyreg
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.hostile_files import (
    code_pickles,
    colliding_keys_npy,
    crash_pickles,
    object_npy,
    protocol_npy,
    shared_array_npy,
)

from bci.recording.readers import object_file
from bci.recording.readers.object_file import (
    BeyondLimits,
    Limits,
    load_fields,
    values_of,
    watch,
)
from bci.recording.readers.plain_pickle import answer

pytestmark = pytest.mark.slow

NAMES = ("fs", "Ly", "meanImg", "nested", "v0")
OPS = {"fs": 15.0, "Ly": np.int64(512), "nested": {"a": 1}, "path": Path("/data"), 7: None}
STAT = [
    {"ypix": np.arange(i + 2, dtype=">i4"), "lam": np.ones((2, i), np.float32, order="F")}
    for i in range(3)
]


def load_or_refuse(path: Path) -> None:
    """Load a file that may be refused, but may hand back no more than its harmless value."""
    try:
        (found,) = load_fields(path, NAMES)
    except ValueError:
        return
    assert found == {"fs": 15.0}


@pytest.mark.parametrize("attack", code_pickles(Path("marker")))
def test_a_pickle_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    marker, path = tmp_path / "marker", tmp_path / "ops.npy"
    path.write_bytes(object_npy(code_pickles(marker)[attack]))
    # what this process knows is no help to the file
    monkeypatch.setitem(copyreg._extension_registry, ("os", "system"), 42)  # type: ignore[attr-defined]
    monkeypatch.setitem(copyreg._inverted_registry, 42, ("os", "system"))  # type: ignore[attr-defined]
    load_or_refuse(path)
    assert not marker.exists()


@pytest.mark.parametrize("attack", crash_pickles())
def test_a_pickle_crashes_and_starves_nothing_but_the_process_that_reads_it(
    tmp_path: Path, attack: str
) -> None:
    path = tmp_path / "ops.npy"
    path.write_bytes(object_npy(crash_pickles()[attack]))
    load_or_refuse(path)


@pytest.mark.parametrize(
    "content",
    [
        shared_array_npy(3000),
        object_npy(pickle.dumps({"fs": 15.0})),
        object_npy(b"\x80\x04N.", (2,)),
        b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"-" * 8999 + b"\n",
        b"\x93NUMPY",
        b"",
        protocol_npy([{"fs": 15.0}, 3], 4),
    ],
    ids=["values without end", "no array", "None", "deep header", "cut header", "empty", "number"],
)
def test_what_holds_no_dicts_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ops.npy").write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011
        load_fields(tmp_path / "ops.npy", ("fs", "ypix"))


def test_a_file_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_file, "BASE_CPU_S", 0.5)
    (tmp_path / "ops.npy").write_bytes(colliding_keys_npy(100_000))
    with pytest.raises(ValueError, match="more than"):
        load_fields(tmp_path / "ops.npy", ("fs",))


def test_memory_is_limited_where_the_system_does_not_do_it() -> None:
    code = "held = bytearray(b'x') * 300_000_000; input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        with pytest.raises(BeyondLimits, match="200 MB"):
            watch(process, Limits(200_000_000, 1000.0))
        process.kill()


def test_modules_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bci").mkdir()
    for name in ("pickle.py", "msgspec.py", "io.py", "bci/__init__.py", "sitecustomize.py"):
        (tmp_path / name).write_text("open('marker', 'w').close()")
    np.save(tmp_path / "ops.npy", np.array(OPS, object), allow_pickle=True)
    monkeypatch.chdir(tmp_path)
    assert load_fields(Path("ops.npy"), ("fs",)) == [{"fs": 15.0}]
    assert not (tmp_path / "marker").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ops.npy")
    with pytest.raises(OSError, match="named pipe"):
        load_fields(tmp_path / "ops.npy", ("fs",))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_wanted_values_come_as_numpy_wrote_them(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(protocol_npy(OPS, protocol))
    assert load_fields(path, (*NAMES, "path")) == [{"fs": 15.0, "Ly": 512}]
    path.write_bytes(protocol_npy(STAT, protocol))
    found = load_fields(path, ("ypix", "lam", "xpix"))
    assert len(found) == len(STAT)
    for one, written in zip(found, STAT, strict=True):
        assert one.keys() == written.keys()
        for name, array in written.items():
            np.testing.assert_array_equal(one[name], array)


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.lists(st.floats(allow_nan=False) | st.integers(-(1 << 40), 1 << 40))
)
NUMBERS = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes(sizes=(16, 32, 64))
ARRAYS = hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, min_side=0))
RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), PLAIN | ARRAYS, max_size=3), max_size=3)


def stat_of(records: list[dict[str, Any]]) -> np.ndarray:
    stat = np.empty(len(records), object)
    stat[:] = records
    return stat


@given(RECORDS, st.sampled_from([2, 3, 4]))
def test_every_plain_value_survives(records: list[dict[str, Any]], protocol: int) -> None:
    found = values_of(answer(pickle.dumps(stat_of(records), protocol), ["a", "b", "c"], 1 << 30))
    for one, written in zip(found, records, strict=True):
        assert one.keys() == written.keys()
        for name, value in written.items():
            np.testing.assert_equal(one[name], value)
            if isinstance(value, np.ndarray) and value.shape:
                assert one[name].dtype == value.dtype


@given(RECORDS, st.data())
def test_a_changed_pickle_is_read_or_refused(records: list[dict[str, Any]], data: Any) -> None:
    pickled = bytearray(pickle.dumps(stat_of(records), data.draw(st.sampled_from([2, 4]))))
    for _ in range(data.draw(st.integers(1, 4))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    # a memo of gigabytes is for the process with little memory
    if b"r" not in pickled and b"\x96" not in pickled:
        made = answer(bytes(pickled), ["a", "b", "c"], 1 << 20)
        with contextlib.suppress(ValueError):
            assert all(one.keys() <= {"a", "b", "c"} for one in values_of(made))
