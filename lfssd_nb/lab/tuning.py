r"""Choosing the scale-free alpha' of LFSSD and SSD without gold models.

On one original model, for a few targets (others than those that count, or one of these alone), a grid of
:math:`\alpha'` is dampened and measured on training images. The chosen one has the smallest mean of the loss
of `optuna_search.damage_and_rest`; of equals the largest, which changes least.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from ..audit.how_accurate import accuracy
from ..data.dataset import Dataset
from ..data.orders import class_order
from ..data.scenarios import BY_LABEL, Scenario, check
from ..importance import fisher, sensitivity
from ..networks.forward import logits
from ..sweeps.grids import Measure, correct, grid
from ..sweeps.optuna_search import damage_and_rest
from ..system import files
from . import cases, record_files, records
from .cases import Case

MEASURED = ("estimator", "scale", "loss")
SCALES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Tuning:
    """Cases that share one original model; per-sample importances."""

    cases: tuple[Case, ...]
    scales: tuple[float, ...] = SCALES

    def __post_init__(self):
        if len({case.training(case.seed) for case in self.cases}) != 1:
            raise ValueError("a tuning needs cases on one and the same original model, at least one")

    def record(self, case: Case, folder: str | Path) -> Path:
        """Where the record of one of the cases is, or will be: whatever others are tuned beside it."""
        key = cases.key(["tuning", cases.SCHEMA, case.identity, self.scales])
        return Path(folder) / f"{key}.json"

    def rows(self, case: Case, folder: str | Path) -> list[dict]:
        """The rows of the record of one of the cases, none if it is not there or damaged."""
        return record_files.rows(self.record(case, folder), MEASURED)

    def missing(self, folder: str | Path) -> list[Case]:
        """The cases without a record."""
        return [case for case in self.cases if not self.rows(case, folder)]


def run(tuning: Tuning, folder: str | Path, known: records.Known | None = None) -> pd.DataFrame:
    """One row for each target, ``estimator`` (``"lfssd"``, ``"ssd"``) and ``scale``, with ``loss`` in points;
    from ``folder`` what is there. ``known``: see `records.records`. Raises ``OSError`` if a record cannot be
    written."""
    if missing := tuning.missing(folder):
        for case, table in _tables(missing, tuning.scales, known or records.known_of(missing[0])):
            files.write_json(tuning.record(case, folder), table.to_dict("records"))
    return pd.DataFrame([row for case in tuning.cases for row in tuning.rows(case, folder)])


def best(table: pd.DataFrame) -> dict[str, float]:
    """alpha' by method: the smallest mean loss over targets, of those that are finite for every target.

    Raises ``ValueError`` for a method without one."""
    table = table.assign(loss=table.loss.where(table.loss.abs() < math.inf, math.inf))  # NaN is no loss
    mean = table.groupby(["estimator", "scale"], as_index=False).loss.mean()
    if none := {*mean.estimator} - {*mean[mean.loss < math.inf].estimator}:
        raise ValueError(
            f"no scale of {', '.join(sorted(none))} has a finite loss on all targets: try others"
        )
    order = mean.sort_values(["loss", "scale"], ascending=[True, False])
    return dict(order.groupby("estimator").scale.first())


def scales(tuning: Tuning, folder: Path) -> tuple[dict[str, float], dict[Case, dict[str, float]]]:
    """`best` of all cases together, and of each alone; alpha' = 0 where `run` has not finished."""
    unknown = {"lfssd": 0.0, "ssd": 0.0}
    missing = tuning.missing(folder)
    alone = {
        case: unknown if case in missing else best(run(Tuning((case,), tuning.scales), folder))
        for case in tuning.cases
    }
    return unknown if missing else best(run(tuning, folder)), alone


def measured_on_training(d: Dataset, scenario: Scenario, every: int = 5) -> tuple[Tensor, Measure]:
    """All images of D_f and every fifth of D_r, and their accuracies as `grids.exam` names them."""
    check(d, scenario)
    index, n = torch.cat([scenario.forget, scenario.retain[::every]]), len(scenario.forget)
    return d.train_x[index], correct(d.train_y[index], retained=slice(n, None), forgotten=slice(n))


def aim_of(model: nn.Module, d: Dataset, scenario: Scenario) -> float:
    """F* of `damage_and_rest`, in percent: unseen samples of a forgotten label are never recognised; those of
    a person, or like random samples, are as before."""
    check(d, scenario)
    return 0.0 if scenario.kind in BY_LABEL else accuracy(model, d.test_x, d.test_y)


def tried(
    model, pairs, exam: Tensor, measure: Measure, aim: float, scales: tuple[float, ...]
) -> pd.DataFrame:
    """`grids.grid` over ``scales`` with the ``loss`` of each cell."""
    loss = damage_and_rest(measure(logits(model, exam)), aim)
    cells = grid(model, pairs, exam, measure, scales=scales, show=False)
    cells["loss"] = [loss(row) for row in cells.to_dict("records")]
    return cells.assign(scale=cells.scale.round(6))  # alpha / (N / N_f) is not the scale to the last bit


def _tables(several: list[Case], scales: tuple[float, ...], known: records.Known):
    d, scenario = cases.setting(several[0])
    model, memory = known
    order = class_order(d, scenario)  # as the methods ask for it
    x, y, how = d.train_x[order], d.train_y[order], dict(reduction="sample", batch_size=128)
    full = {"lfssd": memory.importance(sensitivity, model, x, **how),
            "ssd": memory.importance(fisher, model, x, y, **how)}  # fmt: skip
    for case in several:
        _, scenario = cases.setting(case)
        x, y = d.train_x[scenario.forget], d.train_y[scenario.forget]
        pairs = {"lfssd": (sensitivity(model, x), full["lfssd"]), "ssd": (fisher(model, x, y), full["ssd"])}
        cells = tried(model, pairs, *measured_on_training(d, scenario), aim_of(model, d, scenario), scales)
        yield case, cells.assign(**case.columns)
