"""What a reproduction has finished, as tables: ``records``, ``tuning`` and ``models``."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ..lab import cases, records, tuning
from ..system import files
from . import published
from .plan import rates_of, training_cost
from .published import Job, runs_of, tunings_of


def collect(jobs: Sequence[Job], methods: Sequence[str] | None, folder: Path) -> None:
    """Writes the tables of what is finished."""
    write_tables(tables(jobs, methods, folder) | {"models": pd.DataFrame(_models_of(jobs, folder))}, folder)


def tables(jobs: Sequence[Job], methods: Sequence[str] | None, folder: Path) -> dict[str, pd.DataFrame]:
    """``records`` and ``tuning`` as far as they are finished."""
    tuned = [
        tuning.run(tuning.Tuning((case,), each.scales), folder).assign(
            stage=job.stage.name, variant="searched" if k else "tuned"
        )
        for job in jobs
        for k, each in enumerate(tunings_of(job, methods))
        for case in each.cases
        if each.rows(case, folder)
    ]
    return {
        "records": records.load(folder, [run for job in jobs for run in runs_of(job, methods, folder)]),
        "tuning": pd.concat(tuned) if tuned else pd.DataFrame(),
    }


def write_tables(found: dict[str, pd.DataFrame], folder: Path) -> None:
    """NAME.csv of each."""
    for name, table in found.items():
        files.write(folder / f"{name}.csv", table.round(5).to_csv(index=False).encode())


def _models_of(jobs: Sequence[Job], folder: Path) -> Iterator[dict]:
    """A row for every trained model; what two stages share stands once."""
    seen = set()
    for job in jobs:
        models = cases.models(published.runs(job, {}, methods=["nothing"]))
        for name, (case, seed, gold) in models.items():
            if name in seen:
                continue
            seen.add(name)
            images, seconds = training_cost(case, seed, gold)
            if pd.isna(seconds):
                continue
            d, _ = cases.setting(case)
            yield (
                dict(stage=job.stage.name, data=case.data, seed=seed, gold_of=case.target if gold else "")
                | asdict(case.architecture)
                | dict(images=images, seconds=seconds, rate=images / seconds, source=d.source)
                | {"floor": rates_of(job, folder)["floor"]}
                | records.versions(d.device)
                | {"recipe": json.dumps(asdict(case.recipe))}
            )
