"""The same jobs on joblib's processes, on a Dask cluster and on Ray: same results, whoever is killed."""

import functools
import json
import os
import pickle
import secrets
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import joblib
import numpy as np
import psutil
import pytest
import torch
from killing import kill_group
from patience import group, patience, running, wait_until
from test_runner import RUNS, assert_same_table, names
from test_sweep import SWEEPS
from tqdm.auto import tqdm

from lfssd_nb.lab import jobs, records, sweep_cases
from lfssd_nb.lab.jobs import in_parallel
from lfssd_nb.system import files

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no SIGALRM to limit its time")


@contextmanager
def limit():
    """TimeoutError after `patience`, and again and again, should the clean-up hang too."""
    seconds = patience()

    def late(*_):
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def surroundings_of_a_run(small, tmp_path, monkeypatch):
    monkeypatch.setenv("LFSSD_DATA", str(small))
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "cache"))
    with limit():
        yield


@pytest.fixture(scope="module")
def alone(small, tmp_path_factory):
    """The table of RUNS, computed in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LFSSD_DATA", str(small))
        patch.setenv("LFSSD_CACHE", str(tmp_path_factory.mktemp("alone")))
        return records.run(RUNS, tmp_path_factory.mktemp("records"), n_jobs=1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Dask cluster of two processes, started before any test has set its places."""
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install distributed")
    import dask

    # what Dask and joblib call lost after 10 to 30 s may be late on a busy machine
    waits = ("deploy.lost-worker-timeout", "comm.timeouts.connect", "comm.timeouts.tcp")
    dask.config.set({f"distributed.{name}": f"{patience()} s" for name in waits})
    with limit():
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        )  # fmt: skip
        client = distributed.Client(cluster)
    try:
        yield client
    finally:
        with limit():
            client.close()
            cluster.close()


@pytest.fixture
def dask(cluster):
    """Both workers are up, and joblib goes to them."""
    cluster.wait_for_workers(2)
    with joblib.parallel_config("dask", wait_for_workers_timeout=patience()):
        yield cluster


# ---- jobs


def surroundings(*_):
    variables = ("LFSSD_CACHE", "LFSSD_DATA", "LFSSD_PROGRESS")
    return [os.getpid(), torch.get_num_threads(), *(os.environ.get(name) for name in variables)]


def meet(folder: Path, me: int, n: int) -> int:
    """Ends when ``n`` jobs have begun."""
    (folder / str(me)).touch()
    while sum(1 for _ in folder.iterdir()) < n:
        time.sleep(0.01)
    return os.getpid()


def fail(k: int) -> int:
    if k == 1:
        raise LookupError("the job's own words")
    return k


def die(k: int, who: int) -> int:
    if k == who:
        os.kill(os.getpid(), signal.SIGKILL)
    return k


# ---- here


@pytest.mark.parametrize(
    ("configured", "asked", "used"), [({}, None, -1), ({"n_jobs": 3}, None, 3), ({"n_jobs": 3}, 2, 2)]
)
def test_n_jobs_is_what_parallel_config_says_unless_asked_otherwise(configured, asked, used, monkeypatch):
    class Spy(jobs._Parallel):
        def __init__(self, n_jobs, **rest):
            seen.append(n_jobs)
            super().__init__(n_jobs=1, **rest)

    seen = []
    monkeypatch.setattr(jobs, "_Parallel", Spy)
    with joblib.parallel_config(**configured):
        assert in_parallel(fail, [(0,), (2,)], asked, "jobs") == [0, 2]
    assert seen == [used]


def test_loky_runs_as_many_processes_as_parallel_config_says(tmp_path):
    with joblib.parallel_config("loky", n_jobs=2):
        pids = in_parallel(meet, [(tmp_path, k, 2) for k in range(4)], None, "jobs")
    assert len({*pids} - {os.getpid()}) == 2
    with joblib.parallel_config("loky", n_jobs=1):
        assert in_parallel(surroundings, [()], None, "jobs")[0][0] == os.getpid()


