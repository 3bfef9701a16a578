"""Executes the notebook series.

run      executes every notebook headless and writes HTML under build/notebooks (the .ipynb stay);
refresh  writes every .ipynb anew from notebooks/text/*.md and executes it in place (the committed form).

Names as further arguments choose single notebooks: ``refresh 02`` or ``run 00 03``.
"""

import base64
import io
import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor
from PIL import Image
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
BOOKS = ROOT / "notebooks"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def execute(notebook: nbformat.NotebookNode) -> None:
    """Runs all cells from a fresh kernel; drops what would differ from run to run."""
    ExecutePreprocessor(timeout=900, kernel_name="python3").preprocess(
        notebook, {"metadata": {"path": BOOKS}}
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            # a widget whose state is not kept: Jupyter would show an error instead of the text beside it
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = smaller(output["data"]["image/png"])
    notebook.metadata = nbformat.from_dict(KERNEL | {"language_info": {"name": "python"}})


def smaller(png: str) -> str:
    """A base64 PNG with a palette of 128 colours: a third of the size, the same to the eye."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def from_text(path: Path) -> nbformat.NotebookNode:
    """The notebook that a text file describes, with cell ids that depend on position alone."""
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
    notebook.metadata = nbformat.from_dict(KERNEL)
    notebook.nbformat_minor = 5
    return notebook


def main(mode: str, *wanted: str) -> None:
    os.environ["LFSSD_PROGRESS"] = "off"  # no bars in the kernels' committed output
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    folder, suffix = (BOOKS / "text", ".md") if mode == "refresh" else (BOOKS, ".ipynb")
    paths = [p for p in sorted(folder.glob(f"*{suffix}")) if not wanted or p.name[:2] in wanted]
    out = ROOT / "build" / "notebooks"
    out.mkdir(parents=True, exist_ok=True)
    for path in (bar := tqdm(paths, desc="notebooks")):
        bar.set_postfix_str(path.stem)
        start = time.perf_counter()
        notebook = from_text(path) if mode == "refresh" else nbformat.read(path, as_version=4)
        execute(notebook)
        if mode == "refresh":
            nbformat.write(notebook, BOOKS / f"{path.stem}.ipynb")
        else:
            html, _ = HTMLExporter().from_notebook_node(notebook)
            (out / f"{path.stem}.html").write_text(html, encoding="utf-8")
        tqdm.write(f"{path.stem}: {time.perf_counter() - start:.0f} s")
    tqdm.write(f"executed {len(paths)} notebooks" + ("" if mode == "refresh" else f"; HTML in {out}"))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("run", "refresh"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
