r"""Tuning any method by one protocol, without gold models and without the test set.

The original of a trial has seen nine tenths of D (`data.validation`); the tenth is what "unseen" means. A
method with one setting is judged by a ToW whose reference is no gold model, in points from 0 to 100:

.. math:: \mathrm{loss} = 100\,\bigl(1 - (1 - [R_0 - R]_+)\,(1 - [V_0 - V]_+)\,(1 - |F - F^*|)\bigr)

R, V, F: accuracies on D_r, on unseen samples of what stays, on D_f; 0: of the original. :math:`F^*` is what
unseen samples of the forgotten kind would have: 0 where a label is forgotten, else :math:`V_0`.

A `Ladder` holds the values of the one setting that a method may choose. It is extended, a value at a time,
while its best value lies at an end and beats its neighbour, and towards the strong end while none works.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pandas as pd

from .. import baselines
from ..audit.how_accurate import accuracies
from ..data.scenarios import BY_LABEL
from ..networks.training import trained
from ..system import files
from . import cases, record_files, records
from .cases import Case, Run

TIE = 0.5  # points of loss: mean over trials that differ by less are equal
IN_VAIN = 90.0  # a loss above it is not a tenth of the way from doing nothing, which has about 100


@dataclass(frozen=True)
class Ladder:
    """``values`` of ``setting`` from the gentlest to the strongest, in about equal ratios; no value beyond
    ``bounds``; ``others``: settings that every trial has. At most ``most`` values are tried."""

    method: str
    setting: str
    values: tuple[float, ...]
    bounds: tuple[float, float] = (0.0, math.inf)
    variant: str = "tuned"
    others: Mapping = field(default_factory=dict)
    most: int = 9

    def __post_init__(self):
        if len(self.values) < 2 or [*self.values] not in (sorted(self.values), sorted(self.values)[::-1]):
            raise ValueError(f"values={self.values} of {self.setting}: give two or more, rising or falling")

    def settings(self, value: float) -> dict:
        """Of the method, at one value."""
        return {**self.others, self.setting: value}


@dataclass(frozen=True)
class Trial:
    """One method at one value of its ladder, on a case of a `data.validation` data set."""

    measured: ClassVar[tuple[str, ...]] = ("method", "value", "loss")

    case: Case
    ladder: Ladder
    value: float

    @property
    def settings(self) -> dict:
        return self.ladder.settings(self.value)

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        run = Run(self.case, self.ladder.method, self.ladder.variant, self.settings)
        return cases.key(["trial", cases.SCHEMA, run.key])


def tune(
    ladders: Sequence[Ladder], several: Sequence[Case], folder: str | Path, n_jobs: int | None = None
) -> pd.DataFrame:
    """A row a trial: every ladder on the same cases, as long as `extended` makes it; resumable. A value at
    which a method fails leaves an ``error``."""
    while True:
        trials = [each for ladder in ladders for each in _trials(extended(ladder, several, folder), several)]
        if not any(record_files.wanted(folder, each, quiet=True) for each in trials):
            return load(ladders, several, folder)
        records.resume(trials, folder, judge, n_jobs, _batch, golds=lambda _: ())


def load(ladders: Sequence[Ladder], several: Sequence[Case], folder: str | Path) -> pd.DataFrame:
    """The records of `tune` that are in ``folder``."""
    trials = [each for ladder in ladders for each in _trials(extended(ladder, several, folder), several)]
    found = [
        (each.key, record_files.rows(record_files.record(folder, each), Trial.measured)) for each in trials
    ]
    return pd.DataFrame([{"key": key} | row for key, rows in found for row in rows])


def choice(ladder: Ladder, table: pd.DataFrame) -> float:
    """The best value by the mean loss over the cases of a `tune` table of one network and scenario.

    That is the middle of the values around it that differ by at most `TIE` (of two the gentler), so that it
    stands at no cliff's edge. Raises ``ValueError`` where none has a finite loss."""
    losses = mean_losses(ladder, table)
    gentle = sorted(losses, reverse=ladder.values[0] > ladder.values[-1])
    least = min(losses.values(), default=math.inf)
    if not math.isfinite(least):
        raise ValueError(f"no value of {ladder.setting} of {ladder.method} has a finite loss: try others")
    equal = [losses[value] <= least + TIE for value in gentle]
    first = last = next(k for k, value in enumerate(gentle) if losses[value] == least)
    while first and equal[first - 1]:
        first -= 1
    while last + 1 < len(gentle) and equal[last + 1]:
        last += 1
    return gentle[(first + last) // 2]


def mean_losses(ladder: Ladder, table: pd.DataFrame) -> dict[float, float]:
    """Mean loss over the cases by value; infinite where a method failed on one of them."""
    rows = table[(table.method == ladder.method) & (table.variant == ladder.variant)]
    losses = rows.loss.fillna(math.inf) if "loss" in rows else pd.Series(math.inf, rows.index)
    return losses.groupby(rows.value).mean().to_dict()


def extended(ladder: Ladder, several: Sequence[Case], folder: str | Path) -> Ladder:
    """The ladder with the values that its records ask for: one more, in the ratio of the last two, where the
    best value is the last and beats its neighbour by more than `TIE`, or a stronger one where all are above
    `IN_VAIN`; no bound is reached, and fewer than ``most`` are tried."""
    while len(ladder.values) < ladder.most:
        found = [record_files.rows(record_files.record(folder, each), Trial.measured, quiet=True)
                 for each in _trials(ladder, several)]  # fmt: skip
        if not all(found):
            return ladder
        losses = mean_losses(ladder, pd.DataFrame([row for rows in found for row in rows]))
        longer = beyond(ladder, losses)
        if longer is None:
            return ladder
        ladder = longer
    return ladder


def beyond(ladder: Ladder, losses: Mapping[float, float]) -> Ladder | None:
    """The ladder with one more value, None where it needs none, see `extended`."""
    values, least = ladder.values, min(losses.values())
    for at, beside in ((0, 1), (-1, -2)):
        last, neighbour = losses[values[at]], losses[values[beside]]
        new = float(f"{values[at] ** 2 / values[beside]:.3g}")
        new = min(max(new, ladder.bounds[0]), ladder.bounds[1])
        in_vain = at == -1 and IN_VAIN < least < math.inf
        better = last == least < math.inf and last < neighbour - TIE
        if (better or in_vain) and new not in (0.0, values[at]):
            return replace(ladder, values=(new, *values) if at == 0 else (*values, new))
    return None


def _batch(each: Trial) -> tuple:
    return each.case.importances, each.ladder.method, each.ladder.variant


def _trials(ladder: Ladder, several: Sequence[Case]) -> list[Trial]:
    return [Trial(case, ladder, value) for value in ladder.values for case in several]


def judge(trials: Sequence[Trial], folder: Path) -> None:
    """The records of trials on one original model; I(D) is computed once for all of them."""
    memory, model = baselines.Memory(), None
    for each in trials:
        if not record_files.wanted(folder, each, quiet=True):
            continue
        d, scenario = cases.setting(each.case)
        if model is None:
            model = trained(d, each.case.architecture, each.case.recipe, each.case.seed, show=False)
        task = baselines.make(d, scenario, each.case.architecture, each.case.recipe, each.case.seed, memory)
        files.write_json(record_files.record(folder, each), _row(each, model, task, d, scenario))


def _row(each: Trial, model, task, d, scenario) -> dict:
    method, case = baselines.get(each.ladder.method), each.case
    row = case.columns | dict(method=each.ladder.method, variant=each.ladder.variant, value=each.value)
    row["settings"] = json.dumps(method.defaults | each.settings, sort_keys=True)
    try:
        new, _, samples = records.performed(method, model, task, each.settings)
        row["passes"] = round(samples / len(d.train_y), 3)
        before, after = (accuracies(net, d, scenario) for net in (model, new))
    except (FloatingPointError, ValueError, MemoryError, RuntimeError) as error:
        return row | {"error": record_files.said(error)}
    aim = 0.0 if case.kind in BY_LABEL else before["retain_test_acc"]
    return row | loss(before, after, aim)


def loss(before: Mapping[str, float], after: Mapping[str, float], aim: float) -> dict[str, float]:
    """The three accuracies in percent (``retained``, ``unseen``, ``forgotten``) and the ``loss``."""
    names = dict(retained="retain_train_acc", unseen="retain_test_acc", forgotten="forget_train_acc")
    found = {name: after[column] for name, column in names.items()}
    gaps = [max(0.0, before[names[name]] - found[name]) for name in ("retained", "unseen")]
    near = math.prod(1 - gap / 100 for gap in (*gaps, abs(found["forgotten"] - aim)))
    return {name: round(value, 3) for name, value in found.items()} | {"loss": round(100 * (1 - near), 4)}
