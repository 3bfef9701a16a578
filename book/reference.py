"""The pages of the reference, from the public names that the package's own docstring lists."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import lfssd_nb

PACKAGE = lfssd_nb.__name__
HOW = (
    "Every public name with its formula, shapes and errors, in the words of its docstring; [source] shows "
    "the code. ``from lfssd_nb import unlearn, data`` and so on: every part is a module, listed from the "
    "method over data and networks to experiments."
)


def public() -> Iterator[tuple[str, list[str]]]:
    """(part, names) in the order of the package's docstring."""
    _, listed = " ".join(lfssd_nb.__doc__.split()).split("audit`):", 1)
    for part in listed.split("·"):
        name, names = re.fullmatch(r"\s*`(\w+)` (.*?)\s*", part).groups()
        yield name, names.split(", ")


def titled(title: str, line: str) -> list[str]:
    return [title, line * len(title), ""]


def module(name: str, members: bool) -> list[str]:
    """A module's docstring, and what it defines."""
    return [f".. automodule:: {name}", *(["   :members:"] if members else []), ""]


def described(part: str, name: str) -> list[str]:
    """One public name: a module with all that it defines, a function, a class, or what a value holds."""
    obj, full = getattr(importlib.import_module(f"{PACKAGE}.{part}"), name), f"{PACKAGE}.{part}.{name}"
    if inspect.ismodule(obj):
        return titled(f"{part}.{name}", "-") + module(obj.__name__, members=True)
    if inspect.isclass(obj):
        return [f".. autoclass:: {full}", "   :members:", ""]
    if callable(obj):
        return [f".. autofunction:: {full}", ""]
    holds = ", ".join(f"``{each}``" for each in obj)
    return [f".. py:data:: {name}", f"   :type: {type(obj).__name__}", "", f"   {holds}", ""]


def page(part: str, names: list[str]) -> str:
    """The part's docstring, its public names, and what the modules behind them say of themselves."""
    wing = importlib.import_module(f"{PACKAGE}.{part}")
    modules = [name for name in names if inspect.ismodule(getattr(wing, name))]
    lines = titled(part, "=") + module(wing.__name__, members=False)
    for name in [*(name for name in names if name not in modules), *modules]:
        lines += described(part, name)
    methods = wing.METHODS.values() if part == "baselines" else ()
    lines += titled("The methods", "-") if methods else []
    for method in methods:
        lines += [f".. autofunction:: {method.run.__module__}.{method.run.__qualname__}", ""]
    shown = {f"{wing.__name__}.{name}" for name in modules}
    hidden = [name for name in below(wing) if name not in shown]
    if hidden:
        lines += titled("Behind these names", "-")
    return "\n".join(lines + [line for name in hidden for line in told(name, "~")])


def below(package) -> list[str]:
    """All modules inside a package, by full name; none inside a module."""
    path = getattr(package, "__path__", [])
    return [found.name for found in pkgutil.walk_packages(path, f"{package.__name__}.")]


def told(name: str, line: str) -> list[str]:
    """A module's own words under its name."""
    return titled(name.removeprefix(f"{PACKAGE}."), line) + module(name, members=False)


def pages() -> dict[str, str]:
    """File name -> text: one page for each part, one for the modules that the method is made of."""
    parts = dict(public())
    written = {f"{part}.rst": page(part, names) for part, names in parts.items()}
    inner = [n for n in below(lfssd_nb) if n.split(".")[1] not in {*parts, "__main__"}]
    inside = titled("Inside the method", "=") + ["How gradients become sums, module by module.", ""]
    written["inside.rst"] = "\n".join(inside + [line for name in inner for line in told(name, "-")])
    contents = [".. toctree::", "   :maxdepth: 1", "", *(f"   {name[:-4]}" for name in written), ""]
    return {"index.rst": "\n".join(titled("Reference", "=") + [HOW, "", *contents])} | written
