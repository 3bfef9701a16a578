"""A record on disk, KEY.json: its rows are returned only if no byte has changed and they are of its kind.

A record that is damaged, empty or of another layout is none: a warning names it, and it is computed again.
One with an ``error`` is an answer until one asks to try again; running out of memory never is.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..system import files

MEMORY = "out of memory"
SAID_BY = (MEMORY, "can't allocate memory")  # CUDA and MPS; the CPU


def record(folder: str | Path, job) -> Path:
    """Where the record of a job is, or will be."""
    return Path(folder) / f"{job.key}.json"


def rows(path: Path, measured: Sequence[str], quiet: bool = False) -> list[dict]:
    """The rows of a record; none where it is not, or is not sound. ``measured``: names that each row has
    unless it is an ``error``. Without ``quiet`` a warning says what is wrong."""
    try:
        found = files.read_json(path)
    except FileNotFoundError:
        return []
    except files.CorruptFile as error:
        return _none(str(error).partition("; delete")[0], quiet)
    found = found if isinstance(found, list) else [found]
    for row in found or [None]:
        if not isinstance(row, dict) or not ("error" in row or row.keys() >= {*measured}):
            return _none(f"{path} is damaged (no record: rows with {', '.join(measured)} are missing)", quiet)
    return found


def wanted(folder: str | Path, job, retry: bool = False, quiet: bool = False) -> bool:
    """Whether the record of a job is still to be computed; ``retry``: also where it is an error. A job has a
    ``case``, a ``key``, and ``measured``, see `rows`."""
    found = rows(record(folder, job), job.measured, quiet)
    return not found or any("error" in row and (retry or MEMORY in str(row["error"])) for row in found)


def said(error: Exception) -> str:
    """The text of an ``error``. Raises it if it says neither what is wrong with a setting nor that memory has
    run out."""
    text = " ".join(str(error).split())
    memory = isinstance(error, MemoryError) or any(each in text for each in SAID_BY)
    if memory and isinstance(error, (MemoryError, RuntimeError)):
        return text if MEMORY in text else f"{MEMORY}: {text}".rstrip(": ")
    if isinstance(error, RuntimeError):
        raise error
    return text


def failures(table: pd.DataFrame) -> str:
    """How many of the records are errors, and what the first says; empty if none is."""
    failed = table[table["error"].notna()] if "error" in table else table[:0]
    if failed.empty:
        return ""
    first = f"{failed.iloc[0].method}: {failed.iloc[0].error}"
    return f"{len(failed)} of {len(table)} records failed: {first}; retry=True, or --retry, tries them again"


def _none(why: str, quiet: bool) -> list:
    if not quiet:
        warnings.warn(f"{why}; it is no result, and the next run computes it again", stacklevel=2)
    return []
