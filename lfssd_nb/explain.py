"""Which way the gradients of each parameter go, and what that costs."""

import time
import warnings

import pandas as pd
from torch import nn

from .batches import read, split_data
from .importance_scores import squared_norm
from .layer_rules import Reduction
from .logits import Forward, Logits
from .parameters import Filter, chosen, only
from .per_sample import PerSample, SlowWay
from .per_sample.guard import untouched
from .per_sample.trust import check_parameters
from .precision import differentiating
from .without_rules import gradients, zeros


def explain(
    model: nn.Module,
    data,
    *,
    parameters: Filter | None = None,
    forward: Forward | None = None,
    batch_size: int = 64,
    method: str = "auto",
) -> pd.DataFrame:
    """A small table of the ways that `sensitivity` takes for ``model`` on the first batch of ``data``.

    One row a way: ``way`` (the function whose rule applies, or ``"vmap"`` or ``"loop"``), ``parameters`` (how
    many tensors), ``weights`` (how many numbers), ``such as`` (one name), ``why`` (for the slow ways), and
    ``passes``: what the way costs, in units of a plain forward and backward pass over the same samples (all
    rules together are one pass, whose cost is in the first row).

    Everything else, and what is raised, as in `importance.sensitivity`.
    """
    trainable = chosen(model, parameters)
    check_parameters(trainable)
    with only(model, parameters), differentiating(model), untouched(model) as guard:
        like = next(iter(trainable.values()))
        batch = read(next(iter(split_data(data, None, batch_size, like))), 1, like, forward is not None)
        logits = Logits(model, forward)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SlowWay)
            plan = PerSample(logits, squared_norm, batch, method, guard)
        sums = {name: zeros(p) for name, p in trainable.items()}

        def bare() -> None:
            total = guard.around(lambda: logits(batch.inputs)).square().sum()
            gradients(total, list(trainable.values()))

        pass_, whole = _seconds(bare), _seconds(lambda: plan.add(batch, "abs", sums))
        slow = _seconds(lambda: plan.add_rest(batch, Reduction("abs"), sums)) if plan.rest else 0.0
    rows = []
    for way, names, why in _ways(plan):
        weights = sum(trainable[name].numel() for name in names)
        rows.append((way, len(names), weights, max(names, key=lambda n: trainable[n].numel()), why))
    columns = ["way", "parameters", "weights", "such as", "why"]
    table = pd.DataFrame(rows, columns=columns)
    costs = pd.Series(0.0, index=table.index)
    if plan.passes.covered:
        costs.iloc[0] = max(0.0, whole - slow) / pass_
    if plan.rest:
        costs[table.index[table["way"].isin(["vmap", "loop"])][0]] = slow / pass_
    return table.assign(passes=costs.round(1))


def _ways(plan: PerSample) -> list[tuple[str, list[str], str]]:
    by_rule: dict[str, list[str]] = {}
    for name in plan.passes.covered:
        used = sorted({key[-1] for key in plan.passes.layouts if name in key[:-1]})
        by_rule.setdefault(" and ".join(used) or "not used", []).append(name)
    rows = [(way, names, "") for way, names in by_rule.items()]
    rows.sort(key=lambda row: -sum(plan.passes.theta[name].numel() for name in row[1]))
    slow: dict[str, list[str]] = {}
    for name, why in plan.why.items():
        slow.setdefault(why, []).append(name)
    return rows + [(plan.general.way or "loop", names, why) for why, names in slow.items()]


def _seconds(work) -> float:
    """The faster of two runs."""
    spent = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent)
