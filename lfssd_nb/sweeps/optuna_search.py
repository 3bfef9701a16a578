"""Choosing alpha, lambda, or an alpha for every group of layers, by Optuna, without looking at gold.

>>> loss = damage_and_rest(measure(logits(model, x)), aim=0.0)
>>> found = search(dial, x, measure, loss, scales=(0.05, 1.0), unit=scenario.ceiling)

What to minimise is the caller's: `damage_and_rest` needs the original model and validation images only.
Optuna (``pip install "lfssd_nb[search]"``) is imported when it is used.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from ..networks.forward import logits
from ..redampen import Alpha, Dial
from ..system.progress import progress
from .grids import Measure

Loss = Callable[[Mapping[str, float]], float]


def damage_and_rest(before: Mapping[str, float], aim: float) -> Loss:
    r"""The loss :math:`\max(0, R_0 - R) + |F - F^*|` in points, to be minimised.

    ``before``: the original's measures, :math:`R_0` its ``retained`` accuracy. ``aim``: the accuracy
    :math:`F^*` that *unseen* images of the forgotten kind would have: 0 for a class, the original's accuracy
    on unseen images for random samples. Gold is not asked.
    """

    def loss(found: Mapping[str, float]) -> float:
        if math.isnan(found["retained"]):
            raise ValueError("the retained accuracy is NaN: there are no retained images to search with")
        return max(0.0, before["retained"] - found["retained"]) + abs(found["forgotten"] - aim)

    return loss


@dataclass(frozen=True)
class Found:
    """The best ``alpha`` (one, or one for each parameter by name), ``lam``, their ``loss``, and all
    ``trials``: a row for each with its settings (scales by group), measures and loss."""

    alpha: Alpha
    lam: float
    loss: float
    trials: pd.DataFrame


def search(
    dial: Dial,
    x: Tensor,
    measure: Measure,
    loss: Loss,
    *,
    scales: tuple[float, float] = (0.02, 1.0),
    lams: tuple[float, float] = (0.0, 1.0),
    unit: float,
    groups: Mapping[str, Sequence[str]] | None = None,
    n_trials: int = 60,
    seed: int = 0,
    show: bool = True,
) -> Found:
    r"""Minimises ``loss(measure(logits of x))`` over :math:`\alpha' \in` ``scales`` (logarithmic) and
    :math:`\lambda \in` ``lams`` with Optuna's tree-structured Parzen estimator.

    unit: N / N_f, so that :math:`\alpha = \alpha' N / N_f`. groups: names of parameters by group; each gets
    a threshold of its own. Each trial costs one forward pass of ``x``. Equal seeds find equal settings. A
    trial whose loss is NaN or infinite has failed: it stays in ``trials`` and is never the best.

    Raises ``ImportError`` without Optuna; ``ValueError`` for ranges that are none, groups that leave out or
    repeat a parameter of the dial or are called ``lam``, fewer than one trial, and none with a finite loss.
    (In ``trials`` a group's scale replaces a measure of the same name.)
    """
    for name, (low, high), least in (("scales", scales, 1e-12), ("lams", lams, 0.0)):
        if not least <= low <= high:
            raise ValueError(f"{name} must be (low, high) with {least:g} <= low <= high, got {(low, high)}")
    if n_trials < 1:
        raise ValueError(f"a search needs at least one trial, got n_trials={n_trials}")
    groups = {"all": dial.names} if groups is None else groups
    if "lam" in groups:
        raise ValueError("a group cannot be called 'lam', which is lambda: give it another name")
    if sorted(name for names in groups.values() for name in names) != sorted(dial.names):
        raise ValueError("groups must name every parameter of the dial once: " + ", ".join(dial.names))
    try:
        import optuna
    except ImportError as error:
        raise ImportError('searching needs Optuna: pip install "lfssd_nb[search]"') from error
    rows = []
    with _quiet(optuna.logging):
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        for _ in progress(range(n_trials), "trials", show):
            trial = study.ask()
            chosen = {group: trial.suggest_float(group, *scales, log=True) for group in groups}
            lam = trial.suggest_float("lam", *lams)
            found = measure(logits(dial.at(_alpha(chosen, groups, unit), lam), x))
            rows.append(found | chosen | {"lam": lam, "loss": loss(found)})
            if math.isfinite(rows[-1]["loss"]):
                study.tell(trial, rows[-1]["loss"])
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
    finite = [row for row in rows if math.isfinite(row["loss"])]
    if not finite:
        raise ValueError(
            f"none of {n_trials} trials has a finite loss, the first has {rows[0]['loss']}: is a measure NaN "
            f"(of no images), or are the network's logits? It was measured {found}"
        )
    best = min(finite, key=lambda row: row["loss"])
    return Found(_alpha(best, groups, unit), best["lam"], best["loss"], pd.DataFrame(rows))


@contextmanager
def _quiet(logging) -> Iterator[None]:
    """Optuna's warnings alone inside; as talkative as before after it."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _alpha(scales: Mapping[str, float], groups: Mapping[str, Sequence[str]], unit: float) -> Alpha:
    if len(groups) == 1:
        return scales[next(iter(groups))] * unit
    return {name: scales[group] * unit for group, names in groups.items() for name in names}
