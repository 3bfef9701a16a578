"""The committed notebooks: executed in order, small, complete, and what their text sources say."""

import ast
import json
from pathlib import Path

import jupytext
import pandas as pd
import pytest
from recheck import SETTINGS
from typed_numbers import EXCEPTIONS, unbacked

from notebooks import from_series, pages

BOOKS = Path(__file__).resolve().parents[2] / "notebooks"
TEXTS = sorted((BOOKS / "text").glob("*.md"))


def test_pages_go_by_the_beginning_of_their_names_and_an_unknown_one_is_said_to_be():
    assert [*pages(("so",), written=True)] == [*pages(("solutions",), written=True)] == ["solutions"]
    with pytest.raises(SystemExit, match="no page begins with 'solution_'; there are 00_start_here, "):
        pages(("02", "solution_"), written=True)


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
    written = [(c.cell_type, c.source, c.metadata) for c in from_series(text).cells]
    assert [(c["cell_type"], "".join(c["source"]), c["metadata"]) for c in notebook["cells"]] == written


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


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_every_figure_is_described_for_those_who_cannot_see_it(text):
    """By hand, in sentences of its own, where browsers and nbconvert look for it."""
    described = []
    for cell in json.loads((BOOKS / f"{text.stem}.ipynb").read_text())["cells"]:
        alt = cell["metadata"].get("alt", "")
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                assert output["metadata"].get("image/png", {}).get("alt") == alt, "".join(cell["source"])[:80]
                described.append(alt)
    assert all(15 <= len(alt.split()) <= 90 and alt.rstrip().endswith(".") for alt in described)
    assert len({*described}) == len(described)


def test_prose_outweighs_code():
    for text in TEXTS:
        cells = jupytext.read(text).cells
        words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
        lines = sum(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
        assert text.stem == "solutions" or words > 5 * lines, (text.stem, words, lines)


# ---- claims

CLAIMS = ("exact", "recorded", "holds", "here")


def trees(text: Path) -> list[ast.Module]:
    """The syntax trees of a page's code cells."""
    return [ast.parse(c.source) for c in jupytext.read(text).cells if c.cell_type == "code"]


def claim(node: ast.AST) -> str | None:
    """The kind of claim that a call makes."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLAIMS:
        return node.func.attr if ast.unparse(node.func.value) == "claims" else None
    return None


def outside_functions(node: ast.AST):
    """A node and what is in it, but for the bodies of functions and classes."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            yield from outside_functions(child)


def claimed(text: Path) -> set[tuple[str, str]]:
    """(kind, sentence) of all claims that a page can fail."""
    calls = [node for tree in trees(text) for node in ast.walk(tree) if claim(node) not in (None, "here")]
    return {(claim(node), ast.literal_eval(node.args[1])) for node in calls}


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_page_begins_like_the_others_and_sets_no_threads(text):
    source = "\n".join(ast.unparse(tree) for tree in trees(text))
    assert ast.unparse(trees(text)[0]).count("page.begin(") == source.count("page.begin(") == 1
    assert "set_num_threads" not in source and "use_style" not in source


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_what_a_page_says_it_claims(text):
    """No bare assert, which stops a reader with an empty error; `claims` shows a box and goes on."""
    for tree in trees(text):
        asserts = [n for n in outside_functions(tree) if isinstance(n, ast.Assert)]
        assert not asserts, ast.unparse(asserts[0])


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_claim_that_fails_keeps_nothing_from_being_defined(text):
    """Under the tests a failed claim ends its cell: behind the first claim come claims alone."""
    for tree in trees(text):
        makes = [any(map(claim, ast.walk(statement))) for statement in tree.body]
        behind = tree.body[makes.index(True) :] if any(makes) else []
        for statement in behind:
            inner = statement.body if isinstance(statement, ast.For) else [statement]
            assert all(isinstance(s, ast.Expr) and claim(s.value) for s in inner), ast.unparse(statement)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_cell_of_claims_shows_what_it_measured(text):
    """Claims about networks, records and runs show values; mathematics needs none."""
    for tree in trees(text):
        made = [node for node in ast.walk(tree) if claim(node) not in (None, "exact")]
        sentences = [ast.literal_eval(node.args[0 if claim(node) == "here" else 1]) for node in made]
        assert not made or any("{" in sentence for sentence in sentences), sentences


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_no_number_is_typed_that_nothing_backs(text):
    found = list(unbacked(BOOKS / f"{text.stem}.ipynb"))
    assert not found, found[0]


def test_every_exception_for_a_typed_number_has_a_reason_and_is_used():
    rows = pd.read_csv(EXCEPTIONS, dtype=str, keep_default_na=False)
    assert (rows.reason.str.len() > 10).all() and not rows.duplicated().any()
    for row in rows.itertuples():
        prose = " ".join((BOOKS / "text" / f"{row.page}.md").read_text().split())
        assert row.number in prose, row


# ---- make recheck


@pytest.fixture(scope="module")
def recheck() -> pd.DataFrame:
    return pd.read_csv(BOOKS / "records" / "recheck.csv", keep_default_na=False)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_the_recheck_knows_every_claim_of_a_page_and_no_other(text, recheck):
    mine = recheck[recheck.notebook == text.stem]
    assert set(zip(mine.kind, mine.claim, strict=True)) == claimed(text)


def test_every_claim_held_in_every_execution(recheck):
    assert recheck.of.between(8, len(SETTINGS) - 1).all()  # AVX2 may be all that there is
    failed = recheck[recheck.held < recheck.of]
    assert failed.empty, failed[["notebook", "cell", "failed_in", "claim"]].to_string()


def test_a_claim_that_random_weights_pass_says_why_it_is_there(recheck):
    passed = recheck[recheck.untrained == "passes"]
    assert (passed.reason.str.len() > 10).all() and set(recheck[recheck.kind == "holds"].untrained) <= {
        "passes", "fails", "same",
    }  # fmt: skip
