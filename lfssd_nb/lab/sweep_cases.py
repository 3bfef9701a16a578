"""Sweeps over many targets, seeds and networks: one resumable record a case, on all cores or a cluster.

Like `records`, with a grid of cells (`grids.grid`) in place of a method. I(D) of a network is computed
once for all its targets.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
from torch import Tensor, nn

from ..dampening import check_settings
from ..data.dataset import Dataset
from ..data.orders import class_order
from ..data.scenarios import Scenario
from ..importance import fisher, sensitivity
from ..importance_sums import Importance
from ..networks.forward import logits
from ..networks.training import trained
from ..sweeps.grids import exam, grid
from ..system import files
from . import cases, record_files, records
from .cases import Case

# name: (estimator, reduction). Batch means are of 64 at a time (published: 128 for a random D_f), with D
# in `orders.class_order`.
ESTIMATORS = {
    "LFSSD": ("sensitivity", "sample"),
    "SSD": ("fisher", "sample"),
    "unsquared norm": ("norm sensitivity", "sample"),
    "LFSSD, batch mean": ("sensitivity", "batch"),
    "SSD, batch mean": ("fisher", "batch"),
}


@dataclass(frozen=True)
class Sweep:
    """A grid on one case: ``estimators`` by their names in `ESTIMATORS`, scale-free thresholds ``scales``
    (alpha' = alpha N_f / N) and ``lams``."""

    measured: ClassVar[tuple[str, ...]] = ("estimator", "scale", "lam", "retained", "forgotten")

    case: Case
    scales: tuple[float, ...]
    lams: tuple[float, ...] = (1.0,)
    estimators: tuple[str, ...] = ("LFSSD", "SSD")

    def __post_init__(self):
        for name in self.estimators:
            if name not in ESTIMATORS:
                raise ValueError(f"unknown estimator {name!r}; choose from {', '.join(ESTIMATORS)}")
        if not (self.scales and self.lams and self.estimators):
            raise ValueError("a sweep needs at least one scale, one lambda and one estimator")
        for scale, lam in itertools.product(self.scales, self.lams):
            check_settings(scale, lam)

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        return cases.key(["sweep", cases.SCHEMA, cases.shallow(self) | {"case": self.case.identity}])


def run(sweeps: Sequence[Sweep], folder: str | Path, n_jobs: int | None = None) -> pd.DataFrame:
    """Computes what ``folder`` lacks and returns the cells of all ``sweeps``: those of `grids.grid`, beside
    the case, ``gold_retained`` and ``gold_forgotten`` (means over the case's gold models) and ``gap``, the
    mean of the two distances to them, in points.

    ``n_jobs`` and damaged records: as in `records.run`; an error ends it.
    """
    records.resume(
        sweeps,
        folder,
        _cells,
        n_jobs,
        lambda s: (s.case.importances, s.estimators),
    )
    return load(folder, sweeps)


def load(folder: str | Path, sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """The cells of those ``sweeps`` whose records exist; a damaged one is left out with a warning."""
    several = [record_files.rows(records.record(folder, each), each.measured) for each in sweeps]
    return pd.DataFrame([row for rows in several for row in rows])


def importance(name: str, model: nn.Module, x: Tensor, y: Tensor) -> Importance:
    """The importance of a set of samples by an estimator's name in `ESTIMATORS`."""
    kind, reduction = ESTIMATORS[name]
    how = dict(reduction=reduction, batch_size=64)
    if kind == "fisher":
        return fisher(model, x, y, **how)
    return sensitivity(model, x, squared=kind == "sensitivity", **how)


def _cells(batch: Sequence[Sweep], folder: Path) -> None:
    """The records of sweeps that share one original and one order of D, and so I(D)."""
    full: dict[str, Importance] = {}
    for each in batch:
        if record_files.wanted(folder, each, quiet=True):
            d, scenario = cases.setting(each.case)
            rows = _one(each, d, scenario, full).to_dict("records")
            files.write_json(records.record(folder, each), rows)


def _one(each: Sweep, d: Dataset, scenario: Scenario, full: dict[str, Importance]) -> pd.DataFrame:
    case, (x, measure) = each.case, exam(d, scenario)
    model = trained(d, case.architecture, case.recipe, case.seed, show=False)
    order = class_order(d, scenario)
    pairs = {}
    for name in each.estimators:
        if name not in full:
            full[name] = importance(name, model, d.train_x[order], d.train_y[order])
        part = importance(name, model, d.train_x[scenario.forget], d.train_y[scenario.forget])
        pairs[name] = part, full[name]
    golds = cases.other_golds(case, d, scenario)
    gold = pd.DataFrame([measure(logits(one, x)) for one in golds]).mean().add_prefix("gold_")
    cells = grid(model, pairs, x, measure, scales=each.scales, lams=each.lams, show=False)
    cells = cells.assign(**case.columns, n_forget=len(scenario.forget), **gold)
    away = (cells.retained - cells.gold_retained).abs() + (cells.forgotten - cells.gold_forgotten).abs()
    return cells.assign(gap=away / 2)
