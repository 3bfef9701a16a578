"""What a function is compiled to, by names and constants, not their numbers; what its names stand for."""

import dis
import importlib
import inspect
import sysconfig
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

LIBRARIES = tuple(
    Path(sysconfig.get_path(k)).resolve() for k in ("stdlib", "platstdlib", "purelib", "platlib")
)
# Folders of this or another Python: pip's --user, Debian's, a .pth file's.
PACKAGES = {"site-packages", "dist-packages"}
SKIPPED = {"CACHE", "RESUME", "NOP", "EXTENDED_ARG", "COPY_FREE_VARS", "MAKE_CELL", "PRECALL"}
GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME"}


class NotHashable(ValueError):
    """Code refers to something that cannot be written down: an open file, a connection, ..."""


def own(what) -> bool:
    """Whether a function, class or module is this package's or the user's, not a library's."""
    module = what.__name__ if isinstance(what, ModuleType) else getattr(what, "__module__", None) or ""
    if module == "__main__" or module.partition(".")[0] == "lfssd_nb":
        return True
    try:
        path = Path(inspect.getfile(what)).resolve()
    except (TypeError, OSError):
        return False
    return not (PACKAGES & {*path.parts} or any(path.is_relative_to(library) for library in LIBRARIES))


def references(what: FunctionType) -> list[tuple[str, object]]:
    """What the names in a function's code stand for; of a module of yours, what is taken from it."""
    found: dict[str, object] = {}
    for code in _codes(what.__code__):
        mentioned = set(code.co_names)
        for i in dis.get_instructions(code):
            if i.opname in GLOBAL and i.argval in what.__globals__:
                _add(found, i.argval, what.__globals__[i.argval], mentioned)
            elif i.opname == "IMPORT_NAME":
                _add(found, f"import {i.argval}", _imported(i.argval, what), mentioned)
    return sorted(found.items(), key=lambda pair: pair[0])


def _add(found: dict, name: str, value, mentioned: set[str], inside: tuple = ()) -> None:
    found[name] = value
    if isinstance(value, ModuleType) and value not in inside and own(value):  # a module may name itself
        for part in mentioned & vars(value).keys():
            if f"{name}.{part}" not in found:
                _add(found, f"{name}.{part}", getattr(value, part), mentioned, (*inside, value))


def _imported(name: str, what: FunctionType) -> ModuleType | str:
    try:
        return importlib.import_module(name) if name else "."
    except ImportError as error:
        raise NotHashable(f"{what.__qualname__} imports {name}, which is not there ({error})") from error


def _codes(code: CodeType):
    """A function's code and that of all functions inside it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)


def instructions(code: CodeType) -> str:
    """Signature and instructions, with names and constants in place of their numbers."""
    n = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    signature = code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & 12, code.co_varnames[:n]
    steps = []
    for i in dis.get_instructions(code):
        if i.opname not in SKIPPED:
            value = i.argval
            steps.append((i.opname, instructions(value) if isinstance(value, CodeType) else _constant(value)))
    return f"{signature} {steps}"


def _constant(value) -> str:
    return f"frozenset{sorted(map(repr, value))}" if isinstance(value, frozenset) else repr(value)
