"""Independent jobs in parallel, through joblib: on this machine, or on a Dask or Ray cluster.

``joblib.parallel_config(...)`` decides where. What a job computes depends on nothing but its arguments:
it runs with one torch thread, with the caller's places for models and data, and alone in its process.

A Dask scheduler or a Ray head gives code execution to whoever reaches its port: keep it in a private network,
with TLS, see SECURITY.md.
"""

import copyreg
import importlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import torch
from joblib.parallel import get_active_backend

from ..baselines.registry import METHODS
from ..networks.architecture import NETWORKS
from ..system.device import threads
from ..system.interrupts import not_for_children
from ..system.named import built_in
from ..system.processes import end_with
from ..system.progress import progress

PLACES = ("LFSSD_CACHE", "LFSSD_DATA")
CHILDREN = ("LokyBackend", "MultiprocessingBackend")  # whose workers are of no use without this process
SETTINGS = ("LFSSD_SEED_OFFSET", "LFSSD_THREADS")
_alone = threading.RLock()  # the environment, hooks and warning filters belong to the whole process

# A function that says torch. and d.classes takes the module torch.classes along (cloudpickle goes by names).
copyreg.pickle(type(torch.classes), lambda module: (importlib.import_module, (module.__name__,)))


class _Thread(threading.local):
    in_a_job = False


_thread = _Thread()


def in_parallel(job: Callable, arguments: Sequence[tuple], n_jobs: int | None, label: str) -> list:
    """``[job(*each) for each in arguments]``, computed in any order, with a progress bar named ``label``.

    ``n_jobs``: 1 computes in this process, whatever is configured. None takes the ``n_jobs`` of
    ``joblib.parallel_config`` or, where that names none, all cores, or all workers of a Ray cluster. A
    Dask cluster is always used as a whole, and a single worker not at all (joblib then computes here):
    wait for its workers first. A call from within a job computes in that job's process.

    Every job runs in `single_threaded`, without bars of its own, and with the caller's LFSSD_CACHE and
    LFSSD_DATA (made absolute), LFSSD_SEED_OFFSET and LFSSD_THREADS, and its registered methods and
    networks, also on workers that were started with others. Jobs that share a process, as on a Dask worker
    with several threads, run one after the other.

    When this process is killed, joblib's own processes end within a second. Dask and Ray have their own ways.

    Raises what a job raised. When a worker dies, Dask runs its job again, and raises ``KilledWorker``
    for one that killed four; Ray does so with ``ray_remote_args=dict(max_restarts=3,
    max_task_retries=3)``, else raises ``ActorDiedError``; joblib's own processes are not replaced:
    ``TerminatedWorkerError``.
    """
    places = {name: os.environ.get(name) for name in PLACES}
    places = {name: str(Path(at).expanduser().absolute()) if at else None for name, at in places.items()}
    places |= {name: os.environ.get(name) for name in SETTINGS}
    if n_jobs == 1 or _thread.in_a_job:
        return [_call(job, each, places) for each in progress(arguments, label)]
    job = _knowing(job)
    backend, configured = get_active_backend()
    children = type(backend).__name__ in CHILDREN
    bound = dict(initializer=end_with, initargs=(os.getpid(),)) if children else {}
    if n_jobs is None:
        n_jobs = -1 if configured is None else configured
    with progress(range(len(arguments)), label) as bar, _reporting_lost_jobs(backend), not_for_children():
        parallel = _Parallel(n_jobs=n_jobs, batch_size=1, **bound)  # a worker that dies takes one job with it
        parallel.bar = bar
        return parallel(joblib.delayed(_call)(job, each, places) for each in arguments)


@contextmanager
def single_threaded() -> Iterator[None]:
    """One torch thread inside, as many as before after it. Sums in another order round differently:
    with one thread everywhere, results do not depend on how many cores a machine has."""
    with threads(1):
        yield


class _Parallel(joblib.Parallel):
    """Counts in a bar: not every engine can hand results over as they come (``return_as``)."""

    def print_progress(self):
        super().print_progress()
        self.bar.update(self.n_completed_tasks - self.bar.n)


def _knowing(job: Callable) -> Callable:
    """The job, taking along what is registered here and not in a process that imports this package."""
    methods = {name: m for name, m in METHODS.items() if not built_in(m.run)}
    networks = {name: n for name, n in NETWORKS.items() if not built_in(n.build)}
    return partial(_after_registering, methods, networks, job) if methods or networks else job


def _after_registering(methods: dict, networks: dict, job: Callable, *arguments) -> Any:
    METHODS.update(methods)
    NETWORKS.update(networks)
    return job(*arguments)


def _call(job: Callable, arguments: tuple, places: dict[str, str | None]) -> Any:
    with _alone, _environment(places | {"LFSSD_PROGRESS": "off"}), single_threaded():
        before, _thread.in_a_job = _thread.in_a_job, True
        try:
            return job(*arguments)
        finally:
            _thread.in_a_job = before


@contextmanager
def _environment(values: dict[str, str | None]) -> Iterator[None]:
    """Sets the variables (None: unset) inside, and puts back what was there."""
    before = {name: os.environ.get(name) for name in values}

    def put(values: dict[str, str | None]) -> None:
        for name, value in values.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    put(values)
    try:
        yield
    finally:
        put(before)


@contextmanager
def _reporting_lost_jobs(backend) -> Iterator[None]:
    """joblib's Dask backend (up to 1.6 at least) does not tell `joblib.Parallel` that the scheduler gave
    a job up, which then waits for ever; here its future tells."""
    if type(backend).__name__ != "DaskDistributedBackend":
        yield
        return
    names = [name for name in ("submit", "apply_async") if name in vars(type(backend))]  # joblib's old name

    def reporting(submit):
        def submit_and_report(batch, callback=None):
            future = submit(batch, callback)
            future.add_done_callback(lambda done: done.exception() and callback(done.exception()))
            return future

        return submit_and_report

    for name in names:
        setattr(backend, name, reporting(getattr(backend, name)))
    try:
        yield
    finally:
        for name in names:
            delattr(backend, name)
