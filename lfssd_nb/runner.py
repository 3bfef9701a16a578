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
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from . import __version__, baselines, data, scenarios, store
from . import device as devices
from .battery import Yardstick, battery, yardstick
from .cost import counting, now
from .data import Dataset
from .gold import retrained
from .models import Architecture, build
from .parallel import in_parallel
from .recipes import Recipe, default_recipe
from .scenarios import Scenario
from .seeds import training_seed
from .training import trained, training_seconds

ADDED = ("images", "recipe", "device")  # fields of a Case that came after the first records
Known = tuple[nn.Module, baselines.Memory]
SCHEMA = 1  # part of every record's name: raise it when a column changes its meaning


@dataclass(frozen=True)
class Case:
    """One original model and one forget set.

    ``target``: a class or sub-class, or for random forgetting ``"N"`` or ``"N@draw"``: N samples, drawn
    with the seed ``draw`` whatever the training seed. ``gold_seeds``: the gold models to compare with;
    the one with the case's own seed is left out, so that gold itself is measured by the same stick.
    ``images``: a stratified sample of so many training images (`Dataset.subset`) in place of all;
    ``recipe``: how to train (None: `default_recipe`); ``device``: where to compute.
    """

    data: str
    architecture: Architecture
    kind: str
    target: str
    seed: int
    gold_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    images: int | None = None
    recipe: Recipe | None = None
    device: str = "cpu"

    def __post_init__(self):
        if not set(self.gold_seeds) - {self.seed}:
            raise ValueError(
                f"gold_seeds={self.gold_seeds} leave no gold model but the case's own, {self.seed}"
            )

    def training(self, seed: int) -> tuple:
        """What decides the model of a seed that is trained on all of D."""
        return self.data, self.images, self.architecture, self.recipe, self.device, seed

    @property
    def importances(self) -> tuple:
        """What decides I(D): the model, and the order in which batch means see D."""
        return *self.training(self.seed), self.kind == "random"

    @property
    def identity(self) -> dict:
        """All that decides a record; a field that was added later counts where it is not at its default."""
        later = {each.name: each.default for each in fields(self) if each.name in ADDED}
        seeds = dict(seed=training_seed(self.seed), gold_seeds=tuple(map(training_seed, self.gold_seeds)))
        return {k: v for k, v in (asdict(self) | seeds).items() if k not in later or v != later[k]}

    @property
    def columns(self) -> dict:
        """The case in a table."""
        return dict(
            data=self.data, architecture=self.architecture.name, width=self.architecture.width,
            size=self.architecture.size, scenario=self.kind, target=self.target,
            seed=training_seed(self.seed),
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
        return key([SCHEMA, asdict(self) | {"case": self.case.identity}])


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
    resume(runs, folder, records, n_jobs, lambda each: each.case.importances)
    return load(folder, runs)


def resume(jobs: Sequence, folder: str | Path, compute: Callable, n_jobs: int | None, by: Callable) -> None:
    """Trains the models that unfinished jobs need, then calls ``compute(batch, folder)`` for each batch of
    jobs with equal ``by(job)``. A job has a ``case`` and a ``key``; compute writes ``folder/KEY.json``."""
    folder = Path(folder).absolute()  # workers have folders of their own to start from
    todo = [each for each in jobs if not record(folder, each).exists()]
    if not todo:
        return
    train(todo, n_jobs)
    batches = {}
    for each in todo:
        batches.setdefault(by(each), []).append(each)
    in_parallel(compute, [(batch, folder) for batch in batches.values()], n_jobs, "cases")
    if lost := sum(not record(folder, each).exists() for each in todo):
        raise FileNotFoundError(
            f"{lost} of {len(todo)} records are not in {folder} though they were computed: choose a "
            "folder on a file system that all workers see, or start again if this one is only slow"
        )


def train(jobs: Sequence, n_jobs: int | None = None) -> None:
    """Trains the original and gold models of all ``jobs`` that the cache lacks. Raises ``OSError`` when one
    cannot be kept, as on a full disk."""
    in_parallel(train_one, list(models(jobs).values()), n_jobs, "models")


def load(folder: str | Path, runs: Sequence[Run]) -> pd.DataFrame:
    """The records of ``runs`` that exist in ``folder``, one row each, named by ``key``."""
    paths = (record(folder, each) for each in runs)
    rows = [{"key": path.stem} | store.read_json(path) for path in paths if path.exists()]
    return pd.DataFrame(rows)


def record(folder: str | Path, job) -> Path:
    """Where the record of a job is, or will be."""
    return Path(folder) / f"{job.key}.json"


def models(runs: Sequence) -> dict[tuple, tuple[Case, int, bool]]:
    """(case, seed, gold?) of every model that the runs need, by what decides it: each once."""
    wanted = {}
    for case in dict.fromkeys(each.case for each in runs):
        wanted[case.training(case.seed), None] = (case, case.seed, False)
        for seed in (case.seed, *case.gold_seeds):
            wanted[case.training(seed), (case.kind, case.target)] = (case, seed, True)
    return wanted


@lru_cache(4)
def _dataset(name: str, root: Path, images: int | None, device: str) -> Dataset:
    d = data.load(name, root, device)
    return d if images is None else d.subset(images)


def dataset(case: Case) -> Dataset:
    """The data set of a case, loaded once a process."""
    return _dataset(case.data, data.data_root(), case.images, case.device)


def setting(case: Case) -> tuple[Dataset, Scenario]:
    """The data set and the forget set of a case."""
    d = dataset(case)
    target, _, draw = case.target.partition("@")
    return d, scenarios.make(d, case.kind, target, int(draw or 0))


def other_golds(case: Case, d: Dataset, scenario: Scenario) -> list[nn.Module]:
    """The gold models to compare with: of all ``gold_seeds`` but the case's own."""
    others = [seed for seed in case.gold_seeds if seed != case.seed]
    return retrained(d, scenario, case.architecture, case.recipe, others, show=False)


def known_of(case: Case) -> Known:
    """The original model of a case, and an empty memory for its importances of D."""
    d = dataset(case)
    return trained(d, case.architecture, case.recipe, case.seed, show=False), baselines.Memory()


def train_one(case: Case, seed: int, gold: bool) -> None:
    """One of `models`, into the cache."""
    d, scenario = setting(case)
    index = scenario.retain if gold else None
    trained(d, case.architecture, case.recipe, seed, index, show=False, must_cache=True)


def records(runs: Sequence[Run], folder: Path, known: Known | None = None) -> None:
    """The records of runs on one original model, case by case; I(D) is computed once for all of them, or
    taken from ``known``, where more than one call is about the same model (`known_of`)."""
    original, memory = known or (None, baselines.Memory())
    for case in dict.fromkeys(each.case for each in runs):
        mine = [each for each in runs if each.case == case and not record(folder, each).exists()]
        if not mine:  # a worker that died since had finished them
            continue
        d, scenario = setting(case)
        if original is None:  # loaded anew it would be another model to the memory
            original = trained(d, case.architecture, case.recipe, case.seed, show=False)
        golds = other_golds(case, d, scenario)
        stick = yardstick(golds, build(case.architecture, d, case.seed + 1000, pretrained=False), d, scenario)
        task = baselines.make(d, scenario, case.architecture, case.recipe, case.seed, memory)
        for each in mine:
            row = _record(each, original, task, d, scenario, stick)
            store.write(record(folder, each), json.dumps(row, indent=1).encode())


def _record(each: Run, original, task, d: Dataset, scenario: Scenario, stick: Yardstick) -> dict:
    case, method = each.case, baselines.get(each.method)
    row = case.columns | dict(
        method=each.method, variant=each.variant,
        settings=json.dumps(method.defaults | each.settings, sort_keys=True),
        n_forget=len(scenario.forget), n_train=len(d.train_y), gold_seeds=len(stick.golds), source=d.source,
    )  # fmt: skip
    if case.recipe:
        row |= {"recipe": json.dumps(asdict(case.recipe))}
    task.memory.recalled = (0.0, 0)
    start = now(d.device)
    try:
        with counting(type(original)) as seen, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a setting changes nothing shows in the record
            model = method(original, task, **each.settings)
        saved, known = task.memory.recalled  # what is remembered was paid for by an earlier method
        seconds, passes = now(d.device) - start + saved, (seen[0] + known) / len(d.train_y)
        if each.method == "retrain":  # it came from the cache: report what training took
            recipe = case.recipe or default_recipe(d, case.architecture)
            seconds = training_seconds(d, case.architecture, recipe, case.seed, scenario.retain)
            passes = recipe.epochs * len(scenario.retain) / len(d.train_y)
        row |= battery(model, d, scenario, stick, each.deep)
    except (FloatingPointError, ValueError, torch.cuda.OutOfMemoryError) as error:
        return row | versions(d.device) | {"error": str(error)}
    return row | {"seconds": round(seconds, 3), "passes": round(passes, 3)} | versions(d.device)


def versions(device: torch.device) -> dict:
    """What the numbers were computed with."""
    return dict(lfssd_nb=__version__, torch=torch.__version__, machine=platform.machine(), device=device.type,
                device_name=devices.name(device), threads=torch.get_num_threads())  # fmt: skip