@pytest.mark.parametrize(("n_jobs", "config"), [(1, {}), (2, {"backend": "threading"})])
def test_one_bar_counts_the_jobs_and_jobs_have_none(n_jobs, config, monkeypatch, capsys):
    def job(k):
        return os.environ["LFSSD_PROGRESS"]

    # tqdm draws ten times a second at most; here every time
    monkeypatch.setattr("lfssd_nb.system.progress.tqdm", functools.partial(tqdm, mininterval=0, miniters=1))
    monkeypatch.setenv("LFSSD_PROGRESS", "on")
    with joblib.parallel_config(**config):
        assert in_parallel(job, [(k,) for k in range(3)], n_jobs, "jobs") == ["off"] * 3
    assert os.environ["LFSSD_PROGRESS"] == "on"
    assert "jobs: 100%" in (drawn := capsys.readouterr().err) and "| 1/3" in drawn


def test_jobs_that_share_a_process_run_one_after_the_other_with_one_torch_thread(monkeypatch):
    """The first job ends when another thread stands at the door."""
    inside, threads, asked, lock = [], [], set(), jobs._alone

    class Door:
        def __enter__(self):
            asked.add(threading.get_ident())
            return lock.__enter__()

        def __exit__(self, *error):
            return lock.__exit__(*error)

    monkeypatch.setattr(jobs, "_alone", Door())

    def job(k):
        inside.append(k)
        threads.append((torch.get_num_threads(), threading.get_ident()))
        wait_until(lambda: len(asked) > 1, "a second job asks to be let in")
        assert inside == [k]
        inside.remove(k)
        return in_parallel(surroundings, [()], None, "a call within a job")[0][0]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with joblib.parallel_config("threading", n_jobs=4):
            assert in_parallel(job, [(k,) for k in range(8)], None, "jobs") == [os.getpid()] * 8
        assert {n for n, _ in threads} == {1} and len(threads) == 8
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), jobs.single_threaded():
            raise KeyError(torch.get_num_threads())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_worker_serves_one_data_root_after_another(small, tmp_path, monkeypatch):
    """Dask's workers outlive their callers: "cifar10" may be another file the next time."""
    arrays = dict(np.load(small / "cifar10.npz"))
    arrays |= {k: np.repeat(v, 2, 0) for k, v in arrays.items() if k.startswith("train")}
    np.savez(tmp_path / "cifar10.npz", **arrays)
    sizes = []
    for root in (small, tmp_path):
        monkeypatch.setenv("LFSSD_DATA", str(root))
        sizes += [*records.run(RUNS[:1], tmp_path / f"records of {root.name}", n_jobs=1).n_train]
    assert sizes == [100, 200]


def test_records_that_went_elsewhere_are_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "in_parallel", lambda *_: [])  # workers with a disk of their own
    with pytest.raises(
        FileNotFoundError, match=r"2 of 2 records are not in .*a file system that all workers"
    ):
        records.run(RUNS[:2], tmp_path)


