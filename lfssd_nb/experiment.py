"""One comparison, start to end: original, gold and unlearned models, measured alike."""

import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
from torch import nn

from . import importance, unlearn
from .data import Dataset
from .distributed import first_on_rank_0, same_model, spread
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


def forget(
    method: str, model: nn.Module, data: Dataset, scenario: Scenario, distributed: bool = False, **options
) -> Unlearned:
    """Runs LFSSD or SSD (by name) on a scenario. Options: those of `unlearn.lfssd`.

    distributed: all ranks of a `distributed.process_group` call this, and share the work of the importances.
    """
    unlearn.check(method, **options)
    x, y = data.train_x, data.train_y
    if distributed:
        rule = {name: options.pop(name) for name in ("alpha", "lam") if name in options}
        columns = [x] if method == "lfssd" else [x, y]
        estimate = importance.sensitivity if method == "lfssd" else importance.fisher
        i_f = spread(estimate, model, *(column[scenario.forget] for column in columns), **options)
        i_d = spread(estimate, model, *columns, **options)
        rule["parameters"] = options.get("parameters")
        return getattr(unlearn, method)(model, i_f, i_d, **rule)
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
    distributed: bool = False,
) -> Comparison:
    """Trains the original and (unless ``gold=False``) the gold model, forgets, measures all.

    methods: options by method name, for instance ``{"lfssd": {"alpha": 4}, "ssd": {}}`` (default:
    both at their defaults). Trained models come from the cache if they are there.
    distributed: all ranks of a `distributed.process_group` call this: rank 0 trains while the others
    wait, all share the work of the importances, and each returns the same comparison.
    """
    turn = first_on_rank_0 if distributed else lambda work: work()
    methods = {"lfssd": {}, "ssd": {}} if methods is None else methods
    for method, options in methods.items():
        unlearn.check(method, **options)
    seconds: dict[str, float] = {}
    with _timed(seconds, "train"):
        models = {"original": turn(lambda: trained(data, architecture, recipe, seed))}
    if gold:
        with _timed(seconds, "gold"):
            models["gold"] = turn(lambda: retrained(data, scenario, architecture, recipe, [seed])[0])
    if distributed:
        for model in models.values():  # a model that could not be cached was trained on every rank
            same_model(model)
    unlearned = {}
    for method, options in methods.items():
        with _timed(seconds, method):
            unlearned[method] = forget(method, models["original"], data, scenario, distributed, **options)
        models[method] = unlearned[method].model
    with _timed(seconds, "evaluate"):
        rows = {name: evaluate(model, data, scenario) for name, model in models.items()}
    return Comparison(models, pd.DataFrame(rows).T, unlearned, seconds)


@contextmanager
def _timed(seconds: dict[str, float], stage: str):
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 3)
