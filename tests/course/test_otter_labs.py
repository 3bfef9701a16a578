"""The labs for Otter-Grader: their form and, where it is installed, its points for three kinds of student."""

import ast

import nbformat
import otter_labs
import pytest
import yaml
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
from test_labs import POINTS, WRONG, with_slips

import labs


def text(lab):
    return labs.ROOT / "labs" / "text" / f"{lab}.md"


def parts(lab):
    """Questions by name: settings, and the cells inside by id. And the cells outside of all questions."""
    questions, outside, inside = {}, {}, None
    for cell in otter_labs.master(text(lab)).cells:
        if cell.source.startswith("# BEGIN QUESTION"):
            settings, inside = yaml.safe_load(cell.source), {}
            number, name = settings["name"].split("-", 1)
            assert number == f"{len(questions) + 1:02d}"  # whatever is sorted by name is in their order
            questions[name] = settings, inside
        elif cell.source == "# END QUESTION":
            inside = None
        else:
            (outside if inside is None else inside)[cell.id] = cell
    return questions, outside


def released(lab):
    """What nbgrader itself leaves to students of its own source, by id."""
    notebook = labs.source(text(lab))
    for clear in (ClearSolutions(), ClearHiddenTests()):
        notebook, _ = clear.preprocess(notebook, {})
    return {cell.id: cell for cell in notebook.cells}


def stripped(source):
    """What Otter leaves to students of a code cell, by its documentation."""
    kept, solution = [], False
    for line in source.split("\n"):
        solution |= line.strip() == "# BEGIN SOLUTION NO PROMPT"
        if not solution and not line.endswith(("# BEGIN PROMPT", "# END PROMPT")):
            kept.append(line)
        solution &= line.strip() != "# END SOLUTION"
    return "\n".join(kept)


def executed(cell):
    """The text that a test case executes."""
    test, run = ast.parse(cell.source).body[0].body
    assert ast.unparse(run) == "exec(test, env)"
    return ast.literal_eval(test.value)


@pytest.mark.parametrize("lab", POINTS)
def test_every_graded_cell_is_a_question_with_its_points(lab):
    graded = [c for c in labs.source(text(lab)).cells if c.metadata.get("nbgrader", {}).get("grade")]
    questions, outside = parts(lab)
    assert {n: s["points"] for n, (s, _) in questions.items()} == {
        cell.id: cell.metadata.nbgrader.points for cell in graded
    }
    tests = [s["points"] for s, _ in questions.values() if s.get("all_or_nothing")]
    manual = [s["points"] for s, _ in questions.values() if s.get("manual")]
    assert (sum(tests), sum(manual)) == POINTS[lab] and len(tests) + len(manual) == len(questions)
    config = yaml.safe_load(outside["config"].source)
    assert config["name"] == lab and config["strip_solutions_from_all_cells"] and config["generate"]


@pytest.mark.parametrize("lab", POINTS)
def test_students_see_what_nbgrader_shows_them(lab):
    source, seen = {c.id: c.source for c in labs.source(text(lab)).cells}, released(lab)
    questions, outside = parts(lab)
    for name, cell in outside.items():
        assert name == "config" or stripped(cell.source) == seen.pop(name).source, name
    for name, (settings, inside) in questions.items():
        kinds = [cell.source for cell in inside.values() if cell.cell_type == "raw"]
        if settings.get("manual"):
            prose = next(iter(inside))
            assert inside[prose].source == seen.pop(prose).source
            assert list(inside)[1:] == [f"{name}-begin-solution", name, f"{name}-end-solution"]
            assert kinds == ["# BEGIN SOLUTION", "# END SOLUTION"] and "SOLUTION" not in inside[name].source
        else:
            assert kinds == ["# BEGIN TESTS", "# END TESTS"]
            assert executed(inside[f"{name}-seen"]).strip() == seen[name].source.strip()
            hidden = [cell for cell in inside.values() if cell.source.startswith("# HIDDEN\n")]
            assert [executed(cell) for cell in hidden] == [source[name]] * ("HIDDEN" in source[name])
        seen.pop(name)
    assert not seen


@pytest.mark.parametrize(
    ("fence", "body"),
    [
        ('solution="bad"', "x = 1"),
        ('solution="bad"', "### BEGIN SOLUTION\nx = 1"),
        ('solution="bad"', "### END SOLUTION\nx = 1\n### BEGIN SOLUTION"),
        ('given="bad"', "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"),
        ('tests="bad" points=1', "x\n### BEGIN HIDDEN TESTS\ny"),
        ('tests="bad" points=1', "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"),
        ('manual="bad" points=1', "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"),
        ('solution="bad" points=1', "x = 1"),
    ],
)
def test_a_cell_that_students_would_see_too_much_of_is_refused_by_name(tmp_path, fence, body):
    (tmp_path / "lab.md").write_text(f"```python {fence}\n{body}\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"the cell .*'bad'.* needs? "):
        otter_labs.master(tmp_path / "lab.md")


@pytest.mark.parametrize("lab", POINTS)
def test_otter_grades_three_kinds_of_students(tmp_path, monkeypatch, lab):
    assign = pytest.importorskip("otter.assign").main
    grade = pytest.importorskip("otter.api").grade_submission
    monkeypatch.chdir(tmp_path)  # Otter writes a log where it is called
    nbformat.write(otter_labs.master(text(lab)), f"{lab}.ipynb")
    assign(f"{lab}.ipynb", "dist", no_pdfs=True, no_run_tests=True)
    (grader,) = (tmp_path / "dist" / "autograder").glob("*.zip")
    students = tmp_path / "dist" / "student" / f"{lab}.ipynb"
    handed_out = students.read_text(encoding="utf-8")
    assert "SOLUTION" not in handed_out and "HIDDEN" not in handed_out
    solutions = {c.id: c.source for c in labs.source(text(lab)).cells if c.metadata.get("nbgrader")}

    def scores(student, change=None, name=lab):
        """By test; without ``change`` of what is handed out. The file may have got another name."""
        notebook = nbformat.read(students, as_version=4)
        for cell in notebook.cells:
            if change and "raise NotImplementedError()" in cell.source:
                cell.source = change(cell.id, solutions[cell.id])
        (tmp_path / student).mkdir()
        nbformat.write(notebook, tmp_path / student / f"{name}.ipynb")
        results = grade(str(tmp_path / student / f"{name}.ipynb"), str(grader), quiet=True)
        assert not results.has_catastrophic_failure() and results.possible == POINTS[lab][0]
        return {name.split("-", 1)[1]: results.get_score(name) for name in results.test_files}

    right = scores("right", lambda name, source: source)
    assert sum(right.values()) == POINTS[lab][0]
    assert scores("renamed", lambda name, source: source, name="lab(1)") == right
    after_slips = {name: 0 if name in WRONG[lab][1] else worth for name, worth in right.items()}
    assert scores("wrong", with_slips(lab)) == after_slips
    assert scores("empty") == dict.fromkeys(right, 0)
