"""Half-written files: whose they are, and removing those that a killed process left behind.

What is being written to FILE is called FILE.PLACE-PID-RANDOM.part until it is whole, see `processes.place`.
"""

import os
import re
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

from .processes import alive, place

PART = re.compile(r".+\.([0-9a-f]{8})-([0-9]{1,9})-[0-9a-f]{8}\.part")
OLD = 3600.0  # seconds: nobody writes one file for so long


def beside(path: Path) -> Path:
    """A new name for what shall become ``path``."""
    return path.with_name(f"{path.name}.{place()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.part")


def remove(folder: Path) -> None:
    """Removes half-written files whose process has ended, or, of another machine, that are an hour old.
    What cannot be listed or removed stays."""
    with suppress(OSError):
        for path in folder.iterdir():
            if name := PART.fullmatch(path.name):
                with suppress(OSError):
                    if _left(path, *name.groups()):
                        path.unlink()


def _left(path: Path, where: str, pid: str) -> bool:
    ended = where == place() and not alive(int(pid))
    return ended or time.time() - path.stat().st_mtime > OLD


@cache
def removed(folder: Path) -> None:
    """`remove`, once a process and folder."""
    remove(folder)
