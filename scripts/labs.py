"""Labs for a course: nbgrader's source notebooks from labs/text/*.md, and the students' versions of them.

    python scripts/labs.py FOLDER

writes FOLDER/source, FOLDER/release, and the settings of the command ``nbgrader``, if there are none. What a
cell is stands on its fence, with its name in the course (nbgrader's ``grade_id``):

============================== =====================================================================
``given="name"``               the same for everyone; a change is undone when it is graded
``solution="name"``            the students'; what stands between BEGIN and END SOLUTION is cut out
``tests="name" points=2``      graded by running it; BEGIN to END HIDDEN TESTS is cut out until then
``manual="name" points=4``     graded by hand (a text: between ``<!-- #region ... -->`` and its end)
============================== =====================================================================
"""

import os
import sys
from pathlib import Path

import nbformat
from nbgrader.apps import NbGraderAPI
from traitlets.config import PyFileConfigLoader

from notebooks import ROOT, from_text

TEXTS = sorted((ROOT / "labs" / "text").glob("*.md"))
KINDS = {  # nbgrader's three switches
    "given": dict(grade=False, locked=True, solution=False),
    "solution": dict(grade=False, locked=False, solution=True),
    "tests": dict(grade=True, locked=True, solution=False),
    "manual": dict(grade=True, locked=False, solution=True),
}
SETTINGS = """c = get_config()
c.CourseDirectory.course_id = "lfssd"
c.OverwriteCells.add_missing_cells = True  # a test cell that was deleted counts, too
c.ExecutePreprocessor.timeout = 300  # seconds a cell; an endless loop costs its own points alone
c.ExecutePreprocessor.startup_timeout = 600
"""


def source(text: Path) -> nbformat.NotebookNode:
    """The notebook of a text in nbgrader's format, schema version 3: solutions and hidden tests inside.

    Raises ``ValueError`` for a cell of two kinds, a graded one without points, and a name used twice.
    """
    notebook, names = from_text(text), set()
    for cell in notebook.cells:
        kinds = [kind for kind in KINDS if kind in cell.metadata]
        points = cell.metadata.get("points")
        if not kinds and points is None:
            continue
        name = cell.metadata.get(kinds[0]) if len(kinds) == 1 else None
        if name is None or name in names or (points is not None) != KINDS[kinds[0]]["grade"]:
            raise ValueError(
                f"{text.name}: the cell with {dict(cell.metadata)} needs one of {', '.join(KINDS)}, a name "
                "of its own, and points if it is graded (tests, manual), else none"
            )
        names.add(name)
        about = dict(grade_id=name, schema_version=3, task=False, cell_type=cell.cell_type, **KINDS[kinds[0]])
        if points is not None:
            about["points"] = points
        cell["id"], cell.metadata = name, nbformat.from_dict({"nbgrader": about})
    nbformat.validate(notebook)
    return notebook


def course(folder: Path) -> NbGraderAPI:
    """nbgrader on the course in a folder, with the settings that lie there. nbgrader calls the program
    ``alembic``, which an environment that is not activated does not find."""
    beside = str(Path(sys.executable).parent)
    if beside not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = beside + os.pathsep + os.environ["PATH"]
    config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
    config.CourseDirectory.root = str(folder.resolve())
    return NbGraderAPI(config=config)


def release(folder: Path) -> None:
    """Writes the sources of all labs and what students get.

    Raises ``RuntimeError`` with nbgrader's words if it refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (setting := folder / "nbgrader_config.py").exists():
        setting.write_text(SETTINGS, encoding="utf-8")
    api = course(folder)
    for text in TEXTS:
        path = folder / "source" / text.stem / f"{text.stem}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(source(text), path)
        done = api.generate_assignment(text.stem, force=True, create=True)
        if not done["success"]:
            raise RuntimeError(f"{text.name}: {done.get('log', '')}\n{done['error']}")
        print(folder / "release" / text.stem / path.name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    release(Path(sys.argv[1]))