TRAINING = """
import os, sys, time
from pathlib import Path
from lfssd_nb.lab import cases, jobs, records
from lfssd_nb.networks import Architecture, Recipe

there = Path(sys.argv[1])
net, recipe = Architecture("resnet18", 8), Recipe(10_000)  # for hours
case = [cases.Case("digits", net, "class", "3", seed, (5,), 100, recipe) for seed in (0, 1)]
runs = [cases.Run(each, "nothing") for each in case]
train_one = records.train_one

def told(*model):
    (there / f"pid {os.getpid()}").touch()
    train_one(*model)

if sys.argv[2] == "killed before":  # the workers begin, and their parent has gone already
    end_with = jobs.end_with
    def late(parent):
        (there / f"pid {os.getpid()}").touch()
        while not (there / "killed").exists():
            time.sleep(0.01)
        end_with(parent)
    jobs.end_with = late
records.train_one = told
if sys.argv[2] == "idle":  # one job for two workers
    end_with, runs[1:] = jobs.end_with, []
    records.models = lambda *_: {"the only": (case[0], 0, False)}
    def noted(parent):
        (there / f"pid {os.getpid()}").touch()
        end_with(parent)
    jobs.end_with = noted
records.run(runs, there / "records", n_jobs=2)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell of a parent's end")
@pytest.mark.parametrize("when", ["killed in training", "killed before", "idle"])
def test_workers_end_soon_after_their_killed_parent(when, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(tmp_path), when], start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(
            lambda: len([*tmp_path.glob("pid *")]) == 2,
            "two workers have begun",
            lambda: process.poll() is None,
        )
        workers = {int(path.name[4:]) for path in tmp_path.glob("pid *")}
        assert running(workers) == workers and process.pid not in workers
        process.kill()  # the parent alone
        process.wait()
        (tmp_path / "killed").touch()
        end = time.monotonic() + patience(10)
        while running(workers) and time.monotonic() < end:
            time.sleep(0.05)
        assert not running(workers)
        wait_until(lambda: not group(process.pid), "nobody else is left")
    finally:
        kill_group(process.pid)


# ---- Dask


def test_dask_workers_compute_the_records_of_one_process(dask, alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = records.run(RUNS, "records")  # relative to this process, not to the workers
    assert_same_table(table, alone)
    assert {each.name for each in (tmp_path / "records").iterdir()} == names(RUNS)
    assert len([*(tmp_path / "cache" / "models").iterdir()]) == 5


def test_a_job_on_dask_has_the_places_of_its_caller(dask, tmp_path, monkeypatch):
    before = dask.run(surroundings)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LFSSD_CACHE", "mine")
    monkeypatch.delenv("LFSSD_DATA")
    monkeypatch.setenv("LFSSD_PROGRESS", "on")
    found = in_parallel(surroundings, [(k,) for k in range(4)], None, "jobs")
    workers = {pid for pid, *_ in before.values()}
    assert {pid for pid, *_ in found} <= workers and os.getpid() not in workers
    assert [rest for _, *rest in found] == [[1, str(tmp_path / "mine"), None, "off"]] * 4
    assert dask.run(surroundings) == before
    assert in_parallel(surroundings, [()], 1, "jobs")[0][0] == os.getpid()  # 1 means here


@pytest.mark.parametrize(
    ("computed", "jobs"), [(records, RUNS), (sweep_cases, SWEEPS)], ids=["runs", "sweep"]
)
def test_a_killed_dask_worker_loses_and_repeats_no_record(dask, small, tmp_path, computed, jobs, monkeypatch):
    """SIGKILL right after the first record of a batch of several; every write of a record is logged."""
    from distributed import WorkerPlugin

    log, marker, folder = tmp_path / "log", tmp_path / "killed", tmp_path / "records"

    class Killer(WorkerPlugin):  # Dask installs it in workers that it restarts, too
        def setup(self, worker):
            @functools.wraps(files.write)
            def write(path, payload):
                write.__wrapped__(path, payload)
                if path.suffix == ".json":
                    with log.open("a") as file:
                        file.write(f"{path.name}\n")
                    if not marker.exists():
                        marker.write_text(str(os.getpid()))
                        os.kill(os.getpid(), signal.SIGKILL)

            files.write = write

        def teardown(self, worker):
            files.write = files.write.__wrapped__

    before = {*dask.run(os.getpid).values()}
    dask.register_plugin(Killer(), name="killer")
    try:
        table = computed.run(jobs, folder)
    finally:
        dask.unregister_worker_plugin("killer")
    dask.wait_for_workers(2)
    after = {*dask.run(os.getpid).values()}
    assert before - after == {int(marker.read_text())} and len(after) == 2
    assert sorted(log.read_text().split()) == sorted(names(jobs))
    assert {each.name for each in folder.iterdir()} == names(jobs)
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "another cache"))
    assert_same_table(table, computed.run(jobs, tmp_path / "alone", n_jobs=1))


def test_errors_of_dask_jobs_are_raised_and_a_job_that_kills_its_workers_does_not_hang(dask, monkeypatch):
    with pytest.raises(LookupError, match="the job's own words"):
        in_parallel(fail, [(k,) for k in range(6)], None, "jobs")
    from distributed import KilledWorker

    with monkeypatch.context() as patch:
        patch.setattr(dask.cluster.scheduler, "allowed_failures", 0)
        with pytest.raises(KilledWorker):
            in_parallel(die, [(k, 2) for k in range(6)], None, "jobs")
    dask.wait_for_workers(2)
    assert in_parallel(die, [(k, -1) for k in range(6)], None, "jobs") == [*range(6)]


# ---- Ray

START = 60.0  # seconds that Ray may take to start: it takes about ten

RAY = """
import json, os, pickle, signal, sys, time
from pathlib import Path
import joblib, ray, ray._private.node, torch
from ray.util.joblib import register_ray
from lfssd_nb.lab import records
from lfssd_nb.lab.jobs import in_parallel

