"""The experiment runner: methods x scenarios x targets x seeds, one record each, resumable.

A finished record is a small JSON file, named by a hash of everything that was asked for and renamed
into place when complete. What exists is never computed again, what was interrupted leaves nothing
behind: kill the run at any moment and start it again. `load` gathers the records into a tidy DataFrame.

Parallel work goes through `parallel.in_parallel`, so that ``joblib.parallel_config(...)`` decides where it
runs, and results do not depend on how many workers there are. On a cluster, ``folder``, the model cache
and the data root must be on a file system that all workers see.
"""

import hashlib
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from . import __version__, baselines, data, scenarios, store
from .battery import Yardstick, battery, yardstick
from .data import Dataset
from .gold import retrained
from .models import Architecture, build
from .parallel import in_parallel
from .recipes import default_recipe
from .scenarios import Scenario
from .training import trained, training_seconds

SCHEMA = 1  # part of every record's name: raise it when a column changes its meaning


@dataclass(frozen=True)
class Case:
    """One original model and one forget set.

    ``target``: a class or sub-class, or for random forgetting ``"N"`` or ``"N@draw"``: N samples, drawn
    with the seed ``draw`` whatever the training seed. ``gold_seeds``: the gold models to compare with;
    the one with the case's own seed is left out, so that gold itself is measured by the same stick.
    """

    data: str
    architecture: Architecture
    kind: str
    target: str
    seed: int
    gold_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self):
        if not set(self.gold_seeds) - {self.seed}:
            raise ValueError(
                f"gold_seeds={self.gold_seeds} leave no gold model but the case's own, {self.seed}"
            )

    @property
    def columns(self) -> dict:
        """The case in a table."""
        return dict(
            data=self.data, architecture=self.architecture.name, width=self.architecture.width,
            scenario=self.kind, target=self.target, seed=self.seed,
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One method with settings on a case; ``variant`` names the settings in tables, ``deep`` asks for the
    slow metrics of `battery` too."""

    case: Case
    method: str
    variant: str = "default"
    settings: dict = field(default_factory=dict)
    deep: bool = False

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        return key([SCHEMA, asdict(self)])


def key(what: list) -> str:
    """20 hex digits of a hash of something that JSON can hold."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:20]


def run(runs: Sequence[Run], folder: str | Path, n_jobs: int | None = None) -> pd.DataFrame:
    """Computes the records that ``folder`` lacks and returns those of ``runs``, in their order.

    First all models (originals, gold), each trained once and cached, then case by case all methods.
    A record that fails to compute is kept as a row with ``error``, so that the rest goes on.

    ``n_jobs``: None for what ``joblib.parallel_config`` says, else all cores; see `parallel.in_parallel`.
    Raises ``FileNotFoundError`` when workers wrote to a ``folder`` that is not this one.
    """
    for each in runs:
        baselines.get(each.method)
    resume(runs, folder, _records, n_jobs, lambda each: each.case)
    return load(folder, runs)


def resume(jobs: Sequence, folder: str | Path, compute: Callable, n_jobs: int | None, by: Callable) -> None:
    """Trains the models that unfinished jobs need, then calls ``compute(batch, folder)`` for each batch of
    jobs with equal ``by(job)``. A job has a ``case`` and a ``key``; compute writes ``folder/KEY.json``."""
    folder = Path(folder).absolute()  # workers have folders of their own to start from
    todo = [each for each in jobs if not record(folder, each).exists()]
    if not todo:
        return
    in_parallel(_train, _models(todo), n_jobs, "models")
    batches = {}
    for each in todo:
        batches.setdefault(by(each), []).append(each)
    in_parallel(compute, [(batch, folder) for batch in batches.values()], n_jobs, "cases")
    if lost := sum(not record(folder, each).exists() for each in todo):
        raise FileNotFoundError(
            f"{lost} of {len(todo)} records are not in {folder} though they were computed: choose a "
            "folder on a file system that all workers see, or start again if this one is only slow"
        )


def load(folder: str | Path, runs: Sequence[Run]) -> pd.DataFrame:
    """The records of ``runs`` that exist in ``folder``, one row each, named by ``key``."""
    paths = (record(folder, each) for each in runs)
    rows = [{"key": path.stem} | json.loads(path.read_text()) for path in paths if path.exists()]
    return pd.DataFrame(rows)


def record(folder: str | Path, job) -> Path:
    """Where the record of a job is, or will be."""
    return Path(folder) / f"{job.key}.json"


def _models(runs: Sequence[Run]) -> list[tuple]:
    """(case, seed, gold?) of every model that the runs need, each once."""
    wanted = {}
    for case in dict.fromkeys(each.case for each in runs):
        wanted[case.data, case.architecture, case.seed] = (case, case.seed, False)
        for seed in (case.seed, *case.gold_seeds):
            wanted[case.data, case.architecture, case.kind, case.target, seed] = (case, seed, True)
    return list(wanted.values())


@lru_cache(4)
def _dataset(name: str, root: Path) -> Dataset:
    return data.load(name, root, device="cpu")


def setting(case: Case) -> tuple[Dataset, Scenario]:
    """The data set, loaded once a process, and the forget set of a case."""
    d = _dataset(case.data, data.data_root())
    target, _, draw = case.target.partition("@")
    return d, scenarios.make(d, case.kind, target, int(draw or 0))


def other_golds(case: Case, d: Dataset, scenario: Scenario) -> list[nn.Module]:
    """The gold models to compare with: of all ``gold_seeds`` but the case's own."""
    others = [seed for seed in case.gold_seeds if seed != case.seed]
    return retrained(d, scenario, case.architecture, None, others, show=False)


def _train(case: Case, seed: int, gold: bool) -> None:
    d, scenario = setting(case)
    trained(d, case.architecture, None, seed, scenario.retain if gold else None, show=False)


def _records(runs: Sequence[Run], folder: Path) -> None:
    runs = [each for each in runs if not record(folder, each).exists()]  # by a worker that died since
    if not runs:
        return
    case = runs[0].case
    d, scenario = setting(case)
    original = trained(d, case.architecture, None, case.seed, show=False)
    golds = other_golds(case, d, scenario)
    stick = yardstick(golds, build(case.architecture, d, case.seed + 1000), d, scenario)
    task = baselines.make(d, scenario, case.architecture, None, case.seed)
    for each in runs:
        row = _record(each, original, task, d, scenario, stick)
        store.write(record(folder, each), json.dumps(row, indent=1).encode())


def _record(each: Run, original, task, d: Dataset, scenario: Scenario, stick: Yardstick) -> dict:
    case, method = each.case, baselines.get(each.method)
    row = case.columns | dict(
        method=each.method, variant=each.variant,
        settings=json.dumps(method.defaults | each.settings, sort_keys=True),
        n_forget=len(scenario.forget), n_train=len(d.train_y), gold_seeds=len(stick.golds),
    )  # fmt: skip
    start = time.perf_counter()
    try:
        with counting(type(original)) as seen, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a setting changes nothing shows in the record
            model = method(original, task, **each.settings)
        seconds, passes = time.perf_counter() - start, seen[0] / len(d.train_y)
        if each.method == "retrain":  # it came from the cache: report what training took
            seconds = training_seconds(d, case.architecture, None, case.seed, scenario.retain)
            passes = default_recipe(d, case.architecture).epochs * len(scenario.retain) / len(d.train_y)
        row |= battery(model, d, scenario, stick, each.deep)
    except (FloatingPointError, ValueError) as error:
        return row | versions() | {"error": str(error)}
    return row | {"seconds": round(seconds, 3), "passes": round(passes, 3)} | versions()


@contextmanager
def counting(kind: type[nn.Module]) -> Iterator[list[int]]:
    """Counts the samples that go forward through any network of type ``kind``, in ``[n]``."""
    seen = [0]

    def count(module: nn.Module, args: tuple) -> None:
        if type(module) is kind:
            seen[0] += len(args[0])

    handle = nn.modules.module.register_module_forward_pre_hook(count)
    try:
        yield seen
    finally:
        handle.remove()


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    return dict(lfssd_nb=__version__, torch=torch.__version__, machine=platform.machine(), device="cpu",
                threads=torch.get_num_threads())  # fmt: skip
