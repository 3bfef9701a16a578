"""Executes the notebook series, several pages at a time.

run      the headline first, then every notebook headless, with HTML under build/notebooks (the .ipynb stay);
refresh  writes every .ipynb anew from notebooks/text/*.md and executes it in place (the committed form);
retext   takes over from the texts what needs no execution: prose, and the descriptions of figures.

Names as further arguments choose single notebooks: ``refresh 02`` or ``run 00 03``. A figure is described on
the fence of the cell that draws it, for those who cannot see it: ```python alt="Two panels. ..."
"""

import base64
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import nbformat
import series
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image, ImageChops
from tqdm import tqdm

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
BOOKS = ROOT / "notebooks"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
QUIET = {"LFSSD_PROGRESS": "off", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "OMP_NUM_THREADS": "1"}
PANDAS_STYLE = r"<style scoped>.*?</style>\n?"  # the same in every table
LONGEST_FIRST = ("09", "08", "04", "05", "06", "02", "01")  # so that no core idles at the end


@dataclass(frozen=True)
class Done:
    """An executed page: ``statements`` as `lfssd_nb.course.claims` logs them, ``errors`` as (cell, what)."""

    page: str
    notebook: nbformat.NotebookNode
    statements: list[dict]
    errors: list[tuple[int, str]]
    seconds: float

    @property
    def claims(self) -> list[dict]:
        return [each for each in self.statements if each["kind"] != "here"]


def execute(
    page: str,
    notebook: nbformat.NotebookNode,
    env: Mapping[str, str] | None = None,
    after_cell: Callable[[], None] = lambda: None,
    folder: Path = BOOKS,
) -> Done:
    """Runs all cells in ``folder`` from a fresh kernel, whatever fails on the way; drops what differs from
    run to run."""
    start = time.perf_counter()
    with TemporaryDirectory() as place:
        log = Path(place) / "statements"
        client = NotebookClient(
            notebook, timeout=None, startup_timeout=600, kernel_name="python3", allow_errors=True,
            resources={"metadata": {"path": str(folder)}}, on_cell_executed=lambda **_: after_cell(),
            on_cell_start=lambda cell, **_: cell.cell_type == "code" and _begin_cell(log),
        )  # fmt: skip
        errors: list[tuple[int, str]] = []
        try:
            client.execute(env=os.environ | QUIET | {"LFSSD_CLAIMS_LOG": str(log)} | dict(env or {}))
        except Exception as error:  # a kernel that died must not stop the other pages
            errors.append((0, f"{type(error).__name__}: {error}"))
        statements = _read(log)
    number = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        number += cell.cell_type == "code"
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                errors.append((number, f"{output.ename}: {output.evalue}"))
            shown = output.get("data", {})
            # a widget whose state is not kept: Jupyter would show an error instead of the text beside it
            shown.pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in shown:
                shown["image/png"] = smaller(shown["image/png"])
            if "text/html" in shown:
                shown["text/html"] = re.sub(PANDAS_STYLE, "", shown["text/html"], flags=re.S)
    describe(notebook)
    notebook.metadata = nbformat.from_dict(KERNEL | {"language_info": {"name": "python"}})
    return Done(page, notebook, statements, errors, time.perf_counter() - start)


def describe(notebook: nbformat.NotebookNode) -> None:
    """Every figure gets the ``alt`` of its cell, where browsers and nbconvert look for it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()) if "alt" in cell.metadata else ():
            if "image/png" in output.get("data", {}):
                output.metadata["image/png"] = output.metadata.get("image/png", {}) | {
                    "alt": cell.metadata.alt
                }


def _begin_cell(log: Path) -> None:
    """An empty line in the log of statements: those after it belong to the next code cell."""
    with log.open("a") as file:
        file.write("\n")


def _read(log: Path) -> list[dict]:
    """The statements, each with the number of its code cell (from 1)."""
    found, cell = [], 0
    for line in log.read_text().splitlines() if log.exists() else ():
        cell += not line
        found += [json.loads(line) | {"cell": cell}] if line else []
    return found


def smaller(png: str) -> str:
    """A base64 PNG with a palette that keeps rare colours, as of a thin line, and leans to frequent ones: of
    32 or 64 where no pixel is off by more than 24 of 255, else of 128. A third of the size or less."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    for colours in (32, 64, 128):
        fewer = picture.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
        off = ImageChops.difference(picture, fewer.convert("RGB"))
        if max(high for _, high in off.getextrema()) <= 24:
            break
    buffer = io.BytesIO()
    fewer.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def from_text(path: Path) -> nbformat.NotebookNode:
    """The notebook that a text file describes, with cell ids that depend on position alone."""
    import jupytext  # only who writes notebooks needs it

    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
    notebook.metadata = nbformat.from_dict(KERNEL)
    notebook.nbformat_minor = 5
    return notebook


def from_series(path: Path) -> nbformat.NotebookNode:
    """The page of the series that a text file describes: with links, and a cell for Colab."""
    return series.complete(from_text(path), path.stem)


