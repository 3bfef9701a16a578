"""Other processes: whether they live, whose numbers they have, and ending with a parent that was killed."""

import os
import platform
import threading
import time
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

WATCH = 0.5  # seconds between two looks at the parent


def alive(pid: int) -> bool:
    """Whether there is such a process here; on Windows always True (asking would end it)."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@cache
def place() -> str:
    """Eight digits for where process numbers are those of here: this machine since it was started, or this
    container."""
    about = [platform.node()]
    with suppress(OSError):
        about += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return sha256("".join(about).encode()).hexdigest()[:8]


@cache
def end_with(parent: int) -> None:
    """From now on this process ends within a second of its parent, however that ends and whatever is computed
    here. (Not on Windows, which does not tell.)"""
    if os.getpid() == parent or os.name == "nt":
        return
    above = os.getppid()  # the parent, or a launcher in between

    def watch() -> None:
        while os.getppid() == above and alive(parent):
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="ends with its parent").start()
