"""What if alpha were 4? Any grid of settings on one model, for about one forward pass a cell.

>>> rows = grid(model, {"LFSSD": (i_f, i_d)}, *exam(data, scenario), alphas=..., lams=...)

Importances are computed once, by the caller. Each cell re-dampens in memory (`redampen`) and is measured on
its logits; cells that change the same weights with the same lambda are one network, evaluated once.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ..audit.how_accurate import percent_correct
from ..dampening import check_settings
from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..importance_sums import Importance
from ..networks.forward import check_logits, logits
from ..redampen import Dial
from ..system.progress import progress

Measure = Callable[[Tensor], dict[str, float]]
Pair = tuple[Importance, Importance]


def exam(data: Dataset, scenario: Scenario, part: slice | None = None) -> tuple[Tensor, Measure]:
    """Images, and what to measure on their logits: ``retained`` and ``forgotten`` accuracy in percent.

    Test images of the retained and the forgotten kind; for random forgetting, where no test image belongs
    to D_f, ``forgotten`` is the accuracy on D_f itself. part: of the retained and of the forgotten test
    images, only these: ``slice(0, None, 2)`` for a validation set and ``slice(1, None, 2)`` for the rest.
    Raises ``ValueError`` for a part without images of one kind.
    """
    check(data, scenario)
    x, y, n = data.test_x, data.test_y, len(data.test_y)
    retain, forget = (index[part or slice(None)] for index in (scenario.test_retain, scenario.test_forget))
    if not len(retain) or (len(scenario.test_forget) and not len(forget)):
        raise ValueError(f"part={part} leaves {len(retain)} retained and {len(forget)} forgotten test images")
    if len(forget):
        index = torch.cat([retain, forget]).sort().values
        x, y = x[index], y[index]
        retain, forget = (torch.searchsorted(index, each.contiguous()) for each in (retain, forget))
    else:
        x, y = torch.cat([x, data.train_x[scenario.forget]]), torch.cat([y, data.train_y[scenario.forget]])
        forget = torch.arange(n, len(x), device=x.device)

    return x, correct(y, retained=retain, forgotten=forget)


def correct(y: Tensor, **parts: Tensor | slice) -> Measure:
    """Measures accuracies in percent: of logits for labels ``y``, on each of ``parts``, positions by name."""
    return lambda z: {name: percent_correct(z[index], y[index]) for name, index in parts.items()}


def grid(
    model: nn.Module,
    importances: Mapping[str, Pair],
    x: Tensor,
    measure: Measure,
    alphas: Iterable[float] | None = None,
    lams: Iterable[float] = (1.0,),
    *,
    scales: Iterable[float] | None = None,
    layers: Mapping[str, Sequence[str] | None] | None = None,
    stack: int = 1,
    megabytes: float | None = None,
    batch_size: int = 512,
    show: bool = True,
) -> pd.DataFrame:
    r"""One row for each estimator, layer group, alpha and lambda, in that order of nesting.

    importances: ``(I(D_f), I(D))`` by a name of your own (estimator, norm, reduction: whatever is compared).
    x ``[N, ...]``: images; measure: a dict of numbers from their logits ``[N, K]``; `exam` gives both.
    alphas or scales: the thresholds, or scale-free :math:`\alpha' = \alpha N_f / N`, not both.
    layers: names of parameters by a name of the group (None: all of them).
    stack: networks per forward pass (`Dial.logits`), for small networks on a GPU; one at a time is faster on
    a CPU (measured: `make bench`). megabytes: stacks as many as `fitting` says, instead.

    Columns: ``estimator``, ``layers``, ``alpha``, ``scale`` (:math:`\alpha'`), ``lam``, ``selected`` (share
    of all weights with an importance, 0..1), and those of ``measure``. Raises what `Dial` raises, and
    ``ValueError`` for no cell or both kinds of threshold.
    """
    if (alphas is None) == (scales is None):
        raise ValueError("give alphas or scales, one of the two")
    if stack < 1:
        raise ValueError(f"stack must be at least 1 network, got {stack}")
    if megabytes is not None:
        stack = fitting(model, x, megabytes, batch_size)
    thresholds, lams = list(alphas if scales is None else scales), list(lams)
    for threshold, lam in itertools.product(thresholds, lams):
        check_settings(threshold, lam)
    layers = {"all": None} if layers is None else layers
    cells = list(itertools.product(importances, layers, thresholds, lams))
    if not cells:
        raise ValueError("the grid has no cell: give at least one importance, layer group, alpha and lambda")
    rows, bar = [], progress(cells, "cells", show)
    for (name, (i_f, i_d)), (group, only) in itertools.product(importances.items(), layers.items()):
        dial, unit = Dial(model, i_f, i_d, only), i_d.samples / i_f.samples
        size = sum(value.numel() for value in i_f.sums.values())
        settings = [(t if scales is None else t * unit, lam) for t in thresholds for lam in lams]
        counts = {t: len(dial.chosen(t)) for t in {max(cell) for cell in settings} | {a for a, _ in settings}}
        changed = [counts[max(cell)] for cell in settings]  # a ratio up to lambda has the factor 1
        same = [(n, lam if n else None) for n, (_, lam) in zip(changed, settings, strict=True)]
        first = {}
        for key, cell in zip(same, settings, strict=True):
            first.setdefault(key, cell)
        found = {}
        keys = list(first)
        for k in range(0, len(keys), stack):
            part = keys[k : k + stack]
            for key, z in zip(part, _logits(dial, [first[key] for key in part], x, batch_size), strict=True):
                found[key] = measure(z)
                bar.update(same.count(key))
        for (alpha, lam), key in zip(settings, same, strict=True):
            about = dict(estimator=name, layers=group, alpha=alpha, scale=alpha / unit, lam=lam)
            rows.append(about | {"selected": counts[alpha] / size} | found[key])
    bar.close()
    return pd.DataFrame(rows)


def _logits(dial: Dial, cells: Sequence[tuple[float, float]], x: Tensor, batch_size: int) -> Iterable[Tensor]:
    if len(cells) == 1:
        return [logits(dial.at(*cells[0]), x, batch_size)]
    z = dial.logits(x, cells, batch_size)
    check_logits(z)
    return z


@torch.no_grad()
def fitting(model: nn.Module, x: Tensor, megabytes: float, batch_size: int = 128) -> int:
    """How many stacked networks fit: each needs its weights and the outputs of all its layers for a batch of
    ``x`` (an upper bound: most are freed on the way). At least 1."""
    numbers, hooks = [sum(p.numel() for p in model.parameters())], []

    def count(layer, args, output):
        if isinstance(output, Tensor):
            numbers.append(output.numel() * min(batch_size, len(x)))

    for layer in model.modules():
        if not next(layer.children(), None):
            hooks.append(layer.register_forward_hook(count))
    try:
        logits(model, x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    size = next(model.parameters()).element_size()
    return max(1, int(megabytes * 2**20 // (sum(numbers) * size)))


def front(cells: pd.DataFrame, more: str = "retained", less: str = "forgotten") -> pd.DataFrame:
    """The cells that no other cell beats (the Pareto front), by falling ``more``: no cell has at least as
    much of ``more`` *and* at most as much of ``less``, with one of the two better. Equal cells all stay;
    cells that are not finite in both are left out."""
    cells = cells[np.isfinite(cells[[more, less]].to_numpy(float)).all(1)]
    a, b = cells[more].to_numpy(), cells[less].to_numpy()
    better = (a[:, None] >= a) & (b[:, None] <= b) & ((a[:, None] > a) | (b[:, None] < b))
    return cells[~better.any(0)].sort_values([more, less], ascending=[False, True])
