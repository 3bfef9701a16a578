"""Runs that are killed at any moment, but never after their end, however slow or busy the machine is."""

import os
import signal
from contextlib import suppress

from patience import group, wait_until

# ``hold(folder, limit)`` in a program before its work: who would write one more file of records (JSON) than
# ``limit`` (in a race of two processes: than limit + 1) waits for SIGKILL, also in joblib's own processes.
# Functions of ``__main__`` travel to them by value.
HOLD = """
import time
from pathlib import Path
from lfssd_nb.lab import jobs
from lfssd_nb.system import files

def holding(folder, limit):
    write = files.write
    def held(path, payload):
        path = Path(path)
        while path.suffix == ".json" and path.parent == Path(folder).absolute() and not path.exists() \\
                and len([*path.parent.glob("*.json")]) >= limit:
            time.sleep(0.02)
        write(path, payload)
    return held

def hold(folder, limit):
    def in_a_worker(job, arguments, places):
        if not hasattr(files, "free"):
            files.free, files.write = files.write, holding(folder, limit)
        return getattr(jobs, "free", jobs._call)(job, arguments, places)

    files.free, files.write = files.write, holding(folder, limit)
    jobs.free, jobs._call = jobs._call, in_a_worker
"""


def kill_group(pgid: int) -> None:
    """SIGKILL to a process group, until nobody is left who could still write."""

    def gone() -> bool:
        with suppress(ProcessLookupError):
            os.killpg(pgid, signal.SIGKILL)
        return not group(pgid)

    wait_until(gone, f"all processes of group {pgid} are gone")
