"""The audit on many networks: each method on N originals beside 2 N gold networks, resumable as in `records`.

A record is a method on a case, or all gold networks of a case. It keeps its networks' margins, since KLOM
takes all training seeds of a method at once: `table` computes it, from the networks made of N originals
against the gold networks of other seeds. Gold networks of the originals' seeds against these give its floor.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .. import baselines
from ..audit import attacks, representation, residual
from ..audit.how_accurate import accuracies, outputs
from ..audit.intervals import jackknife
from ..audit.klom import klom
from ..audit.linear_probe import features, probe_auroc
from ..audit.membership import entropy_attack
from ..audit.relearn import relearn_class
from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..networks.gold import retrained
from ..networks.seeds import training_seed
from ..networks.training import trained
from ..system import files
from . import cases, record_files, records
from .cases import Case

GOLD = "gold"
HOW = dict(attacks=5, push=0.3, pushes=10, steps=20, lr=0.003, labels=5, probes=3)  # part of every key


@dataclass(frozen=True)
class Audit:
    """A method with settings on a case, or `GOLD`: all of its gold networks."""

    measured: ClassVar[tuple[str, ...]] = ("method", "distance", "margins")

    case: Case
    method: str
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.method != GOLD:
            baselines.get(self.method).check(self.settings)

    @property
    def key(self) -> str:
        """A hash of all that decides the record, a method's default settings and version among it."""
        mine = ["audit", cases.SCHEMA, HOW, self.case.identity, self.method]
        if self.method == GOLD:
            return cases.key([*mine, {}])
        method = baselines.get(self.method)
        return cases.key([*mine, {**method.defaults, **self.settings}, method.version])


@dataclass(frozen=True)
class Golds:
    """The gold networks of a case, and their features at D_f and at the retained test images, by seed."""

    features: dict[int, tuple[Tensor, Tensor]]
    networks: dict[int, nn.Module]


def audited(batch: Sequence[Audit], folder: Path) -> None:
    """The records of audits on one case."""
    case = batch[0].case
    d, scenario = cases.setting(case)
    original = trained(d, case.architecture, case.recipe, case.seed, show=False)
    golds = _golds(replace(case, seed=case.gold_seeds[0]))
    task = baselines.make(d, scenario, case.architecture, case.recipe, case.seed)
    mine = _features(original, d, scenario)[0]
    for each in batch:
        if not record_files.wanted(folder, each, quiet=True):
            continue
        first = case.columns | dict(
            method=each.method,
            settings=json.dumps(each.settings, sort_keys=True),
            n_forget=len(scenario.forget),
        )
        if each.method == GOLD:
            rows = [
                first | dict(seed=training_seed(seed)) | measured(net, d, scenario, golds, mine, seed)
                for seed, net in golds.networks.items()
            ]
        else:
            try:
                model = baselines.get(each.method)(original, task, **each.settings)
                rows = [first | measured(model, d, scenario, golds, mine, case.seed)]
            except (FloatingPointError, ValueError) as error:
                rows = [first | {"error": record_files.said(error)}]
        files.write_json(records.record(folder, each), rows)


def measured(
    model: nn.Module, d: Dataset, scenario: Scenario, golds: Golds, original: Tensor, seed: int
) -> dict:
    """One network in numbers. ``mia``: mean over attack seeds, with their standard deviation ``mia_spread``;
    ``entropy`` and ``loss``: means over D_f, nats; ``distance`` (D_f) and ``distance_test``: of the
    representation to gold networks of other seeds (means); ``to_original``: at D_f; ``residual``: rho;
    ``relearn``: accuracy on the forgotten test images, mean over the steps (%); ``probe``: AUROC of few
    labels.
    """
    check(d, scenario)
    z, (on_forget, on_test) = outputs(model, d), _features(model, d, scenario)
    forget, x, y = scenario.forget, d.train_x[scenario.forget], d.train_y[scenario.forget]
    scores = attacks.scores(z.train[forget], y)
    tries = [entropy_attack(z, d, scenario, k).mia for k in range(HOW["attacks"])]
    others = [pair for one, pair in golds.features.items() if one != seed]
    row = accuracies(z, d, scenario) | dict(mia=np.mean(tries), mia_spread=np.std(tries, ddof=1))
    row |= dict(entropy=-float(scores["entropy"].mean()), loss=-float(scores["loss"].mean()))
    row["distance"] = np.mean([representation.distance(on_forget, f) for f, _ in others])
    row["distance_test"] = np.mean([representation.distance(on_test, t) for _, t in others])
    row["to_original"] = representation.distance(on_forget, original)
    row["residual"] = float(residual.rates(model, x, y, HOW["push"], HOW["pushes"]).mean())
    if len(scenario.test_forget):
        curve = relearn_class(model, d, scenario, HOW["labels"], HOW["steps"], HOW["lr"])
        few = [probe_auroc(model, d, scenario, HOW["labels"], k) for k in range(HOW["probes"])]
        row |= dict(relearn=np.mean(curve), probe=np.mean(few))
    test = scenario.test_retain
    margins = attacks.stable_logit(z.train[forget], y), attacks.stable_logit(z.test[test], d.test_y[test])
    plain = {name: float(value) for name, value in row.items()}
    return plain | {"margins": [[round(v, 4) for v in part.tolist()] for part in margins]}