runs, places, there, limit = pickle.load(open(sys.argv[1], "rb"))
there = Path(there)

def job(k):
    "The first to come is killed."
    marker = there / "killed"
    if not marker.exists():
        marker.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    names = ("LFSSD_CACHE", "LFSSD_DATA", "LFSSD_PROGRESS")
    seen = [os.getpid(), torch.get_num_threads(), *(os.environ.get(name) for name in names)]
    (there / f"seen by {k}").write_text(json.dumps(seen))
    if k == 5:
        raise LookupError("the job's own words")

class Clock:
    "Ray gives its node a fixed 30 seconds to start: on a slow machine more, see patience.py."
    def __getattr__(self, name):
        return getattr(time, name)

    def monotonic(self):
        return time.monotonic() * 30 / limit

ray._private.node.time = Clock()
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
(there / "started").touch()
register_ray()
os.environ |= places
retry = dict(num_cpus=1, max_restarts=3, max_task_retries=3)
with joblib.parallel_config("ray", ray_remote_args=retry):
    records.run(runs, there / "records")
    try:
        in_parallel(job, [(k,) for k in range(6)], None, "jobs")
    except LookupError as error:
        (there / "error").write_text(str(error))
ray.shutdown()
"""


def with_ray(command: list[str], environment: dict[str, str], there: Path) -> int:
    """The exit code of a process that touches "started" once Ray has. Some starts of Ray hang for good,
    before any line of ours (its server never learns of its node): those are begun anew."""
    for _ in range(6):
        with (there / "output").open("w+") as output:
            process = psutil.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        end = time.monotonic() + patience(START)
        while not (there / "started").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        try:
            if (there / "started").exists():
                return process.wait(patience())
        finally:
            with suppress(psutil.NoSuchProcess):
                for each in [*process.children(recursive=True), process]:
                    each.kill()
            process.wait()
    pytest.fail("Ray did not start:\n" + (there / "output").read_text()[-5000:])


def test_ray_workers_compute_the_records_of_one_process_and_survive_a_kill(alone, small, tmp_path):
    """In a process of its own: joblib's Ray backend changes joblib, and Ray keeps a token in ~/.ray."""
    pytest.importorskip(
        "ray", reason="needs Ray (pip install ray): not every Python and platform has a wheel"
    )
    places = {"LFSSD_CACHE": str(tmp_path / "cache"), "LFSSD_DATA": str(small)}
    (tmp_path / "plan").write_bytes(pickle.dumps((RUNS, places, str(tmp_path), patience(START))))
    environment = {k: v for k, v in os.environ.items() if k not in places} | {
        "OMP_NUM_THREADS": "1", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip
    for what in ("worker_register_timeout", "gcs_server_request_timeout", "gcs_rpc_server_connect_timeout"):
        unit = "s" if what.startswith("gcs_rpc") else "seconds"
        environment[f"RAY_{what}_{unit}"] = str(int(patience()))
    for what in ("health_check_timeout_ms", "raylet_client_connect_timeout_milliseconds"):
        environment[f"RAY_{what}"] = str(1000 * int(patience()))
    code = with_ray([sys.executable, "-c", RAY, str(tmp_path / "plan")], environment, tmp_path)
    assert code == 0, (tmp_path / "output").read_text()[-5000:]
    assert (tmp_path / "error").read_text() == "the job's own words"
    seen = [json.loads(each.read_text()) for each in tmp_path.glob("seen by *")]
    assert len(seen) >= 3 and all(rest == [1, *places.values(), "off"] for _, *rest in seen)
    assert (tmp_path / "killed").read_text() not in {str(pid) for pid, *_ in seen}
    assert_same_table(records.load(tmp_path / "records", RUNS), alone)
    assert {each.name for each in (tmp_path / "records").iterdir()} == names(RUNS)
