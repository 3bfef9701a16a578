"""Without the clone: the notebooks run from an installed wheel, in a folder that holds nothing else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lfssd_nb.lab import RECORDS
from lfssd_nb.networks.identity import cache_root
from notebooks import execute

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST = ("00", "07")  # the second reads records; LFSSD_WHEEL=all tries every page
TRIED = [path for path in BOOKS if path.name.startswith(FIRST) or os.environ.get("LFSSD_WHEEL") == "all"]
PIP = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the package and nothing else, as pip installs it from its wheel."""
    pytest.importorskip("setuptools", minversion="77", reason="builds the wheel")
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "lfssd_nb", source / "lfssd_nb", ignore=shutil.ignore_patterns("__pycache__"))
    how = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*PIP, "wheel", *how, "-w", str(wheels), str(source)], check=True)
    (wheel,) = wheels.glob("*.whl")
    assert wheel.stat().st_size < 2_000_000
    subprocess.run(
        [*PIP, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True
    )
    shutil.rmtree(source)
    return site


def test_the_wheel_has_every_record_that_pages_read(site):
    there = site / "lfssd_nb" / "lab" / "committed"
    committed = {path.relative_to(RECORDS) for path in RECORDS.rglob("*.csv*")}
    assert {path.relative_to(there) for path in there.rglob("*.csv*")} == committed and len(committed) > 10
    assert all((there / path).read_bytes() == (RECORDS / path).read_bytes() for path in committed)
    assert not list(site.glob("**/tests")) and not list(site.glob("notebooks"))


@pytest.mark.parametrize("path", TRIED, ids=lambda path: path.stem)
def test_a_page_runs_from_the_wheel_in_an_empty_folder(site, path, tmp_path, cache_of_pages):
    """All claims hold, the package is the installed one, and nothing is left in the folder but the log."""
    notebook = nbformat.read(path, as_version=4)
    ask = "import json, sys, lfssd_nb; print(json.dumps([lfssd_nb.__file__, *sys.path]))"
    notebook.cells.append(nbformat.v4.new_code_cell(ask))
    around = {"PYTHONPATH": str(site), "LFSSD_CACHE": str(cache_root()), "LFSSD_CLAIMS": "strict"}
    done = execute(path.stem, notebook, around, folder=tmp_path)
    assert not done.errors and all(claim["held"] for claim in done.claims)
    used, *looked = json.loads(notebook.cells[-1].outputs[0].text)
    assert Path(used).is_relative_to(site) and str(ROOT) not in looked[: looked.index(str(site))]
    assert not list(tmp_path.iterdir())
