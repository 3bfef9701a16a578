r"""Choosing the scale-free alpha' of LFSSD and SSD without gold models.

On one original model, for a few targets (others than those that count, or one of these alone), a grid of
:math:`\alpha'` is dampened and measured on training images. The chosen one has the smallest mean of the loss
of `search.damage_and_rest`; of equals the largest, which changes least.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from . import runner, store
from .data import Dataset
from .importance import fisher, sensitivity
from .metrics import accuracy, logits
from .runner import Case
from .scenarios import Scenario
from .search import damage_and_rest
from .sweep import Measure, correct, grid
from .training import trained

SCALES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Tuning:
    """Cases that share one original model; per-sample importances."""

    cases: tuple[Case, ...]
    scales: tuple[float, ...] = SCALES

    def __post_init__(self):
        if len({case.training(case.seed) for case in self.cases}) != 1:
            raise ValueError("a tuning needs cases on one and the same original model, at least one")

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        cases = [case.identity for case in self.cases]
        return runner.key(["tuning", runner.SCHEMA, cases, self.scales])


def run(tuning: Tuning, folder: str | Path) -> pd.DataFrame:
    """One row for each target, ``estimator`` (``"lfssd"``, ``"ssd"``) and ``scale``, with ``loss`` in points;
    from ``folder`` if it is there. Raises ``OSError`` if the record cannot be written."""
    path = runner.record(Path(folder), tuning)
    if not path.exists():
        rows = pd.concat([*_rows(tuning)]).to_dict("records")
        store.write(path, json.dumps(rows).encode())
    return pd.DataFrame(store.read_json(path))


def best(table: pd.DataFrame) -> dict[str, float]:
    """alpha' by method: the smallest mean loss over targets."""
    mean = table.groupby(["estimator", "scale"], as_index=False).loss.mean()
    order = mean.sort_values(["loss", "scale"], ascending=[True, False])
    return dict(order.groupby("estimator").scale.first())


def scales(tuning: Tuning, folder: Path) -> tuple[dict[str, float], dict[Case, dict[str, float]]]:
    """`best` of all cases together, and of each alone; alpha' = 0 before `run` has finished."""
    if not runner.record(folder, tuning).exists():
        unknown = {"lfssd": 0.0, "ssd": 0.0}
        return unknown, dict.fromkeys(tuning.cases, unknown)
    table = run(tuning, folder)
    return best(table), {case: best(table[table.target == case.target]) for case in tuning.cases}


def measured_on_training(d: Dataset, scenario: Scenario, every: int = 5) -> tuple[Tensor, Measure]:
    """All images of D_f and every fifth of D_r, and their accuracies as `sweep.exam` names them."""
    index, n = torch.cat([scenario.forget, scenario.retain[::every]]), len(scenario.forget)
    return d.train_x[index], correct(d.train_y[index], retained=slice(n, None), forgotten=slice(n))


def _rows(tuning: Tuning):
    first = tuning.cases[0]
    d, _ = runner.setting(first)
    model = trained(d, first.architecture, first.recipe, first.seed, show=False)
    full = {"lfssd": sensitivity(model, d.train_x), "ssd": fisher(model, d.train_x, d.train_y)}
    for case in tuning.cases:
        _, scenario = runner.setting(case)
        x, y = d.train_x[scenario.forget], d.train_y[scenario.forget]
        pairs = {"lfssd": (sensitivity(model, x), full["lfssd"]), "ssd": (fisher(model, x, y), full["ssd"])}
        exam, measure = measured_on_training(d, scenario)
        # unseen images of a forgotten class are never recognised; those like random samples are as before
        aim = accuracy(model, d.test_x, d.test_y) if case.kind == "random" else 0.0
        loss = damage_and_rest(measure(logits(model, exam)), aim)
        cells = grid(model, pairs, exam, measure, scales=tuning.scales, show=False)
        cells["loss"] = [loss(row) for row in cells.to_dict("records")]
        cells["scale"] = cells.scale.round(6)  # alpha / (N / N_f) is not the scale to the last bit
        yield cells.assign(**case.columns)
