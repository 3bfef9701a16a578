"""The committed notebooks: executed in order, small, complete, and what their text sources say."""

import json
from pathlib import Path

import jupytext
import pytest

BOOKS = Path(__file__).resolve().parent.parent / "notebooks"
TEXTS = sorted((BOOKS / "text").glob("*.md"))


def test_every_text_has_its_notebook_and_no_other():
    assert TEXTS and [p.stem for p in TEXTS] == sorted(p.stem for p in BOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_is_executed_small_and_up_to_date(text):
    path = BOOKS / f"{text.stem}.ipynb"
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert path.stat().st_size < 400_000
    written = [(c.cell_type, c.source) for c in jupytext.read(text).cells]
    assert [(c["cell_type"], "".join(c["source"])) for c in notebook["cells"]] == written


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_checked_cells_have_something_to_compare(text):
    """nbval compares nothing where nothing was committed, and anything with a clock in it never twice."""
    notebook = json.loads((BOOKS / f"{text.stem}.ipynb").read_text())
    for cell in notebook["cells"]:
        if "nbval-check-output" in cell["metadata"].get("tags", []):
            shown = "".join(
                "".join(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in cell["outputs"]
            )
            assert shown.strip(), "".join(cell["source"])
            assert " at 0x" not in shown and "it/s" not in shown and "image/png" not in str(cell["outputs"])


@pytest.mark.parametrize("text", [p for p in TEXTS if p.stem[0].isdigit()], ids=lambda path: path.stem)
def test_every_figure_is_read_out_loud(text):
    """After a cell that draws comes prose, at once or behind cells that only assert or print."""
    cells = json.loads((BOOKS / f"{text.stem}.ipynb").read_text())["cells"]
    for number, cell in enumerate(cells):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            following = [c["cell_type"] for c in cells[number + 1 : number + 3]]
            assert "markdown" in following, "".join(cell["source"])[:80]


def test_prose_outweighs_code():
    for text in TEXTS:
        cells = jupytext.read(text).cells
        words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
        lines = sum(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
        assert text.stem == "solutions" or words > 5 * lines, (text.stem, words, lines)
