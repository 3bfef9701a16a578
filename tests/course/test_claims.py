"""Claims: strict under the tests, a box for a reader, logged for `make recheck`."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from lfssd_nb.course import claims
from notebooks import execute

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
KINDS = [claims.exact, claims.recorded, claims.holds]


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv("LFSSD_CLAIMS", "strict")


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Everything that was logged so far, by calling it."""
    path = tmp_path / "log"
    monkeypatch.setenv("LFSSD_CLAIMS_LOG", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("claim", KINDS)
def test_a_claim_that_holds_says_so_with_its_values(claim, capsys, strict):
    claim(torch.tensor(True), "kept {kept:.1f} %, above 95", kept=np.float32(98.76))
    assert capsys.readouterr().out == "✓ kept 98.8 %, above 95\n"


@pytest.mark.parametrize("claim", KINDS)
def test_under_tests_a_claim_that_does_not_hold_raises_sentence_and_values(claim, strict):
    with pytest.raises(claims.ClaimError, match=r"kept 94\.1 %, above 95.*measured: kept = 94\.12"):
        claim(94.123 > 95, "kept {kept:.1f} %, above 95", kept=94.123)


@pytest.mark.parametrize(
    ("claim", "why"),
    [(claims.exact, "report it"), (claims.recorded, "records"), (claims.holds, "another processor")],
)
def test_a_reader_gets_a_box_and_the_page_goes_on(claim, why, capsys):
    claim(False, "kept {kept:.1f} %, above 95", kept=94.1)
    text = capsys.readouterr().out
    assert "came out differently" in text and "kept 94.1 %, above 95" in text and "kept = 94.1" in text
    assert why in text


def test_what_happened_in_a_run_is_never_judged(capsys, strict):
    claims.here("{n} of {of} threes are called an 8.", n=0, of=41)
    assert "0 of 41 threes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "many", [[True, False], np.array([True, True]), torch.ones(2, dtype=bool), pd.Series([])]
)
def test_a_claim_needs_one_truth_value(many):
    with pytest.raises(TypeError, match=rf"one truth value, got {len(many)}: .*all\(\)"):
        claims.holds(many, "all of them")


def test_a_nan_is_no_evidence(strict):
    with pytest.raises(claims.ClaimError, match="nan"):
        claims.holds(float("nan") < 5, "at most 5 % is left: {left}", left=float("nan"))


def test_a_sentence_without_its_value_is_refused():
    with pytest.raises(KeyError, match="kept"):
        claims.holds(True, "kept {kept}")


def test_fields_index_what_tables_hold(capsys):
    row = pd.Series({"lfssd": 98.0, "ssd": 97.0})
    claims.holds(True, "{row[lfssd]:.0f} and {d[a]}", row=row, d={"a": 1})
    assert capsys.readouterr().out == "✓ 98 and 1\n"


def test_everything_is_logged_as_json_can_hold_it(log):
    values = dict(
        a=np.float64(1.5), b=torch.arange(2), c=pd.Series({"x": 1}), d=(1, "two"), e=None, f=Path("p")
    )
    claims.holds(False, "{a}", untrained="for a reason", **values)
    claims.here("nothing")
    first, second = log()
    assert first["values"] == {"a": 1.5, "b": [0, 1], "c": {"x": 1}, "d": [1, "two"], "e": None, "f": "p"}
    assert (first["kind"], first["held"], first["untrained"]) == ("holds", False, "for a reason")
    assert (second["kind"], second["held"], second["sentence"]) == ("here", None, "nothing")


def page(*cells: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])


def test_on_a_readers_screen_a_false_claim_hides_no_cell_below_it():
    book = page(
        "from lfssd_nb.course import claims", "claims.holds(1 > 2, 'one is {n}', n=1)", "print('reached')"
    )
    done = execute("a page", book)
    assert not done.errors and book.cells[2].outputs[0].text == "reached\n"
    box = book.cells[1].outputs[0].data
    assert (
        "<div" in box["text/html"]
        and "came out differently" in box["text/plain"]
        and "one is 1" in box["text/html"]
    )
    assert [(c["held"], c["cell"], c["sentence"]) for c in done.claims] == [(False, 2, "one is {n}")]


def test_a_failed_cell_is_reported_and_the_rest_of_its_page_still_runs():
    book = page("1 / 0", "print('reached')")
    done = execute("a page", book)
    assert done.errors == [(1, "ZeroDivisionError: division by zero")]
    assert book.cells[1].outputs[0].text == "reached\n"


def test_a_kernel_that_dies_is_an_error_of_its_page_alone():
    done = execute("a page", page("import os; os._exit(1)"))
    assert len(done.errors) == 1 and "Dead" in done.errors[0][1]


def test_under_nbval_a_false_claim_fails_with_its_sentence_and_values(tmp_path):
    book = page(
        "from lfssd_nb.course import claims", "claims.holds(1 > 2, 'one is more than two: {n}', n=1)", "2"
    )
    nbformat.write(book, tmp_path / "false.ipynb")
    (tmp_path / "conftest.py").write_text((NOTEBOOKS / "conftest.py").read_text())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--nbval-lax",
        "--nbval-current-env",
        "-q",
    ]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "1 failed, 2 passed" in done.stdout
    assert "ClaimError" in done.stdout and "one is more than two: 1" in done.stdout and "n = 1" in done.stdout


def test_a_page_that_begins_outside_a_notebook_makes_no_shell():
    """Else claims would take the process for a notebook and write Markdown."""
    code = "import ipykernel, IPython, lfssd_nb.course.page as p; p.begin(); print(IPython.get_ipython())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "None\n", done.stderr[-500:]
