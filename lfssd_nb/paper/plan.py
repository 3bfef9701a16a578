"""What a reproduction still has to do, and about how long that takes: `plan`, from measured rates.

The rates of training are measured once a folder and device, and kept there.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from ..data.dataset import Dataset
from ..lab import cases, record_files, records
from ..lab.jobs import single_threaded
from ..networks.training import training_seconds
from ..system import files
from . import published
from .published import Job, runs_of, tunings_of
from .throughput import floor_rate, training_rate

RECORD = 0.5  # passes over D that evaluating one record takes, in units of a training pass
IMPORTANCE = 2  # one of D, per sample
GRID = 2  # 32 cells of a case, each forward (a third of a pass) over a fifth of D
PASSES = {  # over D, of baselines with their settings; those that are not here read D_f alone
    "finetune": 5, "neggrad_plus": 10, "random_labels": 3, "bad_teacher": 1, "unsir": 3, "scrub": 6,
    "salun": 10, "l1_sparse": 10, "fisher_forgetting": 4,
}  # fmt: skip


def plan(
    jobs: Sequence[Job], methods: Sequence[str] | None, folder: Path, n_jobs: int, retry: bool = False
) -> pd.DataFrame:
    """What each stage still has to do and about how long that takes on ``n_jobs`` workers: models that the
    cache lacks, records that ``folder`` lacks. Training is measured on this device (``rate`` and ``floor``,
    in images a second), the rest counted in training passes in float32. What two stages share counts in the
    first.
    """
    rows, seen = [], set()
    for job in jobs:
        rates, n = rates_of(job, folder), len(cases.setting(job.cases()[0])[0].train_y)
        tunings = [missing for each in tunings_of(job, methods) if (missing := each.missing(folder))]
        runs = [run for run in runs_of(job, methods, folder) if record_files.wanted(folder, run, retry)]
        needed, importances = cases.models(runs), {run.case.importances for run in runs}
        models = {name: each for name, each in needed.items() if name not in seen}
        costs = [training_cost(*each) for each in models.values()]
        images = [read for read, seconds in costs if pd.isna(seconds)]
        passes = RECORD * len(runs) + 3 * IMPORTANCE * len(importances - seen)
        passes += sum(2 * IMPORTANCE + GRID * len(missing) for missing in tunings)
        passes += sum("order" in run.settings for run in runs)  # a batch mean over D of its own
        passes += sum(PASSES.get(run.method, 0) for run in runs)
        seen |= needed.keys() | importances
        rate = rates["compiled_rate"] if job.compiled else rates["rate"]
        seconds = [sum(images) / rate, passes * n / rates["float32"]]
        minutes = [each / 60 / n_jobs for each in seconds]
        rows.append(
            dict(stage=job.stage.name, models=len(images), records=len(runs), **rates)
            | dict(training_minutes=minutes[0], unlearning_minutes=minutes[1])
        )
    return pd.DataFrame(rows)


def training_cost(case: cases.Case, seed: int, gold: bool) -> tuple[int, float]:
    """Images that training a model reads, and the seconds that it took (NaN: not in the cache)."""
    d, scenario = cases.setting(case)
    index = scenario.retain if gold else None
    with single_threaded():  # as it is trained
        seconds = training_seconds(d, case.architecture, case.recipe, seed, index)
    return len(scenario.retain if gold else d.train_y) * case.recipe.epochs, seconds


def rates_of(job: Job, folder: Path) -> dict[str, float]:
    """``rate`` of training as it will be done, its ``floor``, and that in ``float32``, in images a second; on
    CUDA also those of compiled training. Measured once a folder and device."""
    d, _ = cases.setting(job.cases()[0])
    with single_threaded():
        job = replace(job, compiled=False)
        about = [str(d.train_x.shape), len(d.classes), asdict(job.architecture), asdict(job.recipe)]
        path = folder / f"rates-{cases.key([about, records.versions(d.device)])}.json"
        if not (found := record_files.rows(path, ("rate", "floor", "float32"))):
            rates = {"rate": training_rate(d, job.architecture, job.recipe)[0]}
            rates["floor"] = floor_rate(d, job.architecture, job.recipe)
            rates["float32"] = floor_rate(d, job.architecture, replace(job.recipe, bfloat16=False))
            if d.device.type == "cuda":
                rates |= _compiled_rate(d, job)
            found = [{k: round(v, 1) for k, v in rates.items()}]
            files.write_json(path, found[0])
    return found[0]


def _compiled_rate(d: Dataset, job: Job) -> dict[str, float]:
    """Nothing where torch.compile does not work, as without a compiler."""
    try:
        compiled = training_rate(d, job.architecture, replace(job.recipe, compiled=True))
    except RuntimeError as error:
        print(f"torch.compile does not work here: {str(error).splitlines()[0]}", file=sys.stderr)
        return {}
    return dict(zip(("compiled_rate", "compiling_seconds"), compiled, strict=True))


def compiled_where_it_pays(job: Job, folder: Path) -> Job:
    """Compiled if that saves the trainings of a job, which share what is compiled, more seconds than it
    takes; on CUDA alone."""
    rates = rates_of(job, folder)
    if "compiled_rate" not in rates:
        return job
    images = training_cost(job.cases()[0], job.profile.seeds[0], False)[0]
    images *= len(cases.models(published.runs(job, {}, methods=["nothing"])))
    saved = images / rates["rate"] - images / rates["compiled_rate"]
    return replace(job, compiled=saved > rates["compiling_seconds"])
