"""The labs for Otter-Grader: what `labs.source` makes of a text, in the format of Otter Assign, version 7.

    python scripts/otter_labs.py FOLDER

writes FOLDER/otter/LAB/LAB.ipynb. From it ``otter assign`` makes the students' notebook, and a zip file that
grades them. What becomes of a cell:

============ =========================================================================================
``given``    stays and cannot be edited in Jupyter; when it is graded, nothing undoes a change
``solution`` students find ``# YOUR CODE HERE``, as nbgrader writes it
``tests``    a question, all its points or none: what students can run and, hidden, the whole cell
``manual``   a question with ``manual: true``; the prose before it belongs to it
============ =========================================================================================

A test is executed in the names of the notebook, because it may use what a test before it has defined.
(Otter's doctests get a copy of them, and take an expression with a value for a failure.) Questions have
numbers, because Otter runs by alphabet what the notebook does not run itself, as when its file was renamed.
"""

import json
import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_raw_cell

import labs

CONFIG = dict(
    generate=True, strip_solutions_from_all_cells=True, tests={"ok_format": False}, export_cell={"pdf": False}
)
CUT = {"solution": "SOLUTION", "manual": "SOLUTION", "tests": "HIDDEN TESTS"}
REGION = r"^([ \t]*)[^\n]*BEGIN {0}[^\n]*\n(.*?)^[^\n]*END {0}[^\n]*$"
SOLUTION = r"""\1# BEGIN SOLUTION NO PROMPT
\2\1# END SOLUTION
\1''' # BEGIN PROMPT
\1# YOUR CODE HERE
\1raise NotImplementedError()
\1'''; # END PROMPT"""


def replaced(cell: nbformat.NotebookNode, kind: str | None, by: str) -> str:
    """A cell's source with another text in place of each region from BEGIN to END.

    Raises ``ValueError`` if there is none in a solution, or one that students would see.
    """
    marks, what = re.findall("(?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)", cell.source), CUT.get(kind)
    new, n = re.subn(REGION.format(what), by, cell.source, flags=re.M | re.S)
    if marks != [f"BEGIN {what}", f"END {what}"] * n or (n == 0 and what == "SOLUTION"):
        raise ValueError(
            f"the cell {cell.id!r} ({kind or 'not named'}) has the marks {marks}; a solution and a manual "
            "cell need BEGIN and END SOLUTION, tests may have BEGIN and END HIDDEN TESTS, others have none"
        )
    return new


def block(what: str, name: str, /, *cells: nbformat.NotebookNode, **settings) -> list[nbformat.NotebookNode]:
    """Cells between Otter's two raw ones; the first also holds the settings."""
    lines = [f"# BEGIN {what}", *(f"{key}: {json.dumps(value)}" for key, value in settings.items())]
    begin = new_raw_cell("\n".join(lines), id=f"{name}-begin-{what.lower()}")
    return [begin, *cells, new_raw_cell(f"# END {what}", id=f"{name}-end-{what.lower()}")]


def case(name: str, function: str, source: str, first: str = "") -> nbformat.NotebookNode:
    code = f"{first}def {function}(env):\n    test = {source!r}\n    exec(test, env)"
    return new_code_cell(code, id=f"{name}-{function}")


def master(text: Path) -> nbformat.NotebookNode:
    """The notebook of a text for ``otter assign``.

    Raises ``ValueError`` where `labs.source` does, for marks in the wrong place, and for a cell to be graded
    by hand without prose right before it.
    """
    notebook, config = labs.source(text), json.dumps({"name": text.stem} | CONFIG, indent=2)
    cells, n = [new_raw_cell(f"# ASSIGNMENT CONFIG\n{config}", id="config")], 0
    for cell in notebook.cells:
        about = cell.metadata.pop("nbgrader", {})
        kind = next((k for k, switches in labs.KINDS.items() if switches.items() <= about.items()), None)
        n += "points" in about
        question = dict(name=f"{n:02d}-{cell.id}", points=about.get("points"))
        if kind == "tests":
            seen = replaced(cell, kind, "")
            tests = [case(cell.id, "seen", seen)]
            if seen != cell.source:
                tests.append(case(cell.id, "whole", cell.source, first="# HIDDEN\n"))
            tests = block("TESTS", cell.id, *tests)
            cells += block("QUESTION", cell.id, *tests, **question, all_or_nothing=True)
            continue
        cell.source = replaced(cell, kind, r"\2" if cell.cell_type == "markdown" else SOLUTION)
        if kind == "given":
            cell.metadata.update(editable=False, deletable=False)
        if kind != "manual":
            cells.append(cell)
        elif cells[-1].cell_type != "markdown":
            raise ValueError(f"the cell {cell.id!r} (manual) needs its question, as prose, right before it")
        else:
            asked = [cells.pop(), *block("SOLUTION", cell.id, cell)]
            cells += block("QUESTION", cell.id, *asked, **question, manual=True)
    notebook.cells = cells
    nbformat.validate(notebook)
    return notebook


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for each in labs.TEXTS:
        path = Path(sys.argv[1]) / "otter" / each.stem / f"{each.stem}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(master(each), path)
        print(path)
