"""Running experiments: methods x scenarios x targets x seeds, one record each, resumable.

A finished record is a small JSON file, named by a hash of everything that was asked for and renamed
into place when complete. What exists is never computed again, what was interrupted leaves nothing
behind: kill the run at any moment and start it again. A damaged record is computed again (`record_files`).
`load` gathers the records into a tidy DataFrame.

Parallel work goes through `jobs.in_parallel`, so that ``joblib.parallel_config(...)`` decides where it
runs, and results do not depend on how many workers there are. On a cluster, ``folder``, the model cache
and the data root must be on a file system that all workers see.
"""

import json
import platform
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from .. import __version__, baselines
from ..audit.all_metrics import Yardstick, battery, yardstick
from ..data.dataset import Dataset
from ..data.scenarios import Scenario
from ..networks.architecture import build
from ..networks.recipes import default_recipe
from ..networks.training import trained, training_seconds
from ..system import device as devices
from ..system import files
from ..system.stopwatch import counting, now
from . import record_files
from .cases import Case, Run, dataset, every_gold, models, other_golds, setting
from .jobs import in_parallel
from .record_files import record, wanted

Known = tuple[nn.Module, baselines.Memory]


def run(
    runs: Sequence[Run], folder: str | Path, n_jobs: int | None = None, retry: bool = False
) -> pd.DataFrame:
    """Computes the records that ``folder`` lacks and returns those of ``runs``, in their order.

    First all models (originals, gold), each trained once and cached, then case by case all methods.
    A record that fails to compute is kept as a row with ``error``, so that the rest goes on; at the end a
    warning counts them. ``retry`` tries those again that are there; running out of memory is always tried
    again.

    ``n_jobs``: None for what ``joblib.parallel_config`` says, else all cores; see `jobs.in_parallel`.
    Raises ``FileNotFoundError`` when workers wrote to a ``folder`` that is not this one.
    """
    resume(runs, folder, partial(records, retry=retry), n_jobs, lambda each: each.case.importances, retry)
    table = load(folder, runs)
    if failed := record_files.failures(table):
        warnings.warn(failed, stacklevel=2)
    return table


def resume(
    jobs: Sequence,
    folder: str | Path,
    compute: Callable,
    n_jobs: int | None,
    by: Callable,
    retry: bool = False,
    golds: Callable[[Case], Sequence[int]] = every_gold,
) -> None:
    """Trains the models that unfinished jobs need (``golds``: see `cases.models`), then calls
    ``compute(batch, folder)`` for each batch of jobs with equal ``by(job)``. Jobs, and which of them are
    unfinished: see `record_files.wanted`; compute writes ``folder/KEY.json`` with `files.write_json`."""
    folder = Path(folder).absolute()  # workers have folders of their own to start from
    todo = [each for each in jobs if wanted(folder, each, retry)]
    if not todo:
        return
    train(todo, n_jobs, golds)
    batches = {}
    for each in todo:
        batches.setdefault(by(each), []).append(each)
    in_parallel(compute, [(batch, folder) for batch in batches.values()], n_jobs, "cases")
    if lost := sum(not record_files.rows(record(folder, each), each.measured, True) for each in todo):
        raise FileNotFoundError(
            f"{lost} of {len(todo)} records are not in {folder} though they were computed: choose a "
            "folder on a file system that all workers see, or start again if this one is only slow"
        )


def train(
    jobs: Sequence, n_jobs: int | None = None, golds: Callable[[Case], Sequence[int]] = every_gold
) -> None:
    """Trains the original and gold models (`cases.models`) of ``jobs`` that the cache lacks. Raises
    ``OSError`` if one cannot be kept, as on a full disk."""
    in_parallel(train_one, list(models(jobs, golds).values()), n_jobs, "models")


def load(folder: str | Path, runs: Sequence[Run]) -> pd.DataFrame:
    """The records of ``runs`` that exist in ``folder``, one row each, named by ``key``. A damaged one is left
    out with a warning that names it."""
    paths = [record(folder, each) for each in runs]
    return pd.DataFrame(
        [{"key": path.stem} | row for path in paths for row in record_files.rows(path, Run.measured)]
    )


def known_of(case: Case) -> Known:
    """The original model of a case, and an empty memory for its importances of D."""
    d = dataset(case)
    return trained(d, case.architecture, case.recipe, case.seed, show=False), baselines.Memory()


def train_one(case: Case, seed: int, gold: bool) -> None:
    """One of `models`, into the cache."""
    d, scenario = setting(case)
    index = scenario.retain if gold else None
    trained(d, case.architecture, case.recipe, seed, index, show=False, must_cache=True)


def records(runs: Sequence[Run], folder: Path, known: Known | None = None, retry: bool = False) -> None:
    """The records of runs on one original model, case by case; I(D) is computed once for all of them, or
    taken from ``known``, where more than one call is about the same model (`known_of`). ``retry``: as in
    `run`."""
    original, memory = known or (None, baselines.Memory())
    for case in dict.fromkeys(each.case for each in runs):
        mine = [each for each in runs if each.case == case and wanted(folder, each, retry, quiet=True)]
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
            files.write_json(record(folder, each), row)


def _record(each: Run, original, task, d: Dataset, scenario: Scenario, stick: Yardstick) -> dict:
    case, method = each.case, baselines.get(each.method)
    row = case.columns | dict(
        method=each.method, variant=each.variant,
        settings=json.dumps(method.defaults | each.settings, sort_keys=True),
        n_forget=len(scenario.forget), n_train=len(d.train_y), gold_seeds=len(stick.golds), source=d.source,
    )  # fmt: skip
    if case.recipe:
        row |= {"recipe": json.dumps(asdict(case.recipe))}
    try:
        model, seconds, samples = performed(method, original, task, each.settings)
        passes = samples / len(d.train_y)
        if each.method == "retrain":  # it came from the cache: report what training took
            recipe = case.recipe or default_recipe(d, case.architecture)
            seconds = training_seconds(d, case.architecture, recipe, case.seed, scenario.retain)
            passes = recipe.epochs * len(scenario.retain) / len(d.train_y)
        row |= battery(model, d, scenario, stick, each.deep)
    except (FloatingPointError, ValueError, MemoryError, RuntimeError) as error:
        return row | versions(d.device) | {"error": record_files.said(error)}
    return row | {"seconds": round(seconds, 3), "passes": round(passes, 3)} | versions(d.device)


def performed(
    method: baselines.Method, original: nn.Module, task: baselines.Task, settings: Mapping
) -> tuple[nn.Module, float, int]:
    """The new model, the seconds that it took, and how many samples went forward; what the task's memory knew
    counts as if it had been computed."""
    task.memory.recalled, start = (0.0, 0), now(task.forget_x.device)
    with counting(type(original)) as seen, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a setting changes nothing shows in the record
        model = method(original, task, **settings)
    saved, known = task.memory.recalled
    return model, now(task.forget_x.device) - start + saved, seen[0] + known


def versions(device: torch.device) -> dict:
    """What the numbers were computed with."""
    return dict(lfssd_nb=__version__, torch=torch.__version__, machine=platform.machine(), device=device.type,
                device_name=devices.name(device), threads=torch.get_num_threads())  # fmt: skip
