"""How long to wait before a test calls something hung: limits that grow with the machine, asserted nowhere.

A limit guards against waiting for ever and says nothing else, so it may be long. Who waits for an event
waits for the event: a file, the end of a process, a number of draws.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache

import psutil

USUAL = 3.0  # seconds that a Python which imports torch takes, begun on an idle machine of two cores
BASE = 600.0  # seconds: no step of a test takes a tenth of it there


@cache
def slowness() -> float:
    """How many times longer than usual this machine takes to import torch; at least 1. Measured once."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return max(1.0, (time.monotonic() - start) / USUAL)


def patience(seconds: float = BASE) -> float:
    """``seconds`` of the usual machine on this one: never less."""
    return seconds * slowness()


def wait_until(condition: Callable[[], object], what: str, alive: Callable[[], bool] = lambda: True):
    """What ``condition()`` returns as soon as it is true. ``AssertionError`` when ``alive()`` no longer is
    (what shall bring the condition about has ended), or after `patience`."""
    end = time.monotonic() + patience()
    while True:
        living = alive()  # asked first: the last thing that it did may have been what is waited for
        if found := condition():
            return found
        assert living, f"it has ended before {what}"
        assert time.monotonic() < end, f"given up waiting until {what}"
        time.sleep(0.01)


def running(pids: Iterable[int]) -> set[int]:
    """Those that still do something: not the ended ones that nobody has asked about yet (zombies)."""
    found = set()
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                found.add(pid)
    return found


def group(pgid: int) -> set[int]:
    """The processes of a group that still do something."""
    members = set()
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == pgid:
                members.add(pid)
    return running(members)
