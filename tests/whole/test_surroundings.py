"""The same numbers wherever it runs: fresh caches, ``python -O``, no home, folders with odd names."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import lfssd_nb
from lfssd_nb import cli
from lfssd_nb.data import downloads
from lfssd_nb.networks.identity import cache_root
from lfssd_nb.system import places

FORGET = ["forget", "--subset", "140", "--width", "8", "--epochs", "1", "--device", "cpu", "--json"]
PATHS = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")


def measured(path: Path) -> dict:
    found = json.loads(path.read_text())
    assert found.pop("seconds")
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What the command says in this process, with a fresh cache."""
    folder = tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LFSSD_CACHE", str(folder / "cache"))
        assert cli.main([*FORGET, str(folder / "out.json")]) == 0
    return measured(folder / "out.json")


@pytest.mark.parametrize("options", [["-O"], ["-W", "error::UserWarning"]], ids=" ".join)
def test_the_command_says_the_same_elsewhere(here, options, tmp_path):
    """In a fresh cache, without a home, in a folder with spaces and umlauts; without a warning."""
    place = tmp_path / "Ordner für Übungen"
    place.mkdir()
    environment = {name: os.environ[name] for name in PATHS if name in os.environ} | {
        "PYTHONPATH": str(Path(lfssd_nb.__file__).parents[1]), "LFSSD_CACHE": "mein Gedächtnis",
        "LFSSD_DATA": "meine Daten", "LFSSD_PROGRESS": "off",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *options, "-m", "lfssd_nb", *FORGET, "für dich/Ergebnis 1.json"],
        cwd=place, env=environment, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, f"written to {Path('für dich/Ergebnis 1.json')}\n")
    assert measured(place / "für dich" / "Ergebnis 1.json") == here
    assert sorted(path.name for path in place.iterdir()) == ["für dich", "mein Gedächtnis"]


# ---- what is installed

ROOT = Path(__file__).parents[2]
OF_CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib", "seaborn-base": "seaborn"}
HOLES = {  # fixed in
    "ray": "2.54", "distributed": "2026.1", "nbconvert": "7.17", "jupyter-server": "2.20",
    "jupyterlab": "4.5.7", "tqdm": "4.66.3", "scikit-learn": "1.5",
}  # fmt: skip


def oldest() -> dict[str, str]:
    """What pyproject.toml asks for at least, by package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [
        *project["dependencies"],
        *(each for e in project["optional-dependencies"].values() for each in e),
    ]
    found = {each.name: each.specifier for each in map(Requirement, listed)}
    return {name: next(iter(said)).version for name, said in found.items() if name != "lfssd_nb"}


def test_the_oldest_versions_are_above_published_holes():
    assert all(Version(oldest()[name]) >= Version(fixed) for name, fixed in HOLES.items())


def of_conda(path: str) -> dict[str, str]:
    """What an environment of conda asks for at least, by pip's names."""
    said = re.findall(r"^ +- ([\w.-]+)[>=]+([\d.]+)", (ROOT / path).read_text(), re.MULTILINE)
    return {OF_CONDA.get(name, name.replace("_", "-")): version for name, version in said}


def test_conda_and_pip_ask_for_the_same():
    wanted = {name: version for name, version in oldest().items() if name != "ray"}
    assert of_conda("environment.yml") == {"python": "3.11"} | wanted


def test_binder_asks_for_what_the_notebooks_need_and_no_more():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [each.name for each in map(Requirement, project["dependencies"])]
    assert of_conda("binder/environment.yml") == {"python": "3.11"} | {n: oldest()[n] for n in needed}
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)  # Binder starts it


def test_the_citation_has_the_version_of_the_package():
    assert f"\nversion: {lfssd_nb.__version__}\n" in (ROOT / "CITATION.cff").read_text()


# ---- the places of models and data


@pytest.fixture
def homeless(monkeypatch):
    """A user id without a home, as in a container: HOME is unset and no list of users knows it."""
    pwd = pytest.importorskip("pwd")

    def nobody(uid):
        raise KeyError(f"uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "LFSSD_CACHE", "LFSSD_DATA"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError):
        Path.home()


PLACES = [(cache_root, "LFSSD_CACHE"), (downloads.data_root, "LFSSD_DATA")]


@pytest.mark.parametrize(("place", "variable"), PLACES, ids=["models", "data"])
def test_no_home_is_needed_where_a_folder_is_named(homeless, monkeypatch, place, variable):
    monkeypatch.setenv(variable, "mine")
    assert place() == Path("mine")
    monkeypatch.setenv(variable, "~/mine")
    with pytest.raises(ValueError, match=f"no home folder, and ~/mine is in it .*: set {variable} to"):
        place()


@pytest.mark.parametrize(("place", "variable"), PLACES, ids=["models", "data"])
def test_without_a_home_the_error_says_what_to_set(homeless, place, variable):
    with pytest.raises(
        ValueError, match=f"no home folder, and the user's cache folder .*: set {variable} to"
    ):
        place()


def test_without_a_home_the_command_says_what_to_set(homeless, tmp_path, capsys):
    assert cli.main([*FORGET, str(tmp_path / "out.json")]) == 2
    assert "set LFSSD_CACHE to a folder of yours" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is another there")
def test_the_folders_stay_where_they_were(monkeypatch, tmp_path):
    for name in ("XDG_CACHE_HOME", "LFSSD_CACHE", "LFSSD_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "lfssd_nb"
    assert downloads.data_root() == tmp_path / ".cache" / "lfssd_nb" / "data"
    assert downloads.data_root("~/mine") == tmp_path / "mine"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_root() == tmp_path / "elsewhere" / "lfssd_nb"


# ---- trying a place leaves nothing behind


def listing(folder: Path) -> set[Path]:
    return {*folder.rglob("*")}


@pytest.mark.parametrize("path", ["out.json", "new/below/out.json", "old.json", "ö ü/out.json"])
def test_a_file_that_can_be_written_is_tried_and_left_alone(tmp_path, path):
    (tmp_path / "old.json").write_text("old")
    before = listing(tmp_path)
    places.check_file(tmp_path / path, "--json")
    assert listing(tmp_path) == before and (tmp_path / "old.json").read_text() == "old"


@pytest.mark.parametrize("path", ["", "new", "new/below"])
def test_a_folder_that_can_be_written_is_tried_and_left_alone(tmp_path, path):
    places.check_folder(tmp_path / path, "--out")
    assert not listing(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_and_the_standard_output_are_places_too(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    places.check_file(tmp_path / "pipe", "--json")
    places.check_file(os.devnull, "--json")
