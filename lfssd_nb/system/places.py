"""Where files go: the default folder, and whether a place can be written, tried before any work.

Without anything said, trained models and data lie in the user's cache folder: ``$XDG_CACHE_HOME/lfssd_nb`` or
``~/.cache/lfssd_nb`` on Linux, ``~/Library/Caches/lfssd_nb`` on macOS, ``%LOCALAPPDATA%\\lfssd_nb\\Cache`` on
Windows.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from . import leftovers


def folder(variable: str, below: str = "", given: str | Path | None = None) -> Path:
    """``given``, else what the environment variable says, else ``below`` in the user's cache folder; the home
    folder is asked for only where it is needed. Raises ``ValueError`` where it is, and there is none."""
    said = given or os.environ.get(variable)
    try:
        if said:
            return Path(said).expanduser()
        found = Path(platformdirs.user_cache_dir("lfssd_nb", appauthor=False))
        if not found.is_absolute():  # older platformdirs leave the ~ of a home that is not there
            raise RuntimeError(f"got {found}")
    except RuntimeError as error:
        what = str(said) if said else "the user's cache folder"
        raise ValueError(
            f"there is no home folder, and {what} is in it ({error}): set {variable} to a folder of yours"
        ) from error
    return found / below


def check_file(path: str | Path, what: str) -> None:
    """Tries whether `files.write` will be able to write ``path``, and leaves nothing behind; ``what``: the
    option that named it. Raises ``ValueError`` with the path and the remedy."""
    with _explained(path, what, "a file"):
        path = Path(path).resolve()
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if not path.exists() or path.is_file():
            _try(path)
        elif stat.S_ISSOCK(path.stat().st_mode) or not os.access(path, os.W_OK):  # else /dev/stdout, a pipe
            raise PermissionError(0, "it cannot be written")


def check_folder(path: str | Path, what: str) -> None:
    """The same for files in a folder, which need not exist."""
    with _explained(path, what, "a folder"):
        if not str(path):
            raise FileNotFoundError(0, "it is empty")
        _try(Path(path).resolve() / "try")


@contextmanager
def _explained(path: str | Path, what: str, kind: str) -> Iterator[None]:
    """Turns what the system says into one message with the remedy."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{what} {str(path)!r} cannot be written ({why}): give {kind} in a folder of yours that can be "
            "written"
        ) from error


def _try(path: Path) -> None:
    """Makes the folders that are missing and a file of the longest name that `files.write` takes, and removes
    what it made."""
    missing = [each for each in path.parents if not each.exists()]
    trial = leftovers.beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.open("xb").close()
        trial.unlink()
    finally:
        for each in missing:  # the innermost first
            with suppress(OSError):
                each.rmdir()
