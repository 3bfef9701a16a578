"""One progress bar for all long work; ``LFSSD_PROGRESS=off`` (set by the tests) silences it."""

import os
import threading
from collections.abc import Iterable

from tqdm.auto import tqdm


class _Bar(tqdm):
    """Its lock is for threads: tqdm's own is a semaphore of the system, which a killed worker leaves."""

    _lock = threading.RLock()


def progress(items: Iterable, label: str, show: bool = True) -> tqdm:
    """Wraps ``items`` in a tqdm bar that disappears when it is done."""
    silent = not show or os.environ.get("LFSSD_PROGRESS", "on") == "off"
    return _Bar(items, desc=label, leave=False, disable=silent)
