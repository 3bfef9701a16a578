"""Where everything lives: wings, floors, public names, short modules; and what an import costs."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lfssd_nb

ROOT = Path(lfssd_nb.__file__).parent
METHOD = {
    "unlearn", "unlearned", "dampening", "importance", "accumulation", "batch_mean", "per_sample",
    "layer_rules", "without_rules", "explain", "importance_scores", "importance_sums", "batches", "labels",
    "logits", "parameters", "precision", "redampen", "agreement", "samples",
}  # fmt: skip
FLOORS = [  # each wing knows those to its left
    "system", "method", "data", "networks", "baselines", "audit", "figures", "sweeps", "explorer", "course",
    "lab", "paper", "cli", "__main__",
]  # fmt: skip
NEVER = {("baselines", "audit"), ("audit", "baselines"), ("figures", "lab"), ("sweeps", "figures")}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def wing(parts: tuple[str, ...]) -> str:
    name = parts[0].removesuffix(".py")
    return "method" if name in METHOD else name


def knows(path: Path) -> set[str]:
    """The wings that a file imports from."""
    here, found = path.relative_to(ROOT).parts, set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = list(here[: len(here) - node.level]) + (node.module or "").split(".")
            base = [part for part in base if part]
            found |= {wing(tuple(base))} if base else {wing((a.name,)) for a in node.names}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_knows_a_higher_floor(path):
    mine = wing(path.relative_to(ROOT).parts)
    for other in knows(path) - {mine}:
        assert FLOORS.index(other) < FLOORS.index(mine), (str(path), other)
        assert (mine, other) not in NEVER, (str(path), other)
    if mine == "method":
        assert knows(path) <= {"method", "system"}
    if mine != "course":
        assert "lfssd_nb.course" not in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_say_what_they_are(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 225, "split it: one idea a module, about 150 lines"
    assert ast.get_docstring(ast.parse(text)), "a docstring opens every module"


def public() -> dict[str, list[str]]:
    """The names that the package's docstring lists, by wing."""
    listed = " ".join(lfssd_nb.__doc__.split()).split("audit`):", 1)[1]
    parts = [part.strip() for part in listed.split("·")]
    return {re.match(r"`(\w+)`", part)[1]: re.sub(r"`\w+`", "", part, count=1).replace(" ", "").split(",")
            for part in parts}  # fmt: skip


@pytest.mark.parametrize("name", public())
def test_the_public_names_are_listed_and_there(name):
    module = importlib.import_module(f"lfssd_nb.{name}")
    for each in public()[name]:
        assert hasattr(module, each), f"{name}.{each}"
    if hasattr(module, "__all__"):
        assert set(public()[name]) <= set(module.__all__)
        hidden = set(module.__all__) - set(public()[name])
        assert all(importlib.util.find_spec(f"lfssd_nb.{name}.{h}") or h[0].isupper() for h in hidden), hidden


def test_every_wing_is_listed():
    wings = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert wings - METHOD - {"system"} <= set(public())


def test_tests_lie_in_the_same_wings():
    here = Path(__file__).resolve().parents[1]
    folders = {p.name for p in here.iterdir() if p.is_dir() and any(p.glob("test_*.py"))}
    assert folders - {"method", "whole"} <= set(FLOORS)


def test_forgetting_imports_neither_scikit_learn_nor_matplotlib():
    code = (
        "import sys; from lfssd_nb import unlearn; "
        "print(*[m for m in ('sklearn', 'matplotlib', 'torchvision', 'joblib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
