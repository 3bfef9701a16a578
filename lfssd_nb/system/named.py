"""Functions of a user: by their name on the command line, ``module:function``; what may be done with them."""

import importlib
import inspect
import sys
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path


def unknown(what: str, name: object, known: Collection[str]) -> str:
    """What to say of a name that is not there: which are, and which was probably meant."""
    close = get_close_matches(str(name), known, 1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {what} {name!r}; choose one of {', '.join(known)}{meant}"


def load(name: str, what: str):
    """The object ``module:attribute``. Runs the module's code: only for names that the user typed.

    Raises ``ValueError`` naming ``what`` it was to be, if there is no such module or attribute.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f"{what} {name!r} must be module:function")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # the user's code may fail in any way
        raise ValueError(
            f"{what} {name!r}: {type(error).__name__}: {error}; it is module:function, and {module}.py is "
            f"looked for in {here} and among the installed packages"
        ) from error
    if not hasattr(found, attribute):
        raise ValueError(f"{what} {name!r}: module {module!r} has no {attribute!r}")
    return getattr(found, attribute)


def check_call(function, what: str, *arguments) -> None:
    """Raises ``ValueError`` unless ``function(*arguments)`` is a call that it takes; does not call it."""
    if not callable(function):
        raise ValueError(f"{what} must be a function, got {type(function).__name__}")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        wanted = f"{len(arguments)} argument{'s' * (len(arguments) != 1)}"
        raise ValueError(f"{what} is called with {wanted}: {error}") from error
    except ValueError:  # a built-in that does not say what it takes
        pass


def built_in(function) -> bool:
    """Whether a function is this package's, and not a user's."""
    return function.__module__.partition(".")[0] == "lfssd_nb"


def check_free(name: str, known, new, what: str) -> None:
    """Raises ``ValueError`` where ``new`` would take the name of ``known``, a function of this package (None:
    there is none). Your own may be registered again, as when a cell is run twice."""
    if known is not None and built_in(known) and known.__module__ != new.__module__:
        raise ValueError(f"there is a {what} {name!r} already: give yours another name")
