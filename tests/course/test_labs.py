"""The labs as a course: released, handed in by four kinds of student, graded by nbgrader itself."""

import copy
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

import labs

POINTS = {  # by lab: graded by running tests, graded by hand; as INSTRUCTORS.md says
    "01_importances_by_hand": (14, 4),
    "02_judging_a_class": (10, 4),
    "03_an_honest_comparison": (11, 5),
}
WRONG = {  # by lab: what a student wrote in place of the solution, and the tests that it fails
    "01_importances_by_hand": (
        [
            ("sensitivity", "per_sample.abs().mean(0)", "per_sample.mean(0).abs()"),
            ("fisher", "error.square().mean(0)", "error.abs().mean(0)"),
            ("expected", "variance = p * (1 - p)", "variance = p"),
            ("pair", "column(-1, (-3 + 17**0.5) / 2)", "column(0, 0)"),
            ("dampen", 'name.split(".")[0]', "name[:4]"),
        ],
        {
            "sensitivity-two-samples", "sensitivity-any-layer", "fisher-one-sample", "fisher-any-layer",
            "expected-by-hand", "expected-any-layer", "pair-matters", "dampen-network",
        },
    ),
    "02_judging_a_class": (
        [
            ("ceiling", "float(v.sum() / v[forget].sum())", "len(v) / len(forget)"),
            ("window", "(curve[:, 1:] <= high)", "(curve[:, 1:] <= 100)"),
            ("interval", "(1 + 1 / g) ** 0.5", "(1 / g) ** 0.5"),
            ("panel", "0.05 / len(values)", "0.05"),
        ],
        {
            "ceiling-by-hand", "ceiling-any", "window-kept", "window-left", "window-any", "interval-by-hand",
            "interval-any", "panel-level", "panel-any",
        },
    ),
    "03_an_honest_comparison": (
        [
            ("paired", "for seed in seeds.unique()", "for seed in range(len(seeds))"),
            ("paired", "seeds == seed", "seed"),
            ("victim", "(before == y)[mine]", "torch.ones(len(y))[mine]"),
            ("placebo", "free[forget] = False", "pass"),
            ("signs", ".mean(1).abs()", ".mean(1)"),
        ],
        {
            "paired-seeds", "paired-any", "victim-before", "victim-any", "placebo-apart", "placebo-random",
            "signs-by-hand", "signs-any",
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("course")
    labs.release(folder)
    return folder


def read(course: Path, step: str, lab: str) -> nbformat.NotebookNode:
    return nbformat.read(course / step / lab / f"{lab}.ipynb", as_version=4)


def cells(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    """Those that nbgrader knows, by name."""
    known = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    return {cell.metadata.nbgrader.grade_id: cell for cell in known}


def answered(course: Path, lab: str, change=lambda name, text: text) -> nbformat.NotebookNode:
    """What a student hands in who writes the solutions of the source, after ``change(name, text)``."""
    notebook, source = read(course, "release", lab), cells(read(course, "source", lab))
    for name, cell in cells(notebook).items():
        if cell.metadata.nbgrader.solution:
            cell.source = change(name, source[name].source)
    return notebook


def with_slips(lab: str):
    def change(name, text):
        for where, right, wrong in WRONG[lab][0]:
            if where == name:
                assert right in text, (name, right)
                text = text.replace(right, wrong)
        return text

    return change


def tampered(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same answers; every test says pass and is worth 100 points, and one is gone."""
    notebook = copy.deepcopy(notebook)
    tests = [c for c in cells(notebook).values() if c.metadata.nbgrader.grade and c.cell_type == "code"]
    for cell in tests:
        cell.source, cell.metadata.nbgrader.points = "pass", 100
    notebook.cells.remove(tests[-1])
    return notebook


def graded(course: Path, lab: str, student: str, notebook: nbformat.NotebookNode) -> dict[str, float]:
    """Hands in, lets nbgrader execute and grade: points by test."""
    path = course / "submitted" / student / lab / f"{lab}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    done = labs.course(course).autograde(lab, student)
    assert done["success"], done.get("log", "") + done["error"]
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "lfssd") as book:
        found = book.find_submission_notebook(lab, lab, student)
        return {grade.name: grade.score for grade in found.grades}


def points(course: Path, lab: str) -> dict[str, float]:
    """What each test of the source is worth."""
    source = cells(read(course, "source", lab)).items()
    return {name: c.metadata.nbgrader.points for name, c in source if c.metadata.nbgrader.grade}


@pytest.mark.parametrize("lab", POINTS)
def test_students_get_no_solution_and_no_hidden_test(course, lab):
    source, release = (cells(read(course, step, lab)) for step in ("source", "release"))
    assert source.keys() == release.keys()
    for name, cell in release.items():
        assert "SOLUTION" not in cell.source and "HIDDEN" not in cell.source
        about = cell.metadata.nbgrader
        assert about.schema_version == 3
        if about.solution:
            assert "YOUR CODE HERE" in cell.source or cell.source == "YOUR ANSWER HERE", name
        elif about.grade:
            assert "expect(" in cell.source or "checks." in cell.source, f"{name}: nothing is left to try"
    worth = points(course, lab)
    manual = [n for n, cell in source.items() if cell.metadata.nbgrader.solution and n in worth]
    assert len(manual) == 1 and (sum(worth.values()) - worth[manual[0]], worth[manual[0]]) == POINTS[lab]


@pytest.mark.parametrize("lab", POINTS)
def test_nbgrader_grades_four_kinds_of_students(course, lab):
    worth = points(course, lab)
    source = cells(read(course, "source", lab))
    tests = {name for name in worth if source[name].cell_type == "code"}
    slipped = answered(course, lab, with_slips(lab))
    by = {
        "right": graded(course, lab, "right", answered(course, lab)),
        "empty": graded(course, lab, "empty", read(course, "release", lab)),
        "wrong": graded(course, lab, "wrong", slipped),
        "tampering": graded(course, lab, "tampering", tampered(slipped)),
    }
    assert {name for name in tests if by["right"][name] < worth[name]} == set()
    assert sum(by["empty"].values()) == 0
    assert {name for name in tests if by["wrong"][name] < worth[name]} == WRONG[lab][1]
    assert {name for name in tests if by["wrong"][name] == 0} == WRONG[lab][1]
    assert by["tampering"] == by["wrong"]


def test_a_text_that_is_wrong_is_refused(tmp_path):
    for fence in ('tests="a"', 'solution="a" points=1', 'tests="a" manual="b" points=1', "points=1"):
        (tmp_path / "lab.md").write_text(f"```python {fence}\n1\n```\n", encoding="utf-8")
        with pytest.raises(ValueError, match=r"lab\.md: the cell with .* needs one of given, solution"):
            labs.source(tmp_path / "lab.md")
    (tmp_path / "lab.md").write_text('```python solution="a"\n1\n```\n\n```python given="a"\n2\n```\n')
    with pytest.raises(ValueError, match="a name of its own"):
        labs.source(tmp_path / "lab.md")
