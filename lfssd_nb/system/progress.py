"""One progress bar for all long work; ``LFSSD_PROGRESS=off`` (set by the tests) silences it."""

import os
import threading
from collections.abc import Iterable

from tqdm import auto


class tqdm(auto.tqdm):
    """Its lock is for threads: the usual one is a semaphore of the system, which a killed worker leaves."""

    _lock = threading.RLock()


def progress(items: Iterable, label: str, show: bool = True) -> tqdm:
    """Wraps ``items`` in a tqdm bar that disappears when it is done."""
    silent = not show or os.environ.get("LFSSD_PROGRESS", "on") == "off"
    return tqdm(items, desc=label, leave=False, disable=silent)
