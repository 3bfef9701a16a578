"""One comparison, start to end: original, gold and unlearned models, measured alike."""

import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
from torch import nn

from . import unlearn
from .data import Dataset
from .gold import retrained
from .membership import entropy_attack
from .metrics import accuracies, outputs
from .models import Architecture
from .scenarios import Scenario
from .training import Recipe, trained
from .unlearn import Unlearned


@dataclass(frozen=True)
class Comparison:
    """``models`` by name (``original``, ``gold``, then one per method), ``table`` with a row for
    each (accuracies in percent, ``mia`` in 0..1), ``unlearned`` by method, ``seconds`` per stage (a
    model from the cache loads in milliseconds)."""

    models: dict[str, nn.Module]
    table: pd.DataFrame
    unlearned: dict[str, Unlearned]
    seconds: dict[str, float]


def evaluate(model: nn.Module, data: Dataset, scenario: Scenario) -> dict[str, float]:
    """The four accuracies (percent) and ``mia`` (0..1) of one model."""
    z = outputs(model, data)
    return accuracies(z, data, scenario) | {"mia": entropy_attack(z, data, scenario).mia}


def forget(method: str, model: nn.Module, data: Dataset, scenario: Scenario, **options) -> Unlearned:
    """Runs LFSSD or SSD (by name) on a scenario. Options: those of `unlearn.lfssd`."""
    unlearn.check(method, **options)
    x, y = data.train_x, data.train_y
    if method == "lfssd":
        return unlearn.lfssd(model, x[scenario.forget], x, **options)
    return unlearn.ssd(model, (x[scenario.forget], y[scenario.forget]), (x, y), **options)


def compare(
    data: Dataset,
    scenario: Scenario,
    architecture: Architecture,
    methods: Mapping[str, dict] | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    gold: bool = True,
) -> Comparison:
    """Trains the original and (unless ``gold=False``) the gold model, forgets, measures all.

    methods: options by method name, for instance ``{"lfssd": {"alpha": 4}, "ssd": {}}`` (default:
    both at their defaults). Trained models come from the cache if they are there.
    """
    methods = {"lfssd": {}, "ssd": {}} if methods is None else methods
    for method, options in methods.items():
        unlearn.check(method, **options)
    seconds: dict[str, float] = {}
    with _timed(seconds, "train"):
        models = {"original": trained(data, architecture, recipe, seed)}
    if gold:
        with _timed(seconds, "gold"):
            models["gold"] = retrained(data, scenario, architecture, recipe, [seed])[0]
    unlearned = {}
    for method, options in methods.items():
        with _timed(seconds, method):
            unlearned[method] = forget(method, models["original"], data, scenario, **options)
        models[method] = unlearned[method].model
    with _timed(seconds, "evaluate"):
        rows = {name: evaluate(model, data, scenario) for name, model in models.items()}
    return Comparison(models, pd.DataFrame(rows).T, unlearned, seconds)


@contextmanager
def _timed(seconds: dict[str, float], stage: str):
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 3)
