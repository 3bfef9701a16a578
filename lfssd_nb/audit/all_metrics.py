"""Every metric of one unlearned model, as one flat row. See the module of each for what it means."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..networks.forward import logits
from .attacks import auc_and_tpr, scores
from .divergence import activation_distance, js_divergence, tow, zrf
from .how_accurate import Outputs, accuracies, outputs
from .linear_probe import probe_auroc
from .membership import entropy_attack
from .relearn import relearn_class, relearn_steps


@dataclass(frozen=True)
class Yardstick:
    """What a model is compared with: the outputs of gold models (several seeds, none of them the
    model's own) and, on D_f, the logits of an untrained network."""

    golds: Sequence[Outputs]
    untrained: Tensor


def accuracy_gap(row: dict[str, float], gold: dict[str, float]) -> float:
    """Mean distance to gold, in points, of the accuracies on D_f, D_r, and both parts of the test set
    (without the forgotten test images where there are none)."""
    gaps = [abs(row[name] - gold[name]) for name in gold if not np.isnan(gold[name])]
    return float(np.mean(gaps))


def battery(
    model: nn.Module, data: Dataset, scenario: Scenario, yardstick: Yardstick, deep: bool = False
) -> dict[str, float]:
    """One row: accuracies (percent), ``mia`` (0..1), ``gap`` and ``tow`` to the mean accuracies of gold,
    ``js_forget`` and ``js_test`` (bits) and ``activation`` to gold, the means over gold models, ``zrf``, and
    ``auc``/``tpr``: D_f against never-seen images of the same kind, by loss.

    ``deep``: also ``relearn`` (steps until 50 %, from five images or as many as D_f has; NaN if that
    diverges) and, where both kinds of test samples are there, ``probe`` (AUROC of ten labels a side, or as
    many as there are).

    NaN marks what is not defined: an accuracy (and ``tow``, ``js_test``) on a part of the test set that is
    empty, ``mia`` with one test sample. Raises ``FloatingPointError`` for a network whose outputs are not
    finite.
    """
    check(data, scenario)
    z = outputs(model, data)
    row = accuracies(z, data, scenario) | {"mia": entropy_attack(z, data, scenario).mia}
    golds = [accuracies(gold, data, scenario) for gold in yardstick.golds]
    gold = {name: float(np.mean([each[name] for each in golds])) for name in golds[0]}
    row |= {"gap": accuracy_gap(row, gold), "tow": tow(row, gold)}
    forget, retain = scenario.forget, scenario.test_retain
    for name, part, index in (("js_forget", "train", forget), ("js_test", "test", retain)):
        apart = [js_divergence(getattr(z, part)[index], getattr(g, part)[index]) for g in yardstick.golds]
        row[name] = float(np.mean([float(d.mean()) for d in apart]))
    row["activation"] = float(
        np.mean([activation_distance(z.train[forget], g.train[forget]) for g in yardstick.golds])
    )
    row["zrf"] = zrf(z.train[forget], yardstick.untrained)
    unseen = scenario.test_forget if len(scenario.test_forget) else scenario.test_retain
    ranking = auc_and_tpr(
        scores(z.train[forget], data.train_y[forget])["loss"].cpu(),
        scores(z.test[unseen], data.test_y[unseen])["loss"].cpu(),
        n_bootstrap=0,
    )
    row |= {"auc": ranking.auc, "tpr": ranking.tpr}
    if deep and len(scenario.test_forget):
        row["relearn"] = float("nan")
        with suppress(FloatingPointError):  # too broken to be taught anything, but not unmeasurable
            row["relearn"] = relearn_steps(relearn_class(model, data, scenario, min(5, len(forget))), 50)
    if deep and len(scenario.test_forget) and len(scenario.test_retain):
        few = min(10, len(forget), len(scenario.retain))
        row["probe"] = probe_auroc(model, data, scenario, n_labels=few)
    return row


def yardstick(
    golds: Sequence[nn.Module], untrained: nn.Module, data: Dataset, scenario: Scenario
) -> Yardstick:
    """Runs the gold models and the untrained network once, for any number of batteries."""
    check(data, scenario)
    on_forget = logits(untrained, data.train_x[scenario.forget])
    return Yardstick([outputs(gold, data) for gold in golds], on_forget)