def run(audits: Sequence[Audit], folder: str | Path, n_jobs: int | None = None) -> pd.DataFrame:
    """Computes the records that ``folder`` lacks and returns the `table` of ``audits``."""
    records.resume(audits, folder, audited, n_jobs, lambda each: each.case)
    return table(audits, folder)


def table(audits: Sequence[Audit], folder: str | Path) -> pd.DataFrame:
    """A row a network: the case, the method, `measured`, and of its method ``klom_forget`` and ``klom_test``
    (means over D_f and the retained test images, nats) from ``networks`` networks of the originals' seeds.
    ``…_excess``: KLOM minus that of gold networks of the same seeds, which is its floor; ``…_half``: half of
    its 95 % interval, by leaving out one original and its gold network at a time (`jackknife`).
    """
    found = [record_files.rows(records.record(folder, each), each.measured) for each in audits]
    everything = pd.DataFrame([row for rows in found for row in rows])
    seeds = {training_seed(each.case.seed) for each in audits}
    parts = []
    for _, case in everything.groupby(["data", "scenario", "target"], sort=False):
        sound = case.dropna(subset="margins")
        golds = sound[sound.method == GOLD].set_index("seed").margins
        apart = golds[~golds.index.isin(seeds)]
        for method, rows in case.groupby("method", sort=False):
            mine = sound[(sound.method == method) & sound.seed.isin(seeds)].set_index("seed").margins
            part = rows.assign(networks=len(mine), **_kloms(mine, golds, apart))
            parts.append(part.drop(columns="margins"))
    return pd.concat(parts, ignore_index=True)


def _kloms(mine: pd.Series, golds: pd.Series, apart: pd.Series) -> dict[str, float]:
    """KLOM of the margins ``mine`` against ``apart``, and how far beyond that of gold networks of the same
    seeds; NaN where networks are missing."""
    paired = mine.index.isin(golds.index).all()
    seeds, found = mine.index if paired else mine.index[:0], {}
    for k, name in enumerate(("klom_forget", "klom_test")):

        def value(lot: pd.Series, k=k) -> float:
            if not len(lot) or not len(apart):
                return np.nan
            return float(klom(_stacked(lot, k), _stacked(apart, k)).mean())

        def excess(seeds: pd.Index, value=value) -> float:
            return value(mine[seeds]) - value(golds[seeds])

        found[name], found[f"{name}_excess"] = value(mine), excess(seeds)
        found[f"{name}_half"] = jackknife([excess(seeds.drop(seed)) for seed in seeds])
    return found


def _stacked(margins: pd.Series, k: int) -> Tensor:
    return torch.tensor([each[k] for each in margins], dtype=torch.float64)


def _features(model: nn.Module, d: Dataset, scenario: Scenario) -> tuple[Tensor, Tensor]:
    return features(model, d.train_x[scenario.forget]), features(model, d.test_x[scenario.test_retain])


@lru_cache(1)
def _golds(case: Case) -> Golds:
    d, scenario = cases.setting(case)
    nets = retrained(d, scenario, case.architecture, case.recipe, case.gold_seeds, show=False)
    by_seed = dict(zip(case.gold_seeds, nets, strict=True))
    kept = {seed: _features(net, d, scenario) for seed, net in by_seed.items()}
    return Golds(kept, by_seed)
