"""Records on disk: as they were written, or not at all; a damaged one is computed again."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_runner import CASE, RUNS, surroundings_of_a_run  # noqa: F401
from test_sweep import SWEEPS

from lfssd_nb.lab import record_files, records, sweep_cases, tuning
from lfssd_nb.networks import Recipe
from lfssd_nb.system import files, leftovers, processes

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.dictionaries(st.text(), VALUES, max_size=5)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---- properties


@MANY
@given(content=ROWS | st.lists(ROWS, max_size=3))
@example(content={"sha256": "0" * 64, "content": {}})
@example(content={"größe ½ ✓ 😀": [float("nan"), float("-inf"), -0.0, 10**400]})
def test_what_is_read_is_what_was_written(content, tmp_path):
    files.write_json(path := tmp_path / "record.json", content)
    assert repr(files.read_json(path)) == repr(content)  # NaN and -0 are themselves; the order stays


@MANY
@given(content=ROWS | st.lists(ROWS, max_size=3), data=st.data())
def test_a_changed_byte_is_noticed(content, data, tmp_path):
    files.write_json(path := tmp_path / "record.json", content)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    with pytest.raises(files.CorruptFile, match=r"record\.json is damaged .* delete it"):
        files.read_json(path)


@MANY
@given(content=ROWS, data=st.data())
def test_a_cut_or_longer_or_renamed_record_is_noticed(content, data, tmp_path):
    files.write_json(path := tmp_path / "record.json", content)
    raw = path.read_bytes()
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(files.CorruptFile):
        files.read_json(path)
    path.write_bytes(raw + b" ")
    with pytest.raises(files.CorruptFile):
        files.read_json(path)
    (other := tmp_path / "other.json").write_bytes(raw)
    with pytest.raises(files.CorruptFile, match=r"other\.json"):
        files.read_json(other)


# ---- damaged ones are computed again


def flipped(text: bytes) -> bytes:
    """Another digit after the first ``tow`` or ``retained``, which JSON reads without complaint."""
    at = max(text.find(b'"tow": '), text.find(b'"retained": ')) + 12
    return text[:at] + (b"1" if text[at : at + 1] != b"1" else b"2") + text[at + 1 :]


DAMAGES = {
    "a digit": flipped, "empty": lambda _: b"", "{}": lambda _: b"{}", "[]": lambda _: b"[]",
    "[[]]": lambda _: b"[[]]", "null": lambda _: b"null", "text": lambda _: b"\xff\xfe\x00",
    "cut": lambda text: text[:40], "deep": lambda _: b"[" * 100_000, "others": lambda _: b'{"a": 1}',
    "a name": lambda _: b'"tow"',
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("kind", ["run", "sweep", "tuning"])
def test_a_damaged_record_is_no_data_and_computed_again(kind, how, tmp_path):
    case = replace(CASE, recipe=Recipe(1))
    run = records.Run(case, "nothing")
    sweep = replace(SWEEPS[0], case=case, scales=(0.3,), lams=(1.0,), estimators=("LFSSD",))
    tuned = tuning.Tuning((case,), (0.1, 0.3))
    again, load, path = {
        "run": (lambda: records.run([run], tmp_path, 1), lambda: records.load(tmp_path, [run]),
                record_files.record(tmp_path, run)),
        "sweep": (lambda: sweep_cases.run([sweep], tmp_path, 1), lambda: sweep_cases.load(tmp_path, [sweep]),
                  record_files.record(tmp_path, sweep)),
        "tuning": (lambda: tuning.run(tuned, tmp_path), lambda: tuned.rows(case, tmp_path),
                   tuned.record(case, tmp_path)),
    }[kind]  # fmt: skip
    first = again()
    path.write_bytes(DAMAGES[how](path.read_bytes()))
    with pytest.warns(UserWarning, match=f"{path.name} is damaged .*the next run computes it again"):
        assert not len(load())
    with pytest.warns(UserWarning, match=f"{path.name} is damaged"):
        found = again()
    assert found.drop(columns="seconds", errors="ignore").equals(
        first.drop(columns="seconds", errors="ignore")
    )
    assert len(load()) == len(first)


def test_records_without_a_checksum_are_still_records(tmp_path, monkeypatch):
    first = records.run(RUNS[:2], tmp_path, 1)
    for each in RUNS[:2]:
        path = records.record(tmp_path, each)
        path.write_text(json.dumps(files.read_json(path), indent=1))  # as before there was one
    monkeypatch.setattr(records, "_record", None)
    assert records.run(RUNS[:2], tmp_path, 1).equals(first)


# ---- half-written files


def test_what_a_killed_process_left_behind_is_removed_and_nothing_else(tmp_path):
    (ended := subprocess.Popen([sys.executable, "-c", ""])).wait()
    pid = ended.pid
    here, old = processes.place(), time.time() - 2 * leftovers.OLD
    kept = {
        "mine.json": f"mine.json.{here}-{os.getpid()}-01234567.part",  # being written
        "elsewhere": f"elsewhere.{'0' * 8}-{pid}-01234567.part",  # on another machine
        "foreign": "foreign.01234567.part",
    }
    gone = {
        "dead": f"dead.{here}-{pid}-01234567.part",
        "old": f"old.{'0' * 8}-{os.getpid()}-01234567.part",
        "mine, old": f"mine.json.{here}-{os.getpid()}-76543210.part",
    }
    for name in [*kept.values(), *gone.values()]:
        (tmp_path / name).touch()
    for name in (gone["old"], gone["mine, old"], kept["foreign"]):
        os.utime(tmp_path / name, (old, old))
    files.write(tmp_path / "new.json", b"{}")
    assert {path.name for path in tmp_path.iterdir()} == {*kept.values(), "new.json"}
    assert leftovers.PART.fullmatch(leftovers.beside(tmp_path / "a.json").name)