def pages(wanted: tuple[str, ...], written: bool = False) -> dict[str, nbformat.NotebookNode]:
    """Notebooks whose names begin with one of ``wanted`` (default: all), longest first: the committed ones,
    or anew from their text. Exits, naming it, if one of ``wanted`` begins no name."""
    folder, suffix = (BOOKS / "text", ".md") if written else (BOOKS, ".ipynb")
    there = sorted(folder.glob(f"*{suffix}"))
    for each in wanted:
        if not any(p.name.startswith(each) for p in there):
            sys.exit(f"no page begins with {each!r}; there are {', '.join(p.stem for p in there)}")
    paths = [p for p in there if not wanted or p.name.startswith(wanted)]
    paths.sort(key=lambda p: LONGEST_FIRST.index(p.name[:2]) if p.name[:2] in LONGEST_FIRST else 99)
    return {p.stem: from_series(p) if written else nbformat.read(p, as_version=4) for p in paths}


def cores() -> int:
    """How many pages to execute at a time."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def side_by_side(jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Results as they come, as many jobs at a time as there are cores. Interrupted, it does not wait."""
    pool = ThreadPoolExecutor(cores())
    try:
        for each in as_completed([pool.submit(job) for job in jobs]):
            yield each.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def execute_all(books: Mapping[str, nbformat.NotebookNode], finish: Callable[[Done], None]) -> list[Done]:
    """Every page; a bar counts cells, ``finish`` sees each page when it is done."""
    total, done = sum(cell.cell_type == "code" for book in books.values() for cell in book.cells), []
    with tqdm(total=total, desc="cells", smoothing=0.05) as bar:
        jobs = [partial(execute, name, book, after_cell=bar.update) for name, book in books.items()]
        for each in side_by_side(jobs):
            finish(each)
            tqdm.write(in_a_line(each))
            done.append(each)
    return done


def in_a_line(done: Done) -> str:
    held = sum(each["held"] for each in done.claims)
    text = f"{done.page}: {done.seconds:.0f} s, {held} of {len(done.claims)} claims held"
    return text + "".join(f"\n  cell {cell} failed: {what}" for cell, what in done.errors)


def run(*wanted: str) -> int:
    """What ``make run`` does; 0 if all cells ran and all claims held."""
    failed = False
    if not wanted:
        print("First the headline: two networks are trained, LFSSD and SSD forget a digit.", flush=True)
        failed = subprocess.run([sys.executable, str(ROOT / "scripts" / "headline.py")]).returncode != 0
        print("\nNow every page; HTML is written as each is done.", flush=True)
    out = ROOT / "build" / "notebooks"
    out.mkdir(parents=True, exist_ok=True)

    def write(done: Done) -> None:
        html, _ = HTMLExporter().from_notebook_node(done.notebook)
        (out / f"{done.page}.html").write_text(html, encoding="utf-8")

    done = execute_all(pages(wanted), write)
    claims = [each for page in done for each in page.claims]
    broken = [page.page for page in done if page.errors]
    missed = [(page.page, each) for page in done for each in page.claims if not each["held"]]
    print(f"\n{len(done) - len(broken)} of {len(done)} notebooks executed to the end without an error; "
          f"{len(claims) - len(missed)} of {len(claims)} claims held.")  # fmt: skip
    for page, claim in missed:
        text = claim["sentence"]
        with suppress(KeyError, ValueError, TypeError):
            text = text.format(**claim["values"])
        print(f"  came out differently in {page}, cell {claim['cell']}: {text}")
    print(f"HTML: {out}" + (f"; with errors: {', '.join(sorted(broken))}" if broken else ""))
    return int(bool(failed or broken or missed))


def refresh(*wanted: str) -> int:
    """Writes the committed notebooks; those with a failed cell or claim are written too, and named."""
    done = execute_all(
        pages(wanted, written=True), lambda each: nbformat.write(each.notebook, BOOKS / f"{each.page}.ipynb")
    )
    return int(any(page.errors or not all(c["held"] for c in page.claims) for page in done))


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The code cells of a page's text: all but the one for Colab, which has no output."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id != "colab"]


def count(notebook: nbformat.NotebookNode) -> None:
    """Counts the code cells, as if they had been executed one after the other."""
    for nth, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = nth
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = nth


def retext(*wanted: str) -> int:
    """Puts the texts' prose and descriptions into the committed notebooks, whose code must be the texts'."""
    changed = []
    for name, new in pages(wanted, written=True).items():
        path = BOOKS / f"{name}.ipynb"
        old = nbformat.read(path, as_version=4)
        before, after = (code_of(book) for book in (old, new))
        if [c.source for c in before] != [c.source for c in after]:
            changed.append(name)
            continue
        for cell, done in zip(after, before, strict=True):
            cell.outputs = done.outputs
        count(new)
        describe(new)
        new.metadata = old.metadata
        nbformat.write(new, path)
    if changed:
        print(f"code has changed, refresh them: {', '.join(changed)}")
    return int(bool(changed))


COMMANDS = {"run": run, "refresh": refresh, "retext": retext}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    try:
        code = COMMANDS[sys.argv[1]](*sys.argv[2:])
    except KeyboardInterrupt:
        print("\ninterrupted; what was trained is kept, start it again to go on", flush=True)
        os._exit(130)  # without waiting for the pages that are running: their kernels end with this process
    sys.exit(code)
