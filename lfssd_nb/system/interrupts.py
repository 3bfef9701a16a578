"""An end that was asked for, by Ctrl-C or SIGTERM: one line, an exit code, and no worker that goes on."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SAID = "lfssd-nb: interrupted; start it again to go on"


class Terminated(KeyboardInterrupt):
    """SIGTERM, as Python raises KeyboardInterrupt for SIGINT."""


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM raises `Terminated` inside, so that whatever is open is closed. Not under torchrun, which ends
    its processes with it, and not in another thread than the main one, where Python takes no signals."""
    if "TORCHELASTIC_RUN_ID" in os.environ or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(stop: KeyboardInterrupt) -> int:
    """What a shell reports of a program that the signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def end_at_once(number: int, _) -> None:
    """A handler for the time in which nothing is begun yet."""
    print(SAID, file=sys.stderr, flush=True)
    os._exit(128 + number)


@contextmanager
def not_for_children() -> Iterator[None]:
    """Ctrl-C at a terminal reaches every process of the group, and each worker would print a traceback of its
    own. Processes that are started inside never hear it (they inherit that this thread does not); this one
    does, through another thread, and has to end them, as joblib does."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker  # not before Ctrl-C is looked after

    resource_tracker.ensure_running()  # that of Python 3.11 unblocks the signal when it begins
    done = threading.Event()
    listener = threading.Thread(target=done.wait, daemon=True)
    listener.start()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        done.set()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
